"""Stable stand-ins for the secrets and names of one recording.

A stand-in has the length and the shape of what it stands for, and is the same wherever that occurs,
so that references still match. It is keyed by a random secret of the run, which is stored nowhere.
"""

from __future__ import annotations

import hashlib
import re
import string

from .letters import blank, representative

_PREFIX = re.compile(r"(?:resp|msg|rs|fc|fco|ctc|cto|call|ws|ig|cmp|req|conv|mcp|lsh)_")
"""What an id of the API begins with, which says what it is the id of."""

_HEX = frozenset("0123456789abcdef")
_LOWER, _UPPER, _DIGITS = string.ascii_lowercase, string.ascii_uppercase, string.digits
_LONGEST_NAME = 64
"""Letters of a name that decide its stand-in: each costs a hash of all that stand before it."""

_MOST_ALPHABETS = 4096


class Standins:
    """The stand-ins of one run. The same `key` gives the same ones."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._alphabets: dict[str, dict[int, int]] = {}

    def identifier(self, value: str) -> str:
        """For an id or a secret: no part of it can be found in its stand-in."""
        prefix = _PREFIX.match(value)
        start = prefix.end() if prefix else 0
        rest = value[start:]
        stream = hashlib.shake_256(self._key + b"id" + _bytes(value)).digest(len(rest))
        lower = "abcdef" if _HEX.issuperset(rest.replace("-", "")) else _LOWER
        return value[:start] + "".join(
            _replacement(letter, number, lower) for letter, number in zip(rest, stream, strict=True)
        )

    def name(self, value: str) -> str:
        """For the name of a tool or a field: different names have different stand-ins."""
        start = value[:_LONGEST_NAME]
        letters = (self.letter(start[:place], one) for place, one in enumerate(start))
        return "".join(letters) + blank(value[_LONGEST_NAME:])

    def letter(self, before: str, letter: str) -> str:
        """The letter of a name's stand-in, behind `before`: deltas bring names in pieces."""
        if not letter.isascii() or len(before) >= _LONGEST_NAME:
            return representative(letter)
        alphabet = self._alphabets.get(before)
        if alphabet is None:
            if len(self._alphabets) >= _MOST_ALPHABETS:
                self._alphabets.clear()
            alphabet = self._alphabets[before] = self._alphabet(before)
        return letter.translate(alphabet)

    @staticmethod
    def start(before: str, letter: str) -> str:
        """What stands before the next letter, as far as that depends on it."""
        return before if len(before) >= _LONGEST_NAME else before + letter

    def _alphabet(self, before: str) -> dict[int, int]:
        seed = hashlib.shake_256(self._key + b"name" + _bytes(before)).digest(124)
        shuffled = "".join(
            "".join(sorted(letters, key=lambda one: seed[2 * (at + letters.index(one)) :][:2]))
            for letters, at in ((_LOWER, 0), (_UPPER, 26), (_DIGITS, 52))
        )
        return str.maketrans(_LOWER + _UPPER + _DIGITS, shuffled)


def _replacement(letter: str, number: int, lower: str) -> str:
    for alphabet, replacement in ((_LOWER, lower), (_UPPER, _UPPER), (_DIGITS, _DIGITS)):
        if letter in alphabet:
            return replacement[number % len(replacement)]
    return representative(letter)


def _bytes(value: str) -> bytes:
    return value.encode("utf-8", "surrogatepass")


class Equals(Standins):
    """The same stand-in for all ids, and for all names of one shape: to compare two requests."""

    def __init__(self) -> None:
        super().__init__(b"")

    def identifier(self, value: str) -> str:
        return "(id)"

    def name(self, value: str) -> str:
        return "".join(map(representative, value))

    def letter(self, before: str, letter: str) -> str:
        return representative(letter)
