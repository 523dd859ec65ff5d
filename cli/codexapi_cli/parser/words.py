"""Parses a command line whose arguments are free words, such as a question.

A word that begins with a dash and contains a blank is a question, not an option: `codexapi chat
"- summarise these points"`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from .help_text import DocumentedCommand, takes_value
from .texts import decoded

_MARK = "\0"
"""Stands before such a word while options are parsed. No argument of a program can have it."""


class WordsCommand(DocumentedCommand):
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        try:
            rest = super().parse_args(ctx, mark_questions(args, self.get_params(ctx)))
        except Exception as error:
            if hasattr(error, "option_name") and hasattr(error, "possibilities"):
                _add_hint(error, ctx)
            raise
        free = {param.name for param in self.get_params(ctx) if param.param_type_name == "argument"}
        for name, value in ctx.params.items():
            if isinstance(value, list | tuple):
                words = strip_marks(value)
                ctx.params[name] = list(map(decoded, words)) if name in free else words
        return rest


def mark_questions(
    args: Sequence[str], params: Iterable[Any], *, first_alone: bool = False
) -> list[str]:
    """The arguments, with a mark before each that looks like an option and is none. `first_alone`:
    what follows the first word is for another command to look at."""
    options = [param for param in params if param.param_type_name == "option"]
    valued = {name for option in options if takes_value(option) for name in option.opts}
    return list(_mark(args, valued, first_alone))


def strip_marks(words: Iterable[Any]) -> list[Any]:
    return [w.removeprefix(_MARK) if isinstance(w, str) else w for w in words]


def _mark(args: Sequence[str], valued: set[str], first_alone: bool) -> Iterator[str]:
    is_value = over = False
    for arg in args:
        if over or is_value:
            yield arg
            is_value = False
            continue
        question = _is_dashed_question(arg, valued)
        yield _MARK + arg if question else arg
        over = arg == "--" or (first_alone and (question or not arg.startswith("-")))
        is_value = arg in valued


def _is_dashed_question(arg: str, valued: set[str]) -> bool:
    """Whether it begins with a dash, has a blank, and is no option with its value in one word."""
    if not arg.startswith("-") or not any(map(str.isspace, arg)):
        return False
    with_value = arg.partition("=")[0] in valued or (arg[:2] in valued and not arg[2].isspace())
    return not with_value


def _add_hint(error: Any, ctx: Any) -> None:
    usage = f'{ctx.command_path} -- "{error.option_name} …"'
    error.message = f"{error.message} (words that begin with a dash stand after --: {usage})"
