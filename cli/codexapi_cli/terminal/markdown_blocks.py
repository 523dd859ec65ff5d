"""Splits a growing Markdown text into blocks that later text cannot change.

It reads each letter once, so that the cost per letter does not grow with the answer.
"""

from __future__ import annotations

import re
import textwrap
from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

_MARKS = re.compile(r"(?:[ \t]*(?:[-+*]|\d{1,9}[.)])(?=[ \t]))*[ \t]*(`{3,}|~{3,})([^\n]*)")
_ITEM = re.compile(r"(?:([-+*])|\d{1,9}([.)]))[ \t]+\S")
_HEADING = re.compile(r"#{1,6}(?:[ \t]|$)")
_RULE = re.compile(r"([-*_])[ \t]*(?:\1[ \t]*){2,}$")
_DELIMITERS = re.compile(r"[ \t]*[|:-][-|: \t]+$")

CONTEXT_LINES, CONTEXT_LETTERS = 40, 4_000
"""What of a code block is read again, so that the next line gets its colours."""


class Piece(NamedTuple):
    """What is finished: Markdown, or complete lines of a fenced block of code."""

    text: str
    gap_before: bool  # a blank line stands before it
    fence: Fence | None = None  # None: Markdown
    context: str = ""  # lines of code before these
    goes_on: bool = False  # the beginning of its paragraph has been taken


@dataclass(frozen=True, slots=True)
class Fence:
    mark: str
    info: str  # what stands behind the mark, the language at first

    def ends_with(self, line: str) -> bool:
        line = line.strip(" \t\n")
        return len(line) >= len(self.mark) and not line.strip(self.mark[0])


