"""Whether there is memory for a large value (pydantic's allocator ends the process where there is
none), and how much of it the allocator keeps."""

from __future__ import annotations

import mmap
import sys
from functools import cache

from .bounds import MIB

TIMES = 8
"""Bytes that each byte of a JSON text may take until it is answered: as it came, as text, as JSON
again."""

if sys.platform == "win32":

    def _map(size: int) -> mmap.mmap:
        return mmap.mmap(-1, size)

else:

    def _map(size: int) -> mmap.mmap:
        return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)


def has_room_for(size: int) -> bool:
    """Whether a JSON text of `size` bytes can be worked on."""
    try:
        _map(size * TIMES).close()  # no page of it is touched
    except (OSError, OverflowError, MemoryError):
        return False
    return True


_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # mallopt(3)
_UNUSED = 8 * MIB
"""What the allocator may keep for the next request. To get a page from the system again takes longer
than to copy it."""

_OF_ITS_OWN = 2 * MIB
"""From this size on a block goes back to the system as soon as it is free."""


@cache
def limit_unused() -> None:
    """Fixes what glibc's allocator keeps of freed memory: by itself it keeps three times the largest
    block that was ever freed, and after blocks of 256 kB, which the next request needs, nearly
    nothing. Other allocators stay as they are. For large bodies alone: ctypes takes its time."""
    import ctypes

    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # not glibc; Windows has no library without a name
        return
    mallopt(_M_TRIM_THRESHOLD, _UNUSED)
    mallopt(_M_MMAP_THRESHOLD, _OF_ITS_OWN)
