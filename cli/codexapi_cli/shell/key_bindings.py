"""Ctrl-G for the shells: replaces the words on the line with a command.

Without a command, the line stays as it is, and the reason is printed above it.
"""

from __future__ import annotations

from enum import StrEnum


class Integration(StrEnum):
    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


_BASH = """\
# eval "$(codexapi sh --integration bash)" in ~/.bashrc: Ctrl-G turns the line into a command
_codexapi_sh() {
    local made
    [[ -n $READLINE_LINE ]] || return
    made=$(codexapi sh --shell bash -- "$READLINE_LINE" </dev/null) && [[ -n $made ]] || return
    READLINE_LINE=$made
    READLINE_POINT=${#made}
}
bind -m emacs -x '"\\C-g": _codexapi_sh'
bind -m vi-insert -x '"\\C-g": _codexapi_sh'
"""

_ZSH = """\
# eval "$(codexapi sh --integration zsh)" in ~/.zshrc: Ctrl-G turns the line into a command
_codexapi_sh() {
    local made
    [[ -n $BUFFER ]] || return
    made=$(codexapi sh --shell zsh -- "$BUFFER" </dev/null) && [[ -n $made ]] &&
        BUFFER=$made && CURSOR=${#made}
    zle reset-prompt
}
zle -N _codexapi_sh
bindkey -M emacs '^G' _codexapi_sh
bindkey -M viins '^G' _codexapi_sh
"""

_FISH = """\
# codexapi sh --integration fish | source  in ~/.config/fish/config.fish: Ctrl-G turns the line
# into a command
function _codexapi_sh
    set -l words (commandline | string collect)
    if test -n "$words"
        set -l made (codexapi sh --shell fish -- $words </dev/null)
        and test -n "$made"
        and commandline -r -- (string join \\n -- $made)
    end
    commandline -f repaint
end
bind \\cg _codexapi_sh
bind -M insert \\cg _codexapi_sh
"""

SCRIPTS = {Integration.BASH: _BASH, Integration.ZSH: _ZSH, Integration.FISH: _FISH}
