"""Lines for a terminal that break between words: nothing is cut that somebody would copy."""

from __future__ import annotations

import os
import re
from typing import IO

_WORD = re.compile(r"(?:`[^`\n]*`|[^\s`]|`)+")
"""A command in backticks is one word: it is copied whole."""

INDENT = "  "


def fold(text: str, columns: int, indent: str = INDENT) -> str:
    """The text, its first line broken between words to so many columns; what follows is indented.

    The other lines are as they were: a diff, or settings to paste. A word that is longer than a
    line stays whole, and the terminal breaks it without a newline.
    """
    first, newline, rest = text.partition("\n")
    if columns <= len(indent) + 1 or width(first) <= columns:
        return text
    lines, room = [""], columns
    for word in _WORD.findall(first):
        joined = f"{lines[-1]} {word}" if lines[-1].strip() else lines[-1] + word
        if lines[-1].strip() and width(joined) > room:
            lines.append(indent + word)
        else:
            lines[-1] = joined
    return "\n".join(lines) + newline + rest


def width(text: str) -> int:
    """How many columns a text takes."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

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
