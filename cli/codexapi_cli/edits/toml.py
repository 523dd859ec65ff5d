"""TOML, edited as text: a new table goes to the end of the file, and out of it whole.

What is inside a table, or at the top, tomlkit edits. `document` reads the outcome again and
compares it with what was meant, so that a shape that cannot take an entry is refused.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from typing import Any

from .splice import MISSING, Path, Splice, Unsafe, at, difference, newline_of, wrapped

NAME = "TOML"
_HEADER = re.compile(r"^[ \t]*\[[^\r\n]*", re.MULTILINE)
_REST = re.compile(r"(?<=\n)(?:[ \t]*(?:#[^\n]*)?\r?\n)*[ \t]*(?:#[^\n]*)?\Z")
"""Blank lines and comments at the end of a table: they belong to what follows."""


def parse(text: str) -> Any:
    """The document. Raises Unsafe, with the line."""
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise Unsafe(str(error)) from None


def put(text: str, path: Path, value: Any) -> Splice:
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


def remove(text: str, path: Path) -> Splice:
    """The splice that takes out what stands at the path. Raises Unsafe."""
    if not isinstance(at(parse(text), path), dict):
        return _by_tomlkit(text, path, MISSING)
    return difference(text, _without(text, _own_tables(text, path)))


def _scalar(text: str, path: Path, value: Any, *, new: bool) -> Splice:
    if len(path) > 1 or not new:
        return _by_tomlkit(text, path, value)
    # The top of the file is before all tables, whatever comments stand there.
    return Splice(0, "", _rendered(path, value, newline_of(text)))


def _appended(text: str, path: Path, value: Any) -> Splice:
    newline = newline_of(text)
    gap = "" if not text or text.endswith("\n") else newline
    gap += newline if text.strip() and not re.search(r"\n\r?\n\Z", text) else ""
    return Splice(len(text), "", gap + _rendered(path, value, newline))


def _rendered(path: Path, value: Any, newline: str) -> str:
    import tomlkit  # 40 ms that only an edit costs

    return tomlkit.dumps(wrapped(path, value)).replace("\n", newline)


def _by_tomlkit(text: str, path: Path, value: Any) -> Splice:
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
    headers = [found for found in _HEADER.finditer(text) if _is_header(text, found.start())]
    ends = [*(header.start() for header in headers[1:]), len(text)]
    for header, end in zip(headers, ends, strict=True):
        if _name(header[0])[: len(path)] == path:
            body = text[header.start() : end]
            rest = _REST.search(body)
            last = header.start() + rest.start() if rest else end
            before = re.search(r"(?:^|(?<=\n))[ \t]*\r?\n\Z", text[: header.start()])
            yield before.start() if before else header.start(), last


def _is_header(text: str, place: int) -> bool:
    """Whether a line that looks like a header is one, and not inside a string or a list."""
    try:
        parse(text[:place])
    except Unsafe:
        return False
    return True


def _name(header: str) -> Path:
    """The path in a header; that of a list of tables counts as none."""
    value, path = parse(header), list[str]()
    while isinstance(value, dict) and value:
        [(name, value)] = value.items()
        path.append(name)
    return tuple(path) if isinstance(value, dict) else ()
