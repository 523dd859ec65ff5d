"""Wraps text for a terminal between words, so that paths and commands stay copyable."""

from __future__ import annotations

import os
import re
from typing import IO
from unicodedata import combining, east_asian_width

_WORD = re.compile(r"(?:`[^`\n]*`|[^\s`]|`)+")
"""A command in backticks is one word: it is not broken."""

INDENT = "  "


def fold(text: str, columns: int, indent: str = INDENT, start: int = 0) -> str:
    """The text, its first line broken between words to so many columns; what follows is indented.
    `start` columns are taken already where it begins.

    The other lines are as they were: a diff, or settings to paste. A word that is longer than a
    line stays whole, and the terminal breaks it without a newline.
    """
    first, newline, rest = text.partition("\n")
    if columns <= len(indent) + 1 or start + width(first) <= columns:
        return text
    begin, *words = _WORD.findall(first)
    lines, room = [begin], columns - start
    for word in words:
        if width(lines[-1]) + 1 + width(word) <= room:
            lines[-1] += f" {word}"
        else:
            lines.append(indent + word)
            room = columns
    return "\n".join(lines) + newline + rest


def width(text: str) -> int:
    """How many columns a text takes."""
    if text.isascii():
        return len(text)
    return sum(
        0 if combining(letter) else 2 if east_asian_width(letter) in "WF" else 1 for letter in text
    )


def columns_of(stream: IO[str]) -> int:
    """How wide the terminal is that a stream goes to; 0 where it goes to none, or to one that does
    not say."""
    try:
        return os.get_terminal_size(stream.fileno()).columns if stream.isatty() else 0
    except (OSError, ValueError):  # ValueError: it is closed
        return 0
