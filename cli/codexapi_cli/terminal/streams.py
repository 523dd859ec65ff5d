"""Prepares the standard streams: open, unable to fail on a letter, and sanitised on a terminal.

The last holds for all writers: the parser of the command line, a log, a traceback.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any


class StdoutError(OSError):
    """stdout does not take what is written to it."""


class OutputStream(io.TextIOWrapper):
    """Text for a terminal, without what makes a terminal do things, or for a pipe as it is. What
    is drawn goes past it, to `buffer`."""

    def write(self, text: str) -> int:
        if self.isatty():
            from .cleaning import clean  # most commands write in other ways

            text = clean(text)
        with failing(self):
            return super().write(text)

    def flush(self) -> None:
        with failing(self):
            super().flush()


def prepare() -> None:
    """Before anything is read or written."""
    _fill_closed_descriptors()
    if sys.stdin is None:
        sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
    sys.stdout = _usable(sys.stdout, 1)
    sys.stderr = _usable(sys.stderr, 2)


@contextmanager
def failing(stream: object) -> Iterator[None]:
    """Raises StdoutError where writing to stdout fails; a pipe that is closed is no failure. A
    failure of stderr is nobody's: there is nowhere to tell it."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        if stream is sys.stdout:
            raise StdoutError(error.errno, error.strerror) from None
        silence(2)


def silence(descriptor: int) -> None:
    """What is written there goes nowhere from now on: the interpreter flushes the streams once more
    at its end, and would complain."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)


def _fill_closed_descriptors() -> None:
    """A file that is opened later would get the number of a closed stream, and what is printed.

    What is written to a closed stdout fails, as it should; a closed stderr swallows all.
    """
    for number, mode in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, mode)  # takes the lowest number that is free


def _usable(stream: Any, number: int) -> OutputStream:
    if stream is None:
        raw = io.FileIO(number, "w", closefd=False)
        return OutputStream(io.BufferedWriter(raw), "utf-8", "replace")
    encoding, lines, at_once = stream.encoding, stream.line_buffering, stream.write_through
    return OutputStream(
        stream.detach(), encoding, "backslashreplace", line_buffering=lines, write_through=at_once
    )
