"""Networks of their own: for programs that would talk to the internet, one with nothing but loopback."""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager

NEW_NETWORK = 0x40000000  # CLONE_NEWNET
_SET_FLAGS = 0x8914  # SIOCSIFFLAGS
_UP = 0x41  # IFF_UP | IFF_RUNNING


@contextmanager
def loopback_only() -> Iterator[None]:
    """This thread, and the threads and programs that it starts, have a loopback of their own and
    no other network meanwhile. That takes root on Linux: elsewhere nothing changes."""
    if sys.platform != "linux" or os.geteuid() != 0:
        yield
        return
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/thread-self/ns/net", "rb") as before:
        _check(libc.unshare(NEW_NETWORK))
        try:
            with socket.socket(type=socket.SOCK_DGRAM) as control:
                fcntl.ioctl(control, _SET_FLAGS, struct.pack("16sh14x", b"lo", _UP))
            yield
        finally:
            enter(before.fileno())


def enter(place: int) -> None:
    """Moves this thread into a network, or this process into a tree of mounts, by a descriptor of it
    (`os.setns` is Python 3.12's)."""
    _check(ctypes.CDLL(None, use_errno=True).setns(place, 0))


def _check(failure: int) -> None:
    if failure:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
