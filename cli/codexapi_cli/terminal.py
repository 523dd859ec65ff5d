"""Manners at the terminal: what goes to stdout, what to stderr, and the exit codes."""

from __future__ import annotations

import os
import re
import stat
import sys
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import typer

import codexapi_engine as engine

FAILED, USAGE, LOGIN, LIMIT, BACKEND, REJECTED, LOCAL_FILE = 1, 2, 3, 4, 5, 6, 7
INTERRUPTED, CLOSED_PIPE = 130, 141

# What model output could do to a terminal: C0 but tab and newline, DEL, C1, and whole sequences.
_CONTROL = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI
    r"|\x1b[\]PX^_].*?(?:\x1b\\|\x07|\Z)"  # OSC, DCS, SOS, PM, APC
    r"|\x1b[ -/]*[0-~]?|[\x00-\x08\x0b-\x1f\x7f-\x9f]",
    re.DOTALL,
)


def run(work: Coroutine[Any, Any, None]) -> None:
    """Runs a command, and ends the program with the exit code of what went wrong."""
    import asyncio  # 40 ms that --help does without

    try:
        asyncio.run(work)
        sys.stdout.flush()
    except engine.CodexError as error:
        say(f"codexapi: {error.code or error.type}: {error}")
        raise typer.Exit(exit_code(error)) from None
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    except BrokenPipeError:
        # The interpreter flushes stdout once more at its end, and would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        raise typer.Exit(CLOSED_PIPE) from None


def exit_code(error: engine.CodexError) -> int:
    if isinstance(error, engine.AuthError):
        return LOGIN
    if isinstance(error, engine.UsageLimitReached | engine.RateLimited):
        return LIMIT
    if isinstance(error, engine.ContentRefused):
        return FAILED
    if isinstance(error, engine.TransportError | engine.Overloaded | engine.Unavailable):
        return BACKEND
    if 400 <= error.status < 500:
        return REJECTED
    # A run that failed at the model is not a backend that could not be reached.
    return FAILED if error.code == "server_error" else BACKEND


def say(line: str) -> None:
    """A line for the person, who may have piped the answer elsewhere."""
    print(line, file=sys.stderr, flush=True)


class Answer:
    """The answer on stdout: as it comes in a pipe, harmless on a terminal, and with exactly one
    newline at its end."""

    def __init__(self) -> None:
        self._terminal = sys.stdout.isatty()
        self._held = ""  # the beginning of a control sequence that may go on
        self._newline = True

    def write(self, text: str) -> None:
        if self._terminal:
            text = self._harmless(text)
        if text:
            self._newline = text.endswith("\n")
            sys.stdout.buffer.write(text.encode(errors="replace"))
            sys.stdout.buffer.flush()

    def end(self) -> None:
        if not self._newline:
            self.write("\n")

    def _harmless(self, text: str) -> str:
        text = self._held + text
        start = text.rfind("\x1b")
        # A sequence may be cut between two pieces; none that matters is longer than this.
        open_ended = start >= 0 and len(text) - start < 64 and not _CONTROL.fullmatch(text[start:])
        self._held = text[start:] if open_ended else ""
        return _CONTROL.sub("", text[: start if open_ended else None])


class Progress:
    """A line on a terminal's stderr that says how long it has been; nothing elsewhere."""

    def __init__(self) -> None:
        self.shown = sys.stderr.isatty()
        self._steps = 0

    def step(self) -> None:
        """Another partial result has come."""
        self._steps += 1

    @asynccontextmanager
    async def running(self, what: str) -> AsyncIterator[None]:
        if not self.shown:
            yield
            return
        import asyncio  # loaded by now, and not before

        async def tell() -> None:
            since = time.monotonic()
            while True:
                seen = f", {self._steps} partial" if self._steps else ""
                line = f"{what}, {time.monotonic() - since:.0f} s{seen}"
                print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)
                await asyncio.sleep(1)

        telling = asyncio.create_task(tell())
        try:
            yield
        finally:
            telling.cancel()
            await asyncio.wait({telling})
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def stdin_text() -> str | None:
    """What was piped or redirected into us; None for a terminal, and for an inherited idle
    device, which nobody will ever close. Raises InvalidRequest if it is not text."""
    try:
        mode = os.fstat(0).st_mode
    except OSError:
        return None
    if not (stat.S_ISFIFO(mode) or stat.S_ISREG(mode)):
        return None
    try:
        return sys.stdin.buffer.read().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise engine.InvalidRequest("stdin is not UTF-8 text", param="stdin") from None
