"""The signals by which a system, a terminal or a service manager ends a program."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGBREAK")
_IGNORABLE = ("SIGHUP", "SIGQUIT")


def ending_signals() -> list[signal.Signals]:
    """Those that are there on this system. SIGHUP comes when a terminal is closed or an SSH session
    breaks off; SIGBREAK is Windows' Ctrl-Break, and its closing of a console window.

    Who started us may have had SIGHUP or SIGQUIT ignored, as `nohup` does: they stay so.
    """
    found = [(name, getattr(signal, name)) for name in _NAMES if hasattr(signal, name)]
    return [
        number
        for name, number in found
        if name not in _IGNORABLE or signal.getsignal(number) is not signal.SIG_IGN
    ]


@contextmanager
def signals_later() -> Iterator[None]:
    """Signals wait: an exception in the midst of making a loop leaves half a loop, which complains
    on stderr when it is collected. Not on Windows."""
    if sys.platform == "win32":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ending_signals())
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def signals_wake(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """A signal wakes the loop. The system may give it to any thread of the process, and Python's
    handlers run in the main thread alone, which would sleep on. To be entered and left there."""
    ours, loops = socket.socketpair()
    for end in (ours, loops):
        end.setblocking(False)

    def drain() -> None:
        with suppress(OSError):
            loops.recv(4096)

    with ours, loops:
        try:
            loop.add_reader(loops, drain)
        except NotImplementedError:  # Windows, where asyncio does all this itself
            yield
            return
        before = signal.set_wakeup_fd(ours.fileno(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(before)
            if not loop.is_closed():
                loop.remove_reader(loops)
