"""An interactive command as a person sees it: what stands on the screen of a terminal emulator."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyte
import pytest
from tests import forks
from tests.cli.shell import PATIENCE, exit_code
from tests.processes import codexapi, environment

PASTE, PASTE_END = "\x1b[200~", "\x1b[201~"
UP, ESCAPE = "\x1b[A", "\x1b"


class Screen:
    """A program on a terminal, and the terminal's screen."""

    def __init__(self, child: Any, width: int, height: int) -> None:
        self.child = child
        self._screen = pyte.Screen(width, height)
        self._stream = pyte.ByteStream(self._screen)
        self.output = b""

    @property
    def lines(self) -> list[str]:
        """What is on it, without the empty end."""
        lines = [line.rstrip() for line in self._screen.display]
        while lines and not lines[-1]:
            lines.pop()
        return lines

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    @property
    def is_at_prompt(self) -> bool:
        """Whether the cursor stands behind an empty prompt."""
        cursor = self._screen.cursor
        return cursor.x == 2 and self._screen.display[cursor.y].rstrip() == ">"

    def type(self, keys: str) -> None:
        self.child.send(keys.encode(errors="surrogateescape"))

    def paste(self, text: str) -> None:
        self.type(f"{PASTE}{text}{PASTE_END}")

    def wait(self, reached: Callable[[], bool]) -> None:
        """Fails, and shows the screen, where that does not come."""
        import pexpect  # Windows has none

        while not reached():
            try:
                data = self.child.read_nonblocking(65536, PATIENCE)
            except (pexpect.TIMEOUT, pexpect.EOF):
                pytest.fail(f"on the screen:\n{self.text}", pytrace=False)
            self.output += data
            self._stream.feed(data)

    def see(self, text: str) -> None:
        """Waits for a text on the screen."""
        self.wait(lambda: text in self.text)

    def enter(self, line: str, reply: str) -> None:
        """Sends a line, and waits for its reply and the next prompt. The reply may not be on the
        screen yet."""
        assert reply not in self.text
        self.type(f"{line}\r")
        self.wait(lambda: reply in self.text.replace(line, "", 1) and self.is_at_prompt)

    def resize(self, width: int, height: int) -> None:
        self._screen.resize(height, width)
        self.child.setwinsize(height, width)

    def end(self) -> int:
        """Reads to the end, and gives the exit code."""
        rest = self.child.read()
        self.output += rest
        self._stream.feed(rest)
        return exit_code(self.child)


@contextmanager
def screen(
    *arguments: str,
    env: Mapping[str, str] | None = None,
    width: int = 100,
    height: int = 40,
    cwd: Path | None = None,
    program: Sequence[str] = (),
) -> Iterator[Screen]:
    """`codexapi` with these arguments, or another program."""
    environ = environment(**{"TERM": "xterm-256color", **(env or {})})
    child = forks.spawn(
        program or codexapi(*arguments), env=environ, timeout=PATIENCE,
        dimensions=(height, width), cwd=cwd,
    )  # fmt: skip
    try:
        yield Screen(child, width, height)
    finally:
        child.close(force=True)


@contextmanager
def chat_screen(*arguments: str, **options: Any) -> Iterator[Screen]:
    """A simulated interactive chat, at its first prompt."""
    with screen("chat", "--demo", *arguments, **options) as shown:
        shown.wait(lambda: shown.is_at_prompt)
        yield shown
