"""`codexapi completion`: the Tab key, for bash, zsh, fish and PowerShell.

The scripts know nothing: they ask this command what may come next.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Any

import typer

from .options import command
from .terminal import put

app = command()


class Shell(StrEnum):
    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"
    POWERSHELL = "powershell"


BASH = """\
# codexapi completion bash > ~/.local/share/bash-completion/completions/codexapi
_codexapi() {
    local word="${COMP_WORDS[COMP_CWORD]}" line
    COMPREPLY=()
    while IFS= read -r line; do
        COMPREPLY+=("${line%%$'\\t'*}")
    done < <(codexapi completion bash --after -- "${COMP_WORDS[@]:1:COMP_CWORD-1}" "$word" 2>/dev/null)
}
complete -o bashdefault -o default -F _codexapi codexapi
"""

ZSH = """\
#compdef codexapi
# codexapi completion zsh > "${fpath[1]}/_codexapi"
_codexapi() {
    local line
    local -a found
    while IFS= read -r line; do
        found+=("${${line%%$'\\t'*}//:/\\\\:}:${line#*$'\\t'}")
    done < <(codexapi completion zsh --after -- "${(@)words[2,CURRENT]}" 2>/dev/null)
    if (( $#found )); then
        _describe 'codexapi' found
    else
        _files
    fi
}
if [ "$funcstack[1]" = "_codexapi" ]; then
    _codexapi "$@"
else
    compdef _codexapi codexapi
fi
"""

FISH = """\
# codexapi completion fish > ~/.config/fish/completions/codexapi.fish
function __codexapi
    set -l words (commandline -opc) (commandline -ct)
    codexapi completion fish --after -- $words[2..-1] 2>/dev/null
end
complete -c codexapi -a '(__codexapi)'
"""

POWERSHELL = """\
# codexapi completion powershell | Out-String | Invoke-Expression
Register-ArgumentCompleter -Native -CommandName codexapi -ScriptBlock {
    param($word, $line, $cursor)
    $words = @($line.CommandElements | Select-Object -Skip 1 | ForEach-Object { "$_" })
    if ($word -eq '') { $words += '""' }
    codexapi completion powershell --after -- @words 2>$null | ForEach-Object {
        $name, $help = $_ -split "`t", 2
        [System.Management.Automation.CompletionResult]::new($name, $name, 'ParameterValue', $help)
    }
}
"""

SCRIPTS = {
    Shell.BASH: BASH, Shell.ZSH: ZSH, Shell.FISH: FISH, Shell.POWERSHELL: POWERSHELL,
}  # fmt: skip


@app.command(context_settings={"ignore_unknown_options": True})
def completion(
    ctx: typer.Context,
    shell: Annotated[Shell, typer.Argument(help="Which shell.")],
    after: Annotated[bool, typer.Option("--after", hidden=True)] = False,
    words: Annotated[list[str] | None, typer.Argument(hidden=True)] = None,
) -> None:
    """Print a script that teaches your shell to complete codexapi's commands and options.

    bash: eval "$(codexapi completion bash)" in ~/.bashrc; the script says how to install it.
    """
    if not after:
        put(SCRIPTS[shell])
        return
    *before, begun = words or [""]
    for name, told in _next(ctx.find_root(), before, begun):
        if name.startswith(begun):
            put(f"{name}\t{told}\n")


def _next(ctx: Any, before: list[str], begun: str) -> Iterator[tuple[str, str]]:
    """What may stand after these words: an option of the command that they name, a command of its
    group, or a value that there is a choice of. Nothing for others, such as the name of a file."""
    here = ctx.command
    for word in before:
        found = here.get_command(ctx, word) if hasattr(here, "get_command") else None
        if found is not None:
            here, ctx = found, type(ctx)(found, parent=ctx, info_name=word)
    options = [given for given in here.get_params(ctx) if given.param_type_name == "option"]
    for given in options:
        if before[-1:] and before[-1] in given.opts and not (given.is_flag or given.count):
            yield from _values(given, ctx, begun)
            return
    if begun.startswith("-"):
        shown = [given for given in options if not given.hidden]
        yield from ((max(given.opts, key=len), _line(given.help)) for given in shown)
    elif hasattr(here, "list_commands"):
        yield from ((name, _told(here, ctx, name)) for name in here.list_commands(ctx))
    else:
        for given in here.get_params(ctx):
            if given.param_type_name == "argument":
                yield from _values(given, ctx, begun)
                return


def _values(given: Any, ctx: Any, begun: str) -> Iterator[tuple[str, str]]:
    found = given.shell_complete(ctx, begun)
    yield from ((item.value, item.help or "") for item in found if item.type == "plain")


def _told(group: Any, ctx: Any, name: str) -> str:
    from .app import COMMANDS  # it names us, and is loaded by now

    if ctx.parent is None:
        return COMMANDS[name]
    return _line(group.get_command(ctx, name).help)


def _line(text: str | None) -> str:
    return (text or "").strip().partition("\n")[0]
