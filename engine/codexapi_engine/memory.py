"""Whether there is memory for a large value: pydantic's allocator ends the process where there is
none."""

from __future__ import annotations

import mmap
import sys

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
