"""`codexapi completion`: completion scripts for bash, zsh, fish and PowerShell.

The scripts ask this command for the candidates. It prints one line per candidate, with a short
description after a tab, and `:files` at the end where a file name fits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Annotated, Any

import typer

from ..app import COMMANDS
from ..parser.completers import BEFORE
from ..parser.help_text import summary, takes_value
from ..parser.options import command
from ..terminal.output import put

app = command()

FILES = ":files"
_MAY_BE_FILE = ("FILE", "PATH", "DIR", "QUESTION", "PROMPT", "WORDS", "ARGUMENTS")
"""What values are called that may be, or have in them, the name of a file."""


class Shell(StrEnum):
    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"
    POWERSHELL = "powershell"


# Several words are shown with what they are, unless bash puts one after the other in their place
# (COMP_TYPE 37: menu-complete).
BASH = """\
# eval "$(codexapi completion bash)" in ~/.bashrc, or
# codexapi completion bash > ~/.local/share/bash-completion/completions/codexapi
_codexapi() {
    local line name width=0 files=
    local -a names=() notes=()
    COMPREPLY=()
    while IFS= read -r line; do
        if [[ $line == :files ]]; then
            files=1
        else
            name=${line%%$'\\t'*}
            names+=("$name") notes+=("${line#*$'\\t'}")
            (( ${#name} > width )) && width=${#name}
        fi
    done < <(codexapi completion bash --after -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
    if [[ -n $files ]]; then
        compopt -o default -o filenames 2>/dev/null
    elif (( ${#names[@]} == 1 )) || [[ $COMP_TYPE == 37 || $COMP_TYPE == 42 ]]; then
        COMPREPLY=("${names[@]}")
    else
        local at room=$(( ${COLUMNS:-80} - width - 5 ))
        for at in "${!names[@]}"; do
            line=${names[at]}
            if [[ -n ${notes[at]} ]] && (( room > 10 )); then
                line=$(printf "%-${width}s  (%s)" "$line" "${notes[at]:0:room}")
            fi
            COMPREPLY+=("$line")
        done
    fi
}
complete -o nosort -F _codexapi codexapi 2>/dev/null || complete -F _codexapi codexapi
"""

ZSH = """\
#compdef codexapi
# codexapi completion zsh > "${fpath[1]}/_codexapi"
_codexapi() {
    local line files=
    local -a found
    while IFS= read -r line; do
        if [[ $line == :files ]]; then
            files=1
        else
            found+=("${${line%%$'\\t'*}//:/\\\\:}:${line#*$'\\t'}")
        fi
    done < <(codexapi completion zsh --after -- "${(@Q)words[2,CURRENT]}" 2>/dev/null)
    (( $#found )) && _describe -V codexapi found
    [[ -n $files ]] && _files
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
    set -l found (codexapi completion fish --after -- $words[2..-1] 2>/dev/null)
    if contains -- :files $found
        __fish_complete_path (commandline -ct)
    end
    string match --invert -- :files $found
end
complete -c codexapi -f -k -a '(__codexapi)'
"""

# An empty argument does not reach a program alike from all versions of PowerShell: so the word to
# complete has a `=` before it.
POWERSHELL = """\
# codexapi completion powershell | Out-String | Invoke-Expression
Register-ArgumentCompleter -Native -CommandName codexapi -ScriptBlock {
    param($word, $line, $cursor)
    $before = @($line.CommandElements | Select-Object -Skip 1 |
        Where-Object { $_.Extent.EndOffset -lt $cursor } |
        ForEach-Object { "$_" -replace '^["'']|["'']$', '' } | Where-Object { $_ })
    codexapi completion powershell --after -- @before "=$word" 2>$null | ForEach-Object {
        $name, $help = $_ -split "`t", 2
        if ($name -ne ':files') {
            if (-not $help) { $help = $name }
            [System.Management.Automation.CompletionResult]::new($name, $name, 'ParameterValue', $help)
        }
    }
}
"""

SCRIPTS = {
    Shell.BASH: BASH, Shell.ZSH: ZSH, Shell.FISH: FISH, Shell.POWERSHELL: POWERSHELL,
}  # fmt: skip

EXAMPLES = """
# Complete in bash: for this shell, and for all that you start
$ eval "$(codexapi completion bash)"
$ codexapi completion bash >> ~/.bashrc

# Complete in fish
$ codexapi completion fish > ~/.config/fish/completions/codexapi.fish
"""


@app.command(context_settings={"ignore_unknown_options": True}, epilog=EXAMPLES)
def completion(
    ctx: typer.Context,
    shell: Annotated[Shell, typer.Argument(metavar="SHELL", help="bash, zsh, fish or powershell")],
    after: Annotated[bool, typer.Option("--after", hidden=True)] = False,
    words: Annotated[list[str] | None, typer.Argument(hidden=True)] = None,
) -> None:
    """Print a script that lets your shell complete commands, options, models, chats and clients.

    The script is for the shell's start-up file. In zsh, run `compinit` before it; in PowerShell:
    `codexapi completion powershell | Out-String | Invoke-Expression`.
    """
    if not after:
        put(SCRIPTS[shell])
        return
    *before, begun = words or [""]
    if shell is Shell.POWERSHELL:
        begun = begun.removeprefix("=")
    elif shell is Shell.BASH:
        before, begun = _joined([*before, begun])
    # bash takes what stands after a `=` or a `:` as a word of its own, and replaces that alone.
    cut = max(begun.rfind("="), begun.rfind(":")) + 1 if shell is Shell.BASH else 0
    for name, note in _candidates(ctx.find_root(), before, begun):
        if name == FILES:
            put(f"{FILES}\n")
        elif name.startswith(begun):
            put(f"{name[cut:]}\t{' '.join(note.split())}\n")


def _candidates(ctx: Any, before: Sequence[str], begun: str) -> Iterator[tuple[str, str]]:
    """What may stand after these words: an option of the command that they name, a command of its
    group, or a value that there is a choice of; FILES where a file may."""
    here = ctx.command
    ctx.meta[BEFORE] = before
    only_words = "--" in before
    rest: Sequence[str] = before  # behind the command's own name
    for at, word in enumerate(before):
        found = here.get_command(ctx, word) if hasattr(here, "get_command") else None
        if found is not None:
            here, ctx = found, type(ctx)(found, parent=ctx, info_name=word)
            rest = before[at + 1 :]
    options = [
        parameter for parameter in here.get_params(ctx) if parameter.param_type_name == "option"
    ]
    name, equals, value = begun.partition("=")
    for option in options:
        if not takes_value(option) or only_words:
            continue
        if before[-1:] and before[-1] in option.opts:
            yield from _values(option, ctx, begun)
            return
        if equals and name in option.opts:
            yield from ((f"{name}={word}", n) for word, n in _values(option, ctx, value))
            return
    if begun.startswith("-") and not only_words:
        shown = [option for option in options if not option.hidden]
        yield from ((max(option.opts, key=len), option.help or "") for option in shown)
    elif hasattr(here, "list_commands"):
        yield from _commands(here, ctx)
    else:
        yield from _values(_argument(here, ctx, options, rest), ctx, begun)


def _commands(group: Any, ctx: Any) -> Iterator[tuple[str, str]]:
    for name in group.list_commands(ctx):
        yield name, COMMANDS[name] if ctx.parent is None else summary(group.get_command(ctx, name))


def _argument(here: Any, ctx: Any, options: Sequence[Any], words: Sequence[str]) -> Any:
    """The argument that comes next; None where all are there."""
    arguments = [p for p in here.get_params(ctx) if p.param_type_name == "argument"]
    valued = {name for option in options if takes_value(option) for name in option.opts}
    filled = [
        word
        for at, word in enumerate(words)
        if not word.startswith("-") and not (at and words[at - 1] in valued)
    ]
    for argument in arguments:
        if argument.nargs != 1 or not filled:
            return None if argument.hidden else argument
        filled.pop()
    return None


def _values(param: Any, ctx: Any, begun: str) -> Iterator[tuple[str, str]]:
    if param is None:
        return
    found = [item for item in param.shell_complete(ctx, begun) if item.type == "plain"]
    yield from ((item.value, item.help or "") for item in found)
    if any(name in str(param.metavar) for name in _MAY_BE_FILE):
        yield FILES, ""


def _joined(words: Sequence[str]) -> tuple[list[str], str]:
    """The words as they were before bash cut them at `=` and `:`."""
    joined: list[str] = []
    glue = False
    for at, word in enumerate(words):
        cuts = word in ("=", ":") and at > 0
        if joined and (cuts or glue):
            joined[-1] += word
        else:
            joined.append(word)
        glue = cuts
    return joined[:-1], joined[-1]
