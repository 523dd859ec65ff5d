"""A terminal's screen, with what has left it at its top; and a real one, of tmux."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyte
from tests.processes import environment


class _Screen(pyte.HistoryScreen):
    def draw(self, data: str) -> None:
        # pyte leaves out what stands behind a joiner of emoji.
        for letter in data:
            super().draw(letter)


class Emulator:
    """A terminal emulator."""

    def __init__(self, columns: int, lines: int, history: int = 100_000) -> None:
        self._screen = _Screen(columns, lines, history=history, ratio=0.5)
        self._stream = pyte.Stream(self._screen)
        self.written = ""

    def write(self, text: str) -> None:
        self.written += text
        self._stream.feed(text.replace("\r\n", "\n").replace("\n", "\r\n"))

    def size(self) -> os.terminal_size:
        return os.terminal_size((self._screen.columns, self._screen.lines))

    def resize(self, columns: int) -> None:
        self._screen.resize(columns=columns)

    @property
    def above(self) -> list[str]:
        """What has left the screen at its top."""
        return [self._line(row) for row in self._screen.history.top]

    @property
    def rows(self) -> list[str]:
        """All that stands there, without the blank rows below it."""
        rows = self.above + [row.rstrip() for row in self._screen.display]
        while rows and not rows[-1]:
            rows.pop()
        return rows

    @property
    def text(self) -> str:
        return "\n".join(self.rows)

    @property
    def cursor(self) -> tuple[int, int]:
        return self._screen.cursor.x, self._screen.cursor.y

    def _line(self, row: dict[int, pyte.screens.Char]) -> str:
        return "".join(row[at].data for at in range(self._screen.columns)).rstrip()


@dataclass(frozen=True, slots=True)
class Tmux:
    socket: Path
    env: dict[str, str]

    def __call__(self, *arguments: str) -> str:
        done = subprocess.run(
            ["tmux", "-S", str(self.socket), "-f", "/dev/null", *arguments],
            env=self.env, capture_output=True, text=True, check=True, timeout=60,
        )  # fmt: skip
        return done.stdout

    def history(self, *, joined: bool = False) -> list[str]:
        """All that stands in the window and above it, without blank lines. `joined`: a line that
        tmux has wrapped is one, as for whoever selects it."""
        more = ["-J"] if joined else []
        lines = self("capture-pane", "-p", *more, "-S", "-", "-t", "window").split("\n")
        return [line.rstrip() for line in lines if line.strip()]


@contextmanager
def tmux(
    folder: Path, command: str, *, columns: int = 80, lines: int = 24, **env: str
) -> Iterator[Tmux]:
    """A shell's command in a window of a tmux of its own, which stays when the command has ended.
    `$tmux` is that tmux."""
    socket = folder / "socket"
    given = {"TERM": "xterm-256color", "tmux": f"tmux -S {socket}", **env}
    window = Tmux(socket, environment(**given))
    try:
        window(
            "new-session", "-d", "-s", "window", "-x", str(columns), "-y", str(lines),
            f"{command}; $tmux wait-for -S ended; cat",
        )  # fmt: skip
        yield window
    finally:
        subprocess.run(
            ["tmux", "-S", str(socket), "kill-server"], env=window.env, capture_output=True,
            check=False,
        )  # fmt: skip
