"""Formats the help of a command: usage, its options in groups, examples.

A command declares it where its options are declared: the group of an option is its
`rich_help_panel`, and the examples are the command's `epilog`, a line each: `# description` or
`$ command`.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from enum import Enum
from typing import TYPE_CHECKING, Any, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

from ..terminal.colors import colourful
from ..terminal.output import Problem, put_drawn
from .help_pages import EXAMPLES, TABLE, TEXT, USAGE, columns, lay_out

if TYPE_CHECKING:
    from .help_pages import Page, Part

GLOBAL = "Global options"
OPTIONS = "Options"
BACKEND = "Backend"
"""Names of groups. All other options stand between the last two."""

_FOR_REQUESTS = {"verbose", "timeout"}
"""Global options that say nothing to a command that asks the backend nothing."""

TOPICS = {
    "environment": "Environment variables",
    "exit-codes": "Exit codes",
}
"""What `codexapi help` explains beside commands."""


class DocumentedCommand(TyperCommand):
    def get_help(self, ctx: Any) -> str:
        return lay_out(page_of(self, ctx))

    def get_help_option(self, ctx: Any) -> Any:
        return _showing(super().get_help_option(ctx))

    def sections(self) -> Mapping[str, Sequence[tuple[str, str]]]:
        """Further tables, by their headings."""
        return {}


class DocumentedGroup(TyperGroup):
    def get_help(self, ctx: Any) -> str:
        return lay_out(page_of(self, ctx))

    def get_help_option(self, ctx: Any) -> Any:
        return _showing(super().get_help_option(ctx))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args and not self.invoke_without_command and not ctx.resilient_parsing:
            show(ctx)
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Raises Problem where there is no such command."""
        name, known = args[0], self.list_commands(ctx)
        if name in known or name.startswith("-") or ctx.resilient_parsing:
            return super().resolve_command(ctx, args)
        raise unknown_command(ctx, name, known)

    def sections(self) -> Mapping[str, Sequence[tuple[str, str]]]:
        rows = [(name, summary(c)) for name, c in self.commands.items() if not c.hidden]
        return {"Commands": rows}


def unknown_command(ctx: Any, name: str, known: Sequence[str]) -> Problem:

    near = get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"`{ctx.command_path} --help` lists them"
    return Problem(f"there is no command {name}; {hint}")


def show(ctx: Any) -> None:
    """Prints the help of a command, and ends the program."""
    bold = colourful(sys.stdout.isatty())
    put_drawn(lay_out(page_of(ctx.command, ctx), columns(), bold=bold) + "\n")
    raise typer.Exit


def show_text(text: Callable[[int], str]) -> NoReturn:
    """Prints a text of the width of the terminal, and ends the program."""
    put_drawn(text(columns()) + "\n")
    raise typer.Exit


def page_of(command: Any, ctx: Any) -> Page:
    return _paragraphs(command.help), list(_parts(command, ctx))


def summary(command: Any) -> str:
    """The first paragraph of what a command says of itself."""
    return next(iter(_paragraphs(command.help)), "")


def name_of(param: Any) -> str:
    """The display name of a parameter: the longest name of an option, as a person types it."""
    if param.param_type_name == "argument":
        return str(param.metavar or param.name.upper()).strip("[].")
    return max(_spellings(param), key=len)


def choices_of(param: Any) -> list[str]:
    """The words that a parameter takes, where there is a fixed set of them."""
    return [_value_text(choice) for choice in getattr(param.type, "choices", ())]


def takes_value(param: Any) -> bool:
    return param.param_type_name == "option" and not (param.is_flag or param.count)


def limits_of(param: Any) -> str:
    """The range of a number in words; nothing where it has none."""
    least, most = getattr(param.type, "min", None), getattr(param.type, "max", None)
    if least is None and most is None:
        return ""
    if most is None:
        return f"{least} or more"
    return f"at most {most}" if least is None else f"{least} to {most}"


