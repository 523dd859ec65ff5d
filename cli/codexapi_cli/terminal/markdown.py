"""Draws Markdown on a terminal while it is still being written.

Complete blocks are printed for good, and the growing end is drawn anew. It imports rich, so this
module is loaded only when an answer is on its way.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.color import ColorSystem
from rich.console import Console
from rich.text import Text

from .answer import Thinking
from .cells import cells, continue_row, fold_row
from .cleaning import TerminalSanitizer
from .colors import colourful
from .markdown_blocks import Blocks, Piece
from .markdown_drawing import Drawing
from .markdown_prose import printable
from .output import put_drawn

if TYPE_CHECKING:
    from asyncio import TimerHandle

FRAME = 0.05
"""Seconds between two drawings of the end that grows."""

NARROWEST = 20
"""Columns below which nothing is drawn narrower than the terminal is."""

# A new frame stands where the old one began, which a resize leaves where it is: the terminal wraps
# lines anew, and the cursor goes with them. tmux keeps in its history what `ESC [ J` takes away at
# the top of the window, so the first row is taken away by itself. `ESC 7` and `ESC 8` keep the
# cursor, which goes no further down than there are rows.
_ERASURE = "\r\x1b[2K\x1b7\x1b[B\x1b[J\x1b8"
_WRAP, _NO_WRAP = "\x1b[?7h", "\x1b[?7l"
"""A row stays one row if the terminal measures a letter otherwise."""


@dataclass(frozen=True, slots=True)
class Screen:
    """Where Markdown is drawn."""

    write: Callable[[str], None]
    size: Callable[[], os.terminal_size]
    moves: bool  # the cursor can be moved: what is drawn can be drawn anew
    styled: bool
    rewraps: bool = False  # in a resize, what is there is wrapped anew

    @classmethod
    def of_stdout(cls) -> Screen:
        # Markdown in a pipe is shown elsewhere, so it keeps its colours.
        moves = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
        return cls(put_drawn, _size, moves, colourful(True), moves and _rewraps(os.environ))


_REWRAPPING = (
    "TMUX", "VTE_VERSION", "KITTY_WINDOW_ID", "KONSOLE_VERSION", "WT_SESSION",
    "ALACRITTY_WINDOW_ID", "TERM_PROGRAM",
)  # fmt: skip
_REWRAPPING_KINDS = ("tmux", "xterm-kitty", "xterm-ghostty", "foot", "alacritty")


def _rewraps(environ: Mapping[str, str]) -> bool:
    """Whether it is a terminal of which that is known: those that name themselves do."""
    kind = environ.get("TERM", "")
    return kind.startswith(_REWRAPPING_KINDS) or any(environ.get(name) for name in _REWRAPPING)


def _size() -> os.terminal_size:
    with suppress(OSError, ValueError):
        size = os.get_terminal_size(sys.stdout.fileno())
        if size.columns and size.lines:
            return size
    return shutil.get_terminal_size()


class Markdown:
    """The answer as a person reads it. The cursor stays where it is seen: whatever ends us leaves
    the terminal as it was."""

    def __init__(
        self,
        screen: Screen | None = None,
        drawing: Drawing | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        # set once
        self._screen = screen or Screen.of_stdout()
        self._drawing = drawing or Drawing(styled=self._screen.styled)
        self._clock = clock
        self._console = Console(file=sys.stdout, force_terminal=True, highlight=False)
        self._sanitizer = TerminalSanitizer()
        self._thinking = Thinking()
        # moves as the answer moves
        self._blocks = Blocks()
        self._frame = ""  # what is drawn below all that is printed for good
        self._row = 0  # cells of the line of words that goes on
        self._columns = 0  # of the terminal, when the end was drawn last
        self._above = 0  # rows that stand above it at least
        self._begun = False  # something has been printed for good
        self._next = 0.0
        self._later: TimerHandle | None = None

    def write(self, text: str) -> None:
        self._thinking.end()
        self._settle(self._blocks.feed(self._sanitizer.feed(text)))
        if self._screen.moves:
            self._draw_in_time()

    def think(self, text: str) -> None:
        if self._row:  # in the middle of a line
            self._print("\n")
            self._row = 0
        self._erase()
        self._thinking.write(text)

    def end(self) -> None:
        self._cancel()
        self._thinking.end()
        pieces = self._blocks.feed(self._sanitizer.end())
        self._settle(pieces + self._blocks.end())
        self._erase()

    def _settle(self, pieces: Sequence[Piece]) -> None:
        """Prints what is finished, for good."""
        rows = [row for piece in pieces for row in self._rows(piece)]
        self._print("".join(f"{row}\n" for row in rows))

    def _print(self, text: str) -> None:
        if text:
            self._screen.write(self._erasure() + text)
            self._above += text.count("\n")

    def _erase(self) -> None:
        if erasure := self._erasure():
            self._screen.write(erasure)

    def _erasure(self) -> str:
        frame, self._frame = self._frame, ""
        return _ERASURE if frame else ""

    def _rows(self, piece: Piece) -> list[str]:
        width = self._screen.size().columns
        if piece.goes_on:
            text, lines = self._drawing.rest(piece.text, width)
            text.rstrip()
            end = self._continue(text, width)
            self._row = 0
            below = self._with_gap([line.text for line in lines], gap_before=bool(lines))
            return [end, *map(self._ansi, below)]
        if piece.fence is None:
            lines = self._drawing.lines(piece.text, width)
        else:
            lines = self._drawing.label(piece.fence.info) if piece.gap_before else []
            if piece.text:
                lines += self._drawing.code(piece.text, piece.fence.info, piece.context)
        rows = self._with_gap([line.text for line in lines], gap_before=piece.gap_before)
        return [self._ansi(row) for row in rows]

    def _with_gap(self, rows: list[Text], *, gap_before: bool) -> list[Text]:
        """Rows below the blank one that stands between blocks."""
        blank = [Text()] if gap_before and self._begun else []
        self._begun = self._begun or bool(rows)
        return blank + rows

    # Words, one after the other

    def _print_words(self) -> bool:
        """Prints for good what is certain of a paragraph; False if there is none."""
        prose = self._blocks.prose()
        if prose is None:
            return self._row > 0
        is_final = self._drawing.is_final
        letters = printable(prose.text, first=not prose.goes_on, is_final=is_final)
        if letters is None:
            return False
        if letters:
            blank = "\n" if prose.gap_before and self._begun and not prose.goes_on else ""
            words = self._drawing.words(prose.text[:letters])
            text = self._continue(words, self._screen.size().columns)
            self._print(blank + text)
            self._begun = True
            self._blocks.take(letters)
        return True

    def _continue(self, text: Text, width: int) -> str:
        if not self._row:
            text = text[len(text) - len(text.plain.lstrip()) :]
        column = (self._row - 1) % width + 1 if self._row else 0
        rows = continue_row(text, width, column)
        self._row = cells(rows[-1].plain) + (self._row if len(rows) == 1 else 0)
        return "\n".join(map(self._ansi, rows))

    # The end that grows

    def _draw_in_time(self) -> None:
        now = self._clock()
        if now >= self._next:
            self._draw()
            # Where drawing takes long, the backend is waiting meanwhile.
            self._next = self._clock() + max(FRAME, 4 * (self._clock() - now))
        elif self._later is None:
            with suppress(RuntimeError):  # without a loop, nothing is drawn later
                loop = asyncio.get_running_loop()
                self._later = loop.call_later(self._next - now, self._draw_later)

    def _draw_later(self) -> None:
        self._later = None
        with suppress(OSError):  # the next piece meets it too, where somebody hears of it
            self._draw_in_time()

    def _cancel(self) -> None:
        if self._later is not None:
            self._later.cancel()
            self._later = None

    def _draw(self) -> None:
        """Draws the end that grows: as much of it as still is on the screen when a resize makes
        two rows of one."""
        if self._screen.rewraps and self._print_words():
            return
        columns, height = self._screen.size()
        if columns != self._columns:
            self._columns, self._above = columns, 0
        room = (height - 2) // 2
        rows = self._draft(columns, room) if room > 0 else []
        if self._screen.rewraps and len(rows) > self._above and columns // 2 >= NARROWEST:
            # They would be wrapped out of the screen at its top, where nothing can be erased.
            rows = self._draft(columns // 2, room)
        if not rows:
            return
        up = f"\x1b[{len(rows) - 1}A" if len(rows) > 1 else ""
        frame = "\n".join(map(self._ansi, rows))
        if frame != self._frame:
            begin = _ERASURE if self._frame else ""
            self._screen.write(f"{begin}{_NO_WRAP}{frame}{_WRAP}{up}\r")
            self._frame = frame

    def _draft(self, columns: int, room: int) -> list[Text]:
        piece = self._blocks.tail(2 * columns * room)
        if not piece.text.strip():
            return []
        if piece.fence is not None:
            lines = self._drawing.code(piece.text, piece.fence.info, piece.context)
        else:
            lines = self._drawing.draft(piece.text, columns)
        rows = [row for line in lines for row in fold_row(line.text, columns)]
        blank = [Text()] if rows and piece.gap_before and self._begun else []
        return [*blank, *rows][-room:]

    def _ansi(self, row: Text) -> str:
        """A row with its looks, without a blank or a colour behind its end."""
        if not self._screen.styled:
            return row.plain
        return "".join(
            segment.style.render(segment.text, color_system=ColorSystem.STANDARD)
            if segment.style and not segment.text.isspace()
            else segment.text
            for segment in row.render(self._console)
        )
