"""Handles a command line that does not begin with a command: options first, a question, `help`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import typer

from ..terminal.output import Problem
from .help_text import TOPICS, show, show_text, takes_value, unknown_command
from .texts import is_question
from .topics import topic
from .words import strip_marks

CHAT = "chat"


def command_first(group: Any, ctx: Any, args: Sequence[str]) -> list[str]:
    """The arguments, with the options of a command behind its name: `--demo chat hello` is
    `chat --demo hello`, and `--demo "why …"` is `chat --demo "why …"`.

    Raises Problem where such options stand alone.
    """
    own, others = _Options(group, ctx), None
    first: list[str] = []
    moved: list[str] = []
    rest = list(args)
    while rest and rest[0].startswith("-") and rest[0] not in ("-", "--"):
        if rest[0] in own:
            own.move(rest, first)
            continue
        others = others or _Options(group.get_command(ctx, CHAT), ctx)
        if rest[0] not in others:
            return list(args)  # the parser says what is wrong
        others.move(rest, moved)
    if not moved:
        return list(args)
    if not rest or rest == ["--"]:
        raise Problem(f"{moved[0]}: name a command, or ask a question in quotes")
    if rest[0] == "--":
        return [*first, CHAT, *moved, *rest]
    (word,) = strip_marks(rest[:1])
    if is_question(word) and group.get_command(ctx, word) is None:
        return [*first, CHAT, *moved, *rest]
    at = max(_words_of_command(group, ctx, rest), 1)
    return [*first, *rest[:at], *moved, *rest[at:]]


def show_help_of(group: Any, ctx: Any, names: Sequence[str]) -> NoReturn:
    """Shows the help of a command: `help`, `help chat`, `help mcp install`; or of a topic."""
    if len(names) == 1 and names[0] in TOPICS:
        show_text(lambda width: topic(names[0], width))
    commands = group.list_commands(ctx)
    if len(names) == 1 and names[0] not in commands:
        raise unknown_command(ctx, names[0], [*commands, *TOPICS])
    for name in names:
        if not _is_group(group):
            raise Problem(f"`{ctx.command_path}` has no command {name}")
        _, group, _ = group.resolve_command(ctx, [name])
        ctx = type(ctx)(group, parent=ctx, info_name=name)
    show(ctx)
    raise typer.Exit


class _Options:
    """The options of a command, and which of them take a value."""

    def __init__(self, command: Any, ctx: Any) -> None:
        options = [p for p in command.get_params(ctx) if p.param_type_name == "option"]
        self._takes_value = {
            name: takes_value(option) for option in options for name in option.opts
        }

    def __contains__(self, word: str) -> bool:
        return self._name(word) in self._takes_value

    def move(self, words: list[str], to: list[str]) -> None:
        """Moves the first word, and its value where that is a word of its own."""
        word = words.pop(0)
        to.append(word)
        if self._takes_value[self._name(word)] and self._name(word) == word and words:
            to.append(words.pop(0))

    def _name(self, word: str) -> str:
        return word.partition("=")[0] if word.startswith("--") else word[:2]


def _is_group(command: Any) -> bool:
    return hasattr(command, "get_command")


def _words_of_command(group: Any, ctx: Any, words: Sequence[str]) -> int:
    """How many of the words name a command, and one in its group."""
    count = 0
    while count < len(words) and _is_group(group):
        found = group.get_command(ctx, words[count])
        if found is None:
            break
        group, count = found, count + 1
    return count
