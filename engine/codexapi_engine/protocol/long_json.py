"""Parses megabytes of JSON in steps, none of which holds the interpreter lock for long.

A single call that reads 32 MiB of escapes keeps all other threads waiting for a fifth of a second.
So strings with escapes are read by themselves, in windows, and the rest, which is fast, without
them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from . import json

MANY = json.PIECE
"""Escapes in a text from which on it is read so."""

_MARK = "\0"
"""Begins what stands for a string that was read by itself. No other string has it: it takes an
escape."""

_INSIDE = re.compile(rb'(?>(?:[^"\\]++|\\(?:u[0-9a-fA-F]{4}|[^u]))*)')
_LOW_HALF = re.compile(rb"\\u[dD][c-fC-F]")


def loads(data: bytes) -> Any:
    """The value of a JSON text. Raises ValueError."""
    # To look for one is quick, and to count them is not.
    if len(data) < 2 * MANY or b"\\" not in data or data.count(b"\\") < MANY:
        return json.loads(data)
    texts: list[str] = []
    rest = b"".join(_without_escapes(data, texts))

    def put(text: str) -> str:
        return texts[int(text[1:])] if text.startswith(_MARK) else text

    return json.mapped(json.loads(rest), put, keys=True)


def _without_escapes(data: bytes, texts: list[str]) -> Iterator[bytes]:
    """The text in pieces, with a mark for each string that has escapes, which goes to `texts`."""
    kept = at = 0
    while (start := data.find(b'"', at) + 1) > 0:
        at = data.find(b'"', start) + 1
        if at == 0:
            raise ValueError("a string has no end")
        if data.find(b"\\", start, at) < 0:
            continue
        text, at = _read_string(data, start)
        yield data[kept:start] + rb"\u0000%d" % len(texts)
        texts.append(text)
        kept = at - 1
    yield data[kept:]


def _read_string(data: bytes, at: int) -> tuple[str, int]:
    """The string from here on, and the place behind it."""
    read = []
    while True:
        match = _INSIDE.match(data, at, at + json.PIECE)
        assert match is not None, "an empty string matches"
        end = match.end()
        if _LOW_HALF.match(data, end):  # of a pair
            end += 6
        while data[end : end + 1] and data[end] & 0xC0 == 0x80:  # of a letter
            end += 1
        is_whole = data[end : end + 1] == b'"'
        if end == at and not is_whole:
            raise ValueError("a string has an escape that is none, or no end")
        read.append(json.loads(b'"%b"' % data[at:end]))
        if is_whole:
            return "".join(read), end + 1
        at = end
