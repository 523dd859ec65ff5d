"""Edits TOML as text: a new table, or a new `[[item]]` of a list, is appended to the file.

tomlkit edits inside a table, or at the top. `document` parses the outcome again and compares it
with the intended document, so that a form that cannot take an entry is refused.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator
from typing import Any

from .splice import MISSING, ListItem, Path, TextEdit, Unsafe, at, difference, newline_of, wrapped

NAME = "TOML"
_TOKEN = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}|'
    r"'''.*?'{3,5}|"
    r'"(?:\\.|[^"\\\n])*"|'
    r"'[^'\n]*'|#[^\n]*|[\[\]{}]",
    re.DOTALL,
)
"""What may hold a bracket that is none, and brackets."""

_Place = tuple[str | int, ...]
"""A path in which an item of a list stands by its number."""


def parse(text: str) -> Any:
    """The document. Raises Unsafe, with the line."""
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise Unsafe(str(error)) from None


def put(text: str, path: Path, value: Any) -> TextEdit:
    """The splice that makes a value stand at the path. Raises Unsafe."""
    there = at(parse(text), path)
    if not isinstance(value, dict):
        return _scalar(text, path, value, new=there is MISSING)
    if there is MISSING:
        return _appended(text, path, value)
    (start, end), *rest = _own_tables(text, path)
    after = _without(text, rest)
    new = _rendered(path, value, newline_of(text))
    header = re.compile(r"[ \t]*\[").search(text, start)
    assert header is not None  # after the blank line before it
    return difference(text, after[: header.start()] + new + after[end:])


def remove(text: str, path: Path) -> TextEdit:
    """The splice that takes out what stands at the path. Raises Unsafe."""
    if not isinstance(at(parse(text), path), dict):
        return _by_tomlkit(text, path, MISSING)
    return difference(text, _without(text, _own_tables(text, path)))


def _scalar(text: str, path: Path, value: Any, *, new: bool) -> TextEdit:
    if len(path) > 1 or not new:
        return _by_tomlkit(text, path, value)
    # The top of the file is before all tables, with its comments.
    return TextEdit(0, "", _rendered(path, value, newline_of(text)))


def _appended(text: str, path: Path, value: Any) -> TextEdit:
    newline = newline_of(text)
    gap = "" if not text or text.endswith("\n") else newline
    gap += newline if text.strip() and not re.search(r"\n\r?\n\Z", text) else ""
    return TextEdit(len(text), "", gap + _rendered(path, value, newline))


def _rendered(path: Path, value: Any, newline: str) -> str:
    import tomlkit  # for an edit alone

    return tomlkit.dumps(wrapped(path, value)).replace("\n", newline)


def _by_tomlkit(text: str, path: Path, value: Any) -> TextEdit:
    import tomlkit

    document: Any = tomlkit.parse(text)
    *parents, last = path
    table = document
    for step in parents:
        if step not in table:
            raise Unsafe(f"there is no table {step}")
        table = table[step]
    if value is MISSING:
        del table[last]
    else:
        table[last] = value
    return difference(text, tomlkit.dumps(document))


def _own_tables(text: str, path: Path) -> list[tuple[int, int]]:
    tables = list(_tables(text, path))
    if not tables:
        raise Unsafe("the entry is no table of its own")
    return tables


def _without(text: str, spans: list[tuple[int, int]]) -> str:
    for start, end in reversed(spans):
        text = text[:start] + text[end:]
    return text


def _tables(text: str, path: Path) -> Iterator[tuple[int, int]]:
    """Where the table at a path and those inside it stand, from their headers to the last of
    their keys, with the blank line before."""
    headers = list(_headers(text))
    names = _key_names(_line(text, start) for start in headers)
    wanted = _placed(text, path)
    for start, end, name in zip(headers, [*headers[1:], len(text)], names, strict=True):
        if name[: len(path)] == wanted:
            blank = text.rfind("\n", 0, max(start - 1, 0)) + 1
            before = blank if start and not text[blank:start].strip() else start
            yield before, _end_of_keys(text, start, end)


def _line(text: str, start: int) -> str:
    end = text.find("\n", start)
    return text[start : end if end >= 0 else len(text)].rstrip("\r")


def _headers(text: str) -> Iterator[int]:
    """Where the lines begin that are headers, and no items of a list or lines of a string."""
    depth = 0
    for token in _TOKEN.finditer(text):
        if token[0] in "[{":
            begins = text.rfind("\n", 0, token.start()) + 1
            if depth == 0 and not text[begins : token.start()].strip():
                yield begins
            depth += 1
        elif token[0] in "]}":
            depth -= 1


def _end_of_keys(text: str, start: int, end: int) -> int:
    """Where a table's last key ends: blank lines and comments behind it belong to what follows."""
    while end > start:
        line = text.rfind("\n", start, end - 1) + 1
        if line <= start or text[line:end].strip().partition("#")[0]:
            break
        end = line
    return end


def _key_names(headers: Iterable[str]) -> list[_Place]:
    """The place of each header's table."""
    counts: dict[_Place, int] = {}
    names = []
    for header in headers:
        steps, is_item = _header_name(header)
        place: _Place = ()
        for number, step in enumerate(steps, 1):
            place = (*place, step)
            if is_item and number == len(steps):
                counts[place] = counts.get(place, -1) + 1
            if place in counts:
                place = (*place, counts[place])
        names.append(place)
    return names


def _header_name(header: str) -> tuple[list[str], bool]:
    """The names in a header, and whether it is that of an item of a list."""
    value, names = parse(header), list[str]()
    while isinstance(value, dict) and value:
        [(name, value)] = value.items()
        names.append(name)
    return names, isinstance(value, list)


def _placed(text: str, path: Path) -> _Place:
    """The place of what stands at a path."""
    document, place = parse(text), list[str | int]()
    for number, step in enumerate(path):
        if isinstance(step, ListItem):
            items, item = at(document, path[:number]), at(document, path[: number + 1])
            place.append(next(n for n, there in enumerate(items) if there is item))
        else:
            place.append(step)
    return tuple(place)
