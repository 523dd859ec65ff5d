"""Splits a line into words as a shell does: blanks, quotes, backslashes and `~`.

It also finds the names of files that a terminal types when they are dragged onto it.
"""

from __future__ import annotations

import glob
import os
import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

ESCAPES = os.name == "posix"
"""Whether a backslash escapes what follows it; on Windows it separates folders."""

_SPECIAL = re.compile(r"[^\w@%+=:,./~-]", re.ASCII)
_IN_DOUBLE_QUOTES = '"\\$`'


@dataclass(frozen=True, slots=True)
class LineWord:
    start: int  # its place in the line
    end: int
    text: str  # without quotes and backslashes
    quote: str  # the quote that is open at its end, or ""
    tilde: bool  # it begins with a `~` that stands for a home folder
    literal: bool  # some of it stands in quotes or behind a backslash


def words(line: str) -> list[LineWord]:
    """The words of a line; of the last one a quote may be open."""
    found = []
    at = 0
    while (start := _next(line, at)) < len(line):
        word = _word(line, start)
        found.append(word)
        at = word.end
    return found


def last_word(line: str) -> LineWord:
    """The word that ends where the line ends: an empty one after a blank."""
    found = words(line)
    if found and found[-1].end == len(line):
        return found[-1]
    return LineWord(len(line), len(line), "", "", tilde=False, literal=False)


def paths(line: str) -> list[str]:
    """The files that a line names. Raises ValueError where a quote is open."""
    found = words(line)
    if found and found[-1].quote:
        raise ValueError(f"the quote {found[-1].quote} is not closed")
    return [path for word in found for path in _paths(word)]


def dragged_files(line: str) -> list[str]:
    """The files of a line that is nothing but their full paths, as a terminal types them when they
    are dragged onto it; [] for any other line."""
    if "\n" in line or not line.strip():
        return []
    try:
        names = paths(line)
    except ValueError:
        return []
    return names if all(os.path.isabs(name) and os.path.isfile(name) for name in names) else []


def quote(path: str, mark: str = "") -> str:
    """A path as it is typed: inside the quote that is open, else with backslashes."""
    if mark == "'":
        return path.replace("'", "'\\''")
    if mark == '"':
        return re.sub(r'["\\$`]', r"\\\g<0>", path) if ESCAPES else path
    if not ESCAPES:
        return f'"{path}"' if " " in path else path
    return _SPECIAL.sub(lambda found: found[0] if ord(found[0]) > 127 else f"\\{found[0]}", path)


def file_of(address: str) -> str | None:
    """The path of a `file://` address on this machine; None for anything else."""
    if not address.lower().startswith("file:/"):
        return None
    try:
        parts = urlsplit(address)
    except ValueError:
        return None
    if parts.netloc not in ("", "localhost"):
        return None
    path = unquote(parts.path, errors="surrogateescape")
    return path if ESCAPES else path.lstrip("/")


def _paths(word: LineWord) -> list[str]:
    if (path := file_of(word.text)) is not None:
        return [path]
    path = os.path.expanduser(word.text) if word.tilde else word.text
    if word.literal or os.path.lexists(path):
        return [path]
    return sorted(glob.glob(path)) or [path]


def _next(line: str, at: int) -> int:
    while at < len(line) and line[at].isspace():
        at += 1
    return at


def _word(line: str, start: int) -> LineWord:
    text, open_quote, literal, at = [], "", False, start
    while at < len(line):
        char = line[at]
        if char == "\\" and ESCAPES and open_quote != "'" and at + 1 < len(line):
            if open_quote and line[at + 1] not in _IN_DOUBLE_QUOTES:
                text.append(char)
            text.append(line[at + 1])
            literal, at = True, at + 2
            continue
        if char == open_quote:
            open_quote = ""
        elif char in "'\"" and not open_quote:
            open_quote, literal = char, True
        elif char.isspace() and not open_quote:
            break
        else:
            text.append(char)
        at += 1
    return LineWord(start, at, "".join(text), open_quote, line[start] == "~", literal)
