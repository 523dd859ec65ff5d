r"""Parses and writes JSON, with long strings in chunks.

pydantic_core comes with a required package and is three times as fast as the standard library. It
refuses lone surrogates (`"\ud83d"`), which models do emit when a stream cuts an emoji: then the
standard library parses the text, and U+FFFD replaces each of them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from ._pydantic_core import PydanticSerializationError, from_json, to_json

PIECE = 256 * 1024
"""What is larger goes in pieces."""

HEAVY = 2 * PIECE
"""What is larger takes longer to read or write than a thread does."""

_STEP = 4 * PIECE
"""Bytes per call where no client waits for a first chunk."""

_EACH = 200
"""The weight of any value, in bytes: a long list of small values takes its time too."""

_LONG = "a long string"  # stands where one was taken out


class ChunkedString:
    """A long string of plain ASCII, in the chunks of the network: between quotes, they are its
    JSON. So a picture need not be copied to be parsed and written again."""

    __slots__ = ("pieces",)

    def __init__(self, pieces: list[bytes]) -> None:
        self.pieces = pieces

    def __str__(self) -> str:
        return b"".join(self.pieces).decode("ascii")


def loads(data: bytes | str) -> Any:
    """The value of a JSON text. Raises ValueError, for `NaN` and `Infinity` too."""
    try:
        return from_json(data, allow_inf_nan=False)
    except ValueError:
        text = data if isinstance(data, str) else data.decode("utf-8")
        if "\\u" not in text and text.isascii():
            raise
        try:
            return mapped(json.loads(text, parse_constant=_raise_not_json), _whole_text, keys=True)
        except RecursionError:
            raise ValueError("nested too deep") from None


def dumps(value: Any, *, indent: int | None = None) -> bytes:
    """UTF-8 JSON, compact unless `indent` is given. A `ChunkedString` is a string like any other."""
    try:
        # A float beyond the double's range (1e999) is read as infinity, which is not JSON.
        return to_json(value, indent=indent, inf_nan_mode="null", fallback=_encodable)
    except (PydanticSerializationError, UnicodeEncodeError, ValueError):
        separators = (",", ":") if indent is None else None
        text = json.dumps(
            value, ensure_ascii=False, separators=separators, indent=indent, default=_encodable
        )
        return _whole_text(text).encode()


def parse_around_string(chunks: list[bytes]) -> Any:
    """The value of a JSON text in pieces, where the first string that has whole plain pieces is a
    `ChunkedString`. None where that cannot be had: then the pieces are to be joined and read."""
    plain = [_is_plain(piece) for piece in chunks]
    if True not in plain:
        return None
    start = plain.index(True)
    stop = plain.index(False, start) if False in plain[start:] else len(plain)
    try:
        value = loads(b"".join([*chunks[:start], _LONG.encode(), *chunks[stop:]]))
    except ValueError:  # they are no string
        return None
    found: list[tuple[str, str]] = []

    def put(text: str) -> str | ChunkedString:
        before, mark, after = text.partition(_LONG)
        if not mark:
            return text
        found.append((before, after))
        return ChunkedString([before.encode(), *chunks[start:stop], after.encode()])

    value = mapped(value, put)
    # A client's own text may equal the mark, or need escapes.
    safe = len(found) == 1 and all(text == "" or _is_plain(text.encode()) for text in found[0])
    return value if safe else None


def is_heavy(*values: Any, bound: int = HEAVY, texts: bool = True) -> bool:
    """Whether to read or write them takes longer than a thread does. It takes a bounded look.
    Without `texts`: whether to walk through them does, where no string is read."""
    left, rest = bound, list(values)
    for value in rest:  # which grows meanwhile
        kind = type(value)  # its own calls are most of what a small request costs here
        if kind is str:
            left -= len(value) if texts else 0
        elif kind is dict or kind is list:
            left -= _EACH * len(value)
            if left >= 0:
                rest += value.values() if kind is dict else value
        elif kind is ChunkedString:
            return True
        if left < 0:
            return True
    return False


def dumps_in_steps(value: Any) -> bytes:
    """What `dumps` gives, in steps between which other threads have their turn."""
    return b"".join(pieces(value)) if is_heavy(value, bound=_STEP) else dumps(value)


def pieces(value: Any) -> Iterator[bytes]:
    """What `dumps` gives, in pieces: of a large string there is never a second one."""
    if isinstance(value, ChunkedString):
        yield from (b'"', *value.pieces, b'"')
    elif not is_heavy(value, bound=PIECE):
        yield dumps(value)
    elif isinstance(value, str):
        yield b'"'
        for start in range(0, len(value), PIECE):
            yield dumps(value[start : start + PIECE])[1:-1]
        yield b'"'
    elif isinstance(value, dict):
        for count, (key, item) in enumerate(value.items()):
            yield b"," if count else b"{"
            yield from pieces(key)
            yield b":"
            yield from pieces(item)
        yield b"}"
    else:
        for count, item in enumerate(value):
            yield b"," if count else b"["
            yield from pieces(item)
        yield b"]"


def _encodable(value: object) -> str:
    if isinstance(value, ChunkedString):
        return str(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


def _is_plain(piece: bytes) -> bool:
    """Whether it says in a JSON string what it is."""
    if not piece.isascii() or b"\\" in piece:
        return False
    try:
        return bool(from_json(b'"%b"' % piece))
    except ValueError:
        return False


def mapped(value: Any, change: Callable[[str], Any], *, keys: bool = False) -> Any:
    """The same with every string changed; those that name something only with `keys`."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [mapped(item, change, keys=keys) for item in value]
    if isinstance(value, dict):
        return {
            change(key) if keys else key: mapped(item, change, keys=keys)
            for key, item in value.items()
        }
    return value


def _whole_text(text: str) -> str:
    """The same with U+FFFD for each half of a pair, and with two halves that meet as one. In no
    more steps than codecs take in C: an error handler for each half would take 2 us."""
    if text.isascii() or not _HALF.search(text):
        return text
    joined = _PAIR.sub(_joined, text)
    # Undecodable bytes are escaped one by one: three for a half, of which the first stays.
    escaped = joined.encode("utf-8", "surrogatepass").decode("utf-8", "surrogateescape")
    return escaped.replace("\udced", "\ufffd").encode("utf-8", "ignore").decode("utf-8")


def _joined(pair: re.Match[str]) -> str:
    return pair[0].encode("utf-16", "surrogatepass").decode("utf-16")


_HALF = re.compile("[\ud800-\udfff]")
_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")


def _raise_not_json(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