class Blocks:
    """Takes a text piece by piece, and gives it back in blocks that are finished."""

    def __init__(self) -> None:
        self._line: list[str] = []  # pieces of the line that has no end yet
        self._block: list[str] = []  # complete lines of the block that has no end yet
        self._length = 0  # letters of them
        self._item: str | None = None  # the mark of the list that the block is an item of
        self._goes_on = False  # the beginning of the block has been taken
        self._gap_before = False
        self._blank = False  # the line before is blank
        self._inner: Fence | None = None  # an open fence inside the block
        self._fence: Fence | None = None  # the block is this fence, at the margin
        self._context: deque[str] = deque(maxlen=CONTEXT_LINES)

    def feed(self, text: str) -> list[Piece]:
        ready: list[Piece] = []
        first, *rest = text.split("\n")
        self._more(first, ready)
        for piece in rest:
            line, self._line = "".join(self._line), []
            if self._fence is not None:
                self._take_code(line, self._fence, ready)
            else:
                self._take(line, ready)
            self._more(piece, ready)
        return _join(ready)

    def end(self) -> list[Piece]:
        ready = self.feed("\n") if self._line else []
        if self._block:
            self._cut(ready)
        return ready

    def tail(self, letters: int) -> Piece:
        """The end of what is not finished, of about so many letters at most: a table with its head,
        and code with its fence."""
        line = _last("", self._line, letters)
        if self._fence is not None:
            return Piece(line, False, self._fence, self._code_before())
        text = _last(line, self._block, letters)
        if len(text) < self._length + len(line):
            head = self._block[:2] if _is_table(self._block) else ()
            text = "".join(head) + textwrap.dedent(text)
        return Piece(text, self._gap_before)

    def prose(self) -> Piece | None:
        """What is not finished, if it can be a paragraph."""
        if self._fence is not None or self._inner is not None or (self._block and self._item):
            return None
        if self._length > CONTEXT_LETTERS or len(self._line) > CONTEXT_LETTERS:
            return None  # each letter would be looked at again and again
        text = "".join(self._block) + "".join(self._line)
        return Piece(text, self._gap_before, goes_on=self._goes_on)

    def take(self, letters: int) -> None:
        """So many letters of a paragraph are done with."""
        text = ("".join(self._block) + "".join(self._line))[letters:]
        *lines, line = text.split("\n")
        self._block, self._line = [f"{line}\n" for line in lines], [line]
        self._length = len(text) - len(line)
        self._item, self._blank, self._goes_on = None, False, True

    def _more(self, piece: str, ready: list[Piece]) -> None:
        """The line goes on. After a blank one its first letter decides whether a block ends."""
        if not piece:
            return
        if not self._line and self._blank and piece[0] not in " \t":
            self._cut(ready)
        self._line.append(piece)

    def _take(self, line: str, ready: list[Piece]) -> None:
        """A complete line of Markdown."""
        if self._goes_on and not self._block:  # the end of a line whose beginning has been taken
            self._keep(line)
            return
        margin = bool(line.strip()) and line[0] not in " \t"
        if self._inner is not None:
            self._take_inner(line, self._inner, margin, ready)
            return
        fence = _opening(line)
        if margin and fence is not None and line.startswith(fence.mark):
            self._cut(ready)
            self._fence, self._blank = fence, False
            self._context.clear()
            ready.append(Piece("", True, fence))
            return
        heading = margin and _HEADING.match(line)
        sibling = self._is_sibling(line)
        if margin and (self._blank or heading or sibling):
            self._cut(ready, sibling=sibling)
        if not self._block:
            if not line.strip():
                return
            self._item = _item(line)
        self._inner = fence
        self._keep(line)
        if heading:
            self._cut(ready)

    def _keep(self, line: str) -> None:
        self._blank = self._inner is None and not line.strip()
        self._block.append(f"{line}\n")
        self._length += len(line) + 1

    def _take_inner(self, line: str, fence: Fence, margin: bool, ready: list[Piece]) -> None:
        """A line of code inside a block. At the margin it ends the list that the fence is in."""
        closing = fence.ends_with(line)
        if closing or (margin and self._item is not None):
            self._inner = None
        if margin and self._item is not None and not closing:
            self._cut(ready, sibling=self._is_sibling(line))
            self._take(line, ready)
        else:
            self._keep(line)

    def _take_code(self, line: str, fence: Fence, ready: list[Piece]) -> None:
        if fence.ends_with(line):
            self._fence, self._gap_before = None, True
            return
        ready.append(Piece(f"{line}\n", False, fence, self._code_before()))
        self._context.append(f"{line}\n")

    def _code_before(self) -> str:
        return _last("", self._context, CONTEXT_LETTERS)

    def _is_sibling(self, line: str) -> bool:
        return bool(self._block) and self._item is not None and _item(line) == self._item

    def _cut(self, ready: list[Piece], *, sibling: bool = False) -> None:
        """The block is over. What follows stands apart from it, but for the next item of a list
        that has no blank lines."""
        if not self._block:
            return
        text = "".join(self._block)
        ready.append(Piece(text, self._gap_before, goes_on=self._goes_on))
        self._goes_on = False
        self._gap_before = self._blank or not sibling
        self._block, self._length, self._blank = [], 0, False


def _join(pieces: list[Piece]) -> list[Piece]:
    """Lines of one block of code that came together are coloured together."""
    joined: list[Piece] = []
    for piece in pieces:
        before = joined[-1] if joined else None
        goes_on = piece.fence is not None and before is not None and before.fence is piece.fence
        if goes_on and before is not None:
            joined[-1] = before._replace(text=before.text + piece.text)
        else:
            joined.append(piece)
    return joined


def _opening(line: str) -> Fence | None:
    match = _MARKS.match(line)
    if match is None or (match[1][0] == "`" and "`" in match[2]):
        return None
    return Fence(match[1], match[2].strip())


def _item(line: str) -> str | None:
    match = _ITEM.match(line)
    return None if match is None or _RULE.match(line) else match[1] or match[2]


def _is_table(lines: list[str]) -> bool:
    return len(lines) > 1 and "|" in lines[0] and _DELIMITERS.match(lines[1]) is not None


def _last(end: str, pieces: list[str] | deque[str], letters: int) -> str:
    """The last pieces and `end`, of so many letters at most."""
    taken = [end]
    room = letters - len(end)
    for piece in reversed(pieces):
        if room <= 0:
            break
        taken.append(piece[-room:])
        room -= len(piece)
    return "".join(reversed(taken))
