"""The signals by which a system, a terminal or a service manager ends a program."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

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
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ending_signals())
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
