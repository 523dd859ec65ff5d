"""Markdown on a terminal, while it is still being written.

What is finished is printed for good, block by block; the last block is drawn anew as it grows.
Loads rich, and so is loaded only when an answer is on its way.
"""

from __future__ import annotations

import re
import sys
import time

from markdown_it import MarkdownIt
from rich.console import Console
from rich.markdown import Markdown as Rendered

from .answer import Thinking
from .cleaning import TerminalSanitizer
from .terminal import put_drawn

FRAME = 0.05
"""Seconds between two drawings of a block that grows."""

_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})", re.MULTILINE)


class Markdown:
    """The answer as a person reads it. The cursor stays where it is seen: whatever ends us leaves
    the terminal as it was."""

    def __init__(self) -> None:
        # set once
        self._console = Console(file=sys.stdout, force_terminal=True, highlight=False)
        # rich would drop HTML, and with it what the model wrote.
        parser = MarkdownIt("commonmark", {"html": False})
        self._parser = parser.enable(["strikethrough", "table"])
        self._sanitizer = TerminalSanitizer()
        self._thinking = Thinking()
        # moves as the answer moves
        self._open = ""  # the text that is not printed for good
        self._drawn = 0  # lines of it on the screen
        self._begun = False  # a block has been printed for good
        self._next = 0.0

    def write(self, text: str) -> None:
        self._thinking.end()
        self._open += self._sanitizer.feed(text)
        whole, self._open = finished(self._open)
        if whole:
            self._settle(whole)
        if self._open.strip() and (now := time.monotonic()) >= self._next:
            self._draw()
            # A block that has grown long takes long to draw, and the backend is waiting meanwhile.
            self._next = now + max(FRAME, 4 * (time.monotonic() - now))

    def think(self, text: str) -> None:
        self._thinking.write(text)

    def end(self) -> None:
        self._thinking.end()
        whole, self._open = self._open + self._sanitizer.end(), ""
        self._settle(whole)

    def _settle(self, text: str) -> None:
        """Prints blocks for good."""
        lines = self._lines(text)
        put_drawn(self._erasure() + "".join(f"{line}\n" for line in lines))
        self._drawn = 0
        self._begun = self._begun or bool(lines)

    def _draw(self) -> None:
        """Draws the block that grows: its end, where it is higher than the terminal."""
        room = max(1, self._console.height - 1)
        lines = self._lines(self._open)[-room:]
        put_drawn(self._erasure() + "".join(f"{line}\n" for line in lines))
        self._drawn = len(lines)

    def _erasure(self) -> str:
        return f"\x1b[{self._drawn}A\r\x1b[J" if self._drawn else ""

    def _lines(self, text: str) -> list[str]:
        if not text.strip():
            return []
        with self._console.capture() as captured:
            self._console.print(self._rendered(text))
        lines = [line.rstrip(" ") for line in captured.get().split("\n")]
        while lines and not lines[-1].strip():
            lines.pop()
        while lines and not lines[0].strip():
            lines.pop(0)
        return ["", *lines] if self._begun and lines else lines

    def _rendered(self, text: str) -> Rendered:
        made = Rendered("", code_theme="ansi_dark")  # a theme without a background of its own
        made.parsed = self._parser.parse(text)
        return made


def finished(text: str) -> tuple[str, str]:
    """The blocks that nothing can change any more, and the rest: cut at the last blank line that
    stands in no fence, and after which a line at the margin begins."""
    cut, fence, at = 0, "", 0
    blank = False
    for line in text.splitlines(keepends=True):
        mark = _FENCE.match(line)
        if not fence and blank and line.strip() and not line.startswith((" ", "\t")):
            cut = at
        if mark and not fence:
            fence = mark[1]
        elif mark and mark[1].startswith(fence) and not line.strip().strip(fence[0]):
            fence = ""
        blank = not fence and not line.strip()
        at += len(line)
    return text[:cut], text[cut:]
