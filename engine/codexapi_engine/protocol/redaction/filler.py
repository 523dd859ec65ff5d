"""Filler for content: of the same length and shape, and the same whether it comes whole or in deltas.

Prose becomes the representatives of its letters. What begins as JSON stays JSON: names of fields
get stand-ins, numbers have other digits, and `true`, `false` and `null` stay.
"""

from __future__ import annotations

import re
from enum import Enum

from .letters import ESCAPE, SHORT_ESCAPES, blank, blank_literal, escape, representative, unescape
from .standins import Standins

_RUNS = re.compile(rf"{ESCAPE}|[^\\]+|\\", re.DOTALL)
"""An escape, or all up to the next."""

_LITERALS = ("true", "false", "null")
_X = "0078"
"""The digits of an escaped `x`, for those of any escaped letter."""

_DEEPEST = 1000


class _State(Enum):
    START = 0
    PROSE = 1
    JSON = 2  # between strings
    STRING = 3
    ESCAPE = 4  # behind a backslash


class Filler:
    """The filler for one text, which may come in pieces."""

    def __init__(self, standins: Standins) -> None:
        self._standins = standins
        self._state = _State.START
        self._open: list[str] = []  # brackets
        self._key_next = False
        self._key: str | None = None  # the name of a field, as far as it has come
        self._literal = ""
        self._in_number = False
        self._hex = 0  # digits of an escape that are still to come

    def literal(self, literal: str) -> str:
        """The filler for the inside of a JSON string, whose escapes stay."""
        done: list[str] = []
        for found in _RUNS.finditer(literal):
            run = found[0]
            if self._is_prose():
                return "".join(done) + blank_literal(literal[found.start() :])
            if run[0] == "\\":
                done.append(escape(run, self._letter(unescape(run))))
            elif self._state is _State.STRING and self._key is None and '"' not in run:
                done.append(blank(run))
            else:
                done.append(self.text(run))
        return "".join(done)

    def _is_prose(self) -> bool:
        return self._state is _State.PROSE

    def text(self, text: str) -> str:
        """The filler for a text."""
        return "".join(map(self._letter, text))

    def _letter(self, letter: str) -> str:
        if self._state is _State.JSON:
            return self._between(letter)
        if self._state is _State.STRING:
            return self._in_string(letter)
        if self._state is _State.ESCAPE:
            return self._in_escape(letter)
        if self._state is _State.START and not letter.isspace():
            self._state = _State.JSON if letter in "{[" else _State.PROSE
            return self._between(letter) if letter in "{[" else representative(letter)
        return representative(letter)

    def _between(self, letter: str) -> str:
        number, self._in_number = self._in_number, False
        literal, self._literal = self._literal, ""
        if letter.isdigit() and letter.isascii():
            self._in_number = True
            return "1"
        if number and letter in "eE":
            self._in_number = True
            return letter
        if any(each.startswith(literal + letter) for each in _LITERALS):
            self._literal = literal + letter
            return letter
        if letter.isspace() or letter in '+-.:,{}[]"':
            self._in_number = number and letter in "+-."
            self._punctuate(letter)
        else:
            self._state = _State.PROSE
        return representative(letter)

    def _punctuate(self, letter: str) -> None:
        if letter in "{[":
            self._open.append(letter)
            self._key_next = letter == "{"
            if len(self._open) > _DEEPEST:
                self._state = _State.PROSE
        elif letter in "}]":
            del self._open[-1:]
        elif letter == ",":
            self._key_next = self._open[-1:] == ["{"]
        elif letter == '"':
            self._state = _State.STRING
            self._key = "" if self._key_next else None
            self._key_next = False

    def _in_string(self, letter: str) -> str:
        if letter == '"':
            self._state = _State.JSON
            return letter
        if letter == "\\":
            self._state = _State.ESCAPE
            return letter
        if self._key is None:
            return representative(letter)
        before = self._key
        self._key = self._standins.start(before, letter)
        return self._standins.letter(before, letter)

    def _in_escape(self, letter: str) -> str:
        """A letter behind a backslash, or one of the digits behind `\\u`."""
        if self._hex:
            self._hex -= 1
            if letter not in "0123456789abcdefABCDEF":
                self._state = _State.PROSE
                return representative(letter)
            if not self._hex:
                self._state = _State.STRING
            return _X[3 - self._hex]
        if letter == "u":
            self._hex = 4
            return letter
        self._state = _State.STRING if letter in SHORT_ESCAPES else _State.PROSE
        return letter if letter in SHORT_ESCAPES else representative(letter)
