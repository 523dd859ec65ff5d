"""Whether there is memory for a large value: pydantic's allocator ends the process where there is
none."""

from __future__ import annotations

import mmap
import sys

TIMES = 8
"""Bytes that each byte of a JSON text may take until it is answered: as it came, as text, as JSON
again."""

_PRIVATE: dict[str, int] = (
    {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if sys.platform != "win32" else {}
)


def has_room_for(size: int) -> bool:
    """Whether a JSON text of `size` bytes can be worked on."""
    try:
        # No page of it is touched.
        mmap.mmap(-1, size * TIMES, **_PRIVATE).close()
    except (OSError, OverflowError, MemoryError):
        return False
    return True
