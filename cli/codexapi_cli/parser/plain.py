"""Parses the usual command line of the commands that are started most, without the parser.

The parser and the declarations that it reads take longer than all else before the first request. So
the options of `chat` and `serve` were written down ahead, by `python -m docs`: those that are a flag, a
text or a whole number. A command line with anything else, or with a mistake, is the parser's.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from ..terminal.output import ending
from .texts import is_question

OPTIONS = os.path.join(os.path.dirname(__file__), "plain_options.json")

FLAG, TEXT, TEXTS, NUMBER = "flag", "text", "texts", "number"
"""The kinds of options. A number has its least and its most behind it."""

_LONG = 10
"""Digits."""

CHAT, SERVE = "chat", "serve"

Values: TypeAlias = dict[str, Any]
"""The command's parameters, by name."""


def run_plain(arguments: Sequence[str]) -> bool:
    """Runs a command. False where the parser has to: then nothing has been done."""
    name, rest = _command(arguments)
    if name is None:
        return False
    with open(OPTIONS, "rb") as file:
        declared = json.load(file)[name]
    values = parse(rest, declared)
    if values is None or not _add_variables(values, declared["variables"]):
        return False
    with ending(as_json=bool(values.get("as_json") or values.get("stream_json"))):
        _function(name)(**values)
    return True


def parse(words: Iterable[str], declared: Mapping[str, Any]) -> Values | None:
    """None for what the parser has to look at."""
    values: Values = {}
    free: list[str] = []
    coming = iter(words)
    for word in coming:
        option = declared["options"].get(word)
        if option is None:
            if not _is_plain(word):
                return None
            free.append(word)
        elif option[1] == FLAG:
            values[option[0]] = True
        elif not _add(values, option, next(coming, "")):
            return None
    if free and declared["argument"] is None:
        return None
    return {**values, declared["argument"]: free} if free else values


def _command(arguments: Sequence[str]) -> tuple[str | None, Sequence[str]]:
    if arguments and arguments[0] in (CHAT, SERVE):
        return arguments[0], arguments[1:]
    if arguments and is_question(arguments[0]) and _is_plain(arguments[0]):
        return CHAT, arguments
    return None, ()


def _is_plain(word: str) -> bool:
    """Whether it is a word, and of characters: Python keeps bytes that it cannot read as half of
    one."""
    readable = word.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in word)
    return bool(word) and (word == "-" or not word.startswith("-")) and readable


def _add(values: Values, option: Sequence[Any], word: str) -> bool:
    name, kind, *limits = option
    if not _is_plain(word):
        return False
    if kind == TEXTS:
        values.setdefault(name, []).append(word)
    elif kind == TEXT:
        values[name] = word
    elif word.isascii() and word.isdigit() and len(word) < _LONG:
        values[name] = int(word)
        return bool(limits[0] <= values[name] <= limits[1])
    else:
        return False
    return True


def _add_variables(values: Values, variables: Mapping[str, str]) -> bool:
    """Sets the flags that the environment has. False for a value that the parser has to read."""
    for variable, name in variables.items():
        text = os.environ.get(variable)
        if text and text != "1":
            return False
        if text:
            values[name] = True
    return True


def _function(name: str) -> Callable[..., None]:
    if name == CHAT:
        from ..conversation.ask import ask

        return ask
    from ..servers.foreground import serve

    return serve