def _parts(command: Any, ctx: Any) -> Iterator[Part]:
    params = [param for param in command.get_params(ctx) if not param.hidden]
    options = [param for param in params if param.param_type_name == "option"]
    arguments = [param for param in params if param.param_type_name == "argument"]
    yield "Usage", USAGE, " ".join(_usage(command, ctx, arguments))
    if described := [(_placeholder(a), _parameter_help(a)) for a in arguments if a.help]:
        yield "Arguments", TABLE, described
    for heading, rows in command.sections().items():
        yield heading, TABLE, rows
    for heading, members in _groups(options, is_root=ctx.parent is None):
        yield heading, TABLE, [(_names(o), _parameter_help(o)) for o in members]
    if ctx.parent is not None and (line := _inherited(options)):
        yield GLOBAL, TEXT, [line]
    if command.epilog:
        yield "Examples", EXAMPLES, command.epilog.strip().splitlines()
    if ctx.parent is None:
        yield "Help topics", TABLE, list(TOPICS.items())
    if hasattr(command, "get_command"):
        lines = [f"`{ctx.command_path} COMMAND --help` shows the help of a command."]
        if ctx.parent is None:
            lines.append("`codexapi help TOPIC` shows a topic.")
        yield "Learn more", TEXT, lines


def _usage(command: Any, ctx: Any, arguments: Sequence[Any]) -> Iterator[str]:
    yield ctx.command_path
    if hasattr(command, "get_command"):
        yield "[COMMAND]" if command.invoke_without_command else "COMMAND"
    yield "[options]"
    yield from map(_placeholder, arguments)


def _groups(options: Sequence[Any], *, is_root: bool) -> Iterator[tuple[str, list[Any]]]:
    found: dict[str, list[Any]] = {OPTIONS: []}
    for option in options:
        group = GLOBAL if "--help" in option.opts else option.rich_help_panel or OPTIONS
        found.setdefault(group, []).append(option)
    inherited, backend = found.pop(GLOBAL, []), found.pop(BACKEND, [])
    yield from ((heading, members) for heading, members in found.items() if members)
    if backend:
        yield BACKEND, backend
    if is_root:
        yield GLOBAL, inherited


def _inherited(options: Sequence[Any]) -> str:
    """One line on the options of all commands, by their shortest names."""
    asks = any(option.name == "base_url" for option in options)
    names = [
        min(option.opts, key=len)
        for option in options
        if option.rich_help_panel == GLOBAL and (asks or option.name not in _FOR_REQUESTS)
    ]
    return f"{', '.join(names)}: `codexapi --help` describes them." if names else ""


def _placeholder(argument: Any) -> str:
    """An argument as a usage line shows it."""
    name = argument.metavar or argument.name.upper()
    if argument.metavar and name.startswith("["):
        return str(name)
    name = f"{name.removesuffix('...')}..." if argument.nargs != 1 else name
    return name if argument.required else f"[{name}]"


def _names(option: Any) -> str:
    short = [name for name in option.opts if len(name) == 2]
    long = [name for name in _forms(option) if len(name) > 2]
    names = ", ".join([*short, *long]) if short else f"    {', '.join(long)}"
    if not takes_value(option):
        return names
    return f"{names} {option.metavar or '|'.join(choices_of(option)) or 'VALUE'}"


def _forms(option: Any) -> list[str]:
    """Its names, and those that switch it off: `--page`, `--no-page`."""
    return [*_spellings(option), *option.secondary_opts]


def _spellings(option: Any) -> list[str]:
    """Its names but for a second spelling of a letter: `--n` beside `-n`."""
    letters = {name[1] for name in option.opts if len(name) == 2}
    return [name for name in option.opts if name not in {f"--{letter}" for letter in letters}]


def _parameter_help(param: Any) -> str:
    text = param.help or ""
    notes = [limits_of(param) if param.metavar == "N" else "", _default(param)]
    notes = [note for note in notes if note]
    if not notes:
        return text
    if text.endswith(")"):
        return f"{text[:-1]}, {', '.join(notes)})"
    return f"{text} ({', '.join(notes)})"


def _default(param: Any) -> str:
    default = param.default
    if not param.show_default or default in (None, False, "", ()) or callable(default):
        return ""
    if param.param_type_name == "option" and param.count:
        return ""
    return f"default: {name_of(param) if default is True else _value_text(default)}"


def _value_text(value: Any) -> str:
    if isinstance(value, Enum):
        return str(value.value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _paragraphs(text: str | None) -> list[str]:
    blocks = inspect.cleandoc(text or "").split("\n\n")
    return [" ".join(block.split()) for block in blocks if block.strip()]


def _showing(option: Any) -> Any:
    """The option --help of a command, which shows this help."""

    def callback(ctx: Any, param: Any, value: bool) -> None:
        if value and not ctx.resilient_parsing:
            show(ctx)

    if option is not None:
        option.callback = callback
        option.help = "Show the help of a command"
    return option
