"""Keeps other programs of the user out of this process's memory, on Linux.

It prevents debuggers and core files, and makes `/proc/PID/{environ,mem}` readable to root alone. It
does not protect from root, or from swap.
"""

from __future__ import annotations

import ctypes
import sys

if sys.platform != "win32":
    import resource

_PR_SET_DUMPABLE = 4  # prctl(2)


def harden(system: str = sys.platform) -> None:
    """Best effort: a kernel that will not is no reason not to serve."""
    if sys.platform != "win32" and system == "linux":
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
