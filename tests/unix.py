"""What Unix has and Windows lacks. A test that calls it is skipped there."""

from __future__ import annotations

import os
import signal
import socket
import sys
from contextlib import suppress
from typing import IO, Any

import pytest

with suppress(ImportError):
    import fcntl

REASON = "Windows has none of this"
SIGKILL: int = getattr(signal, "SIGKILL", signal.SIGTERM)
"""Windows ends a process the hard way in any case."""


def lock(file: IO[Any] | int, *, wait: bool = False) -> None:
    """Locks as the official client does. Raises BlockingIOError if another program has the lock."""
    if sys.platform == "win32":
        pytest.skip(REASON)
    fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))


def unlock(file: IO[Any] | int) -> None:
    if sys.platform == "win32":
        pytest.skip(REASON)
    fcntl.flock(file, fcntl.LOCK_UN)


def make_fifo(path: str | os.PathLike[str]) -> None:
    if sys.platform == "win32":
        pytest.skip(REASON)
    os.mkfifo(path)


def is_root() -> bool:
    return sys.platform != "win32" and os.geteuid() == 0


def socket_pair() -> tuple[socket.socket, socket.socket]:
    """Two ends that carry messages, and descriptors with them. macOS has none of these either."""
    if sys.platform == "win32":
        pytest.skip(REASON)
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
