"""Prints a paragraph word by word while it is still being written.

Printed words are never drawn again: a terminal that rewraps its lines in a resize cannot move them.
"""

from __future__ import annotations

import re
from collections.abc import Callable

LONGEST_OPEN = 400
"""Letters for which a mark that was opened may wait for its end; then it is a letter itself."""

_TRIES = 12
_PLAIN = re.compile(
    r"(?![-+*]+(?:\s|$)|\d{1,9}[.)](?:\s|$)|[>#|<\s=]|`{3}|~~~|\[[^\]]*\]:|[-*_:]{2,}\s*$)"
)
_GAP = re.compile(r"\s+(?=\S)")
_OPEN = re.compile(
    r"\*+(?=\S)|(?<!\w)_+(?=\S)|~~(?=\S)|`|\[(?![^\[\]]*\](?:[^(]|$))|<(?=[A-Za-z/!?])"
)


def is_open(text: str) -> bool:
    """Whether a mark stands in the drawn text, whose end would give it a meaning."""
    return _OPEN.search(text) is not None


def printable(text: str, *, first: bool, is_final: Callable[[str], bool]) -> int | None:
    """How many letters of a block nothing can change any more; None if it is no paragraph.

    `first`: the block begins here. `is_final` tells whether what a text looks like is certain.
    """
    end = 0
    for number, line in enumerate(text.split("\n")):
        begins = number > 0 or first
        if begins and (not _PLAIN.match(line) or "|" in line):
            if number == 0 and line.strip():
                return None
            break
        end += len(line) + 1
    if "|" in text[: end - 1]:
        return 0
    gaps = [gap.start() for gap in _GAP.finditer(text[: max(0, end - 1)])]
    for at in gaps[: -_TRIES - 1 : -1]:
        if at and text[at - 1] != "\\" and is_final(text[:at]):
            return at
    return gaps[-1] if gaps and len(text) > LONGEST_OPEN else 0
