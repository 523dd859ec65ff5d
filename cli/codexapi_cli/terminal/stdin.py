"""Reads piped or redirected stdin."""

from __future__ import annotations

import os
import select
import stat
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import copy_context

import codexapi_engine as engine
from codexapi_engine.bounds import MAX_FILE_BYTES

from .output import LOCAL_FILE, Problem, note

IDLE = 2.0
"""Seconds after which we say that stdin is being waited for."""

LONG = 5.0
"""Seconds after which we say that it says something, and does not end."""

_PIECE = 1 << 20

MOMENT = 0.3
"""Seconds in which a socket must have data. A program that starts us with one has written to it by
then; a socket without data is the idle one of an agent's shell, which stays open."""


def stdin_bytes(*, by_name: bool = False, moment: float = MOMENT) -> bytes | None:
    """What was piped or redirected into us; None where nothing was: for a terminal, a device, and
    a socket that says nothing for a `moment`. `by_name`: the user asked for it, so that it is read
    whatever it is. Raises Problem."""
    try:
        mode = os.fstat(0).st_mode
    except OSError:
        return None
    if not (by_name or stat.S_ISFIFO(mode) or stat.S_ISREG(mode)):
        if not stat.S_ISSOCK(mode):
            return None
        if not _has_something(moment):
            note("codexapi: stdin is a socket that says nothing, and is not read; `-` reads it")
            return None
    try:
        return _read_all(by_name=by_name)
    except OSError as error:
        raise Problem(f"stdin: {error.strerror}", LOCAL_FILE) from None


def stdin_text(*, by_name: bool = False) -> str | None:
    """The same as text. Raises InvalidRequest if it is none, and Problem."""
    data = stdin_bytes(by_name=by_name)
    try:
        return None if data is None else data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise engine.InvalidRequest("stdin is not UTF-8 text", param="stdin") from None


def _has_something(moment: float) -> bool:
    return bool(select.select([0], [], [], moment)[0])


def _read_all(*, by_name: bool) -> bytes:
    without = "" if by_name else "; --no-stdin does without"
    data = bytearray()
    with _telling(IDLE, f"codexapi: waiting for stdin{without}"):
        piece = _piece()
    # It may have data and stay open, as does a log that is being followed.
    with _telling(LONG, f"codexapi: stdin has not ended, and is still read{without}"):
        while piece:
            data += piece
            if len(data) > MAX_FILE_BYTES:
                raise Problem(
                    f"stdin: it has more than {MAX_FILE_BYTES // 1024**2} MiB", LOCAL_FILE
                )
            piece = _piece()
    return bytes(data)


def _piece() -> bytes:
    """The next bytes; none at the end. The parent may have left stdin non-blocking."""
    while (piece := sys.stdin.buffer.raw.read(_PIECE)) is None:  # type: ignore[union-attr]
        select.select([0], [], [])
    return bytes(piece)


@contextmanager
def _telling(seconds: float, what: str) -> Iterator[None]:
    """A pipe without a writer, as under cron, would otherwise hang without a message."""
    if sys.stdin.isatty():
        yield
        return
    timer = threading.Timer(seconds, copy_context().run, [note, what])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
