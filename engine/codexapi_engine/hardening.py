"""Keeps other programs out of this process's memory, where the login is: Linux alone.

No debugger of another process, no core file, and `/proc/PID/{environ,mem}` are root's. Not promised:
secrecy from root, or from swap.
"""

from __future__ import annotations

import ctypes
import sys

_PR_SET_DUMPABLE = 4  # prctl(2)


def harden(system: str = sys.platform) -> None:
    """Best effort: a kernel that will not is no reason not to serve."""
    if system != "linux":
        return
    import resource  # not there on Windows

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
