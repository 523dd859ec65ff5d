"""An exclusive lock on an open file, which the system drops when its process ends."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable

_CONTENTION = frozenset({errno.EAGAIN, errno.EACCES})
_BEYOND = 1 << 30
"""Where Windows locks: past the content, since a locked part cannot be read there."""

if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        lock_beyond(descriptor, lambda: msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1))

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def try_lock(descriptor: int, lock: Callable[[int], None] = _lock) -> bool:
    """Takes the lock; False if another process has it. Raises OSError where there are no locks."""
    try:
        lock(descriptor)
    except OSError as error:
        if error.errno not in _CONTENTION:
            raise
        return False
    return True


def lock_beyond(descriptor: int, lock: Callable[[], None]) -> None:
    """Calls `lock`, which locks from the file's position on, with the position past the content."""
    before = os.lseek(descriptor, 0, os.SEEK_CUR)
    os.lseek(descriptor, _BEYOND, os.SEEK_SET)
    try:
        lock()
    finally:
        os.lseek(descriptor, before, os.SEEK_SET)
