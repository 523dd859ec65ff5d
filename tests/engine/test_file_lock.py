"""One lock on all systems: Windows' side is played by a double."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from codexapi_engine.file_lock import lock_beyond, try_lock


class Locking:
    """`msvcrt.locking` of Windows: the byte at the file's position, which nobody can read then."""

    def __init__(self) -> None:
        self.bytes: dict[int, int] = {}

    def lock(self, descriptor: int) -> None:
        place = os.lseek(descriptor, 0, os.SEEK_CUR)
        if self.bytes.setdefault(place, descriptor) != descriptor:
            raise PermissionError(errno.EACCES, "Permission denied")


def test_one_at_a_time_has_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with path.open("w") as one, path.open("w") as other:
        assert try_lock(one.fileno())
        assert not try_lock(other.fileno())
        one.close()
        assert try_lock(other.fileno())


def test_windows_locks_no_byte_of_the_content(tmp_path: Path) -> None:
    path, system = tmp_path / "lock", Locking()
    path.write_bytes(b"content")

    def lock(descriptor: int) -> None:
        lock_beyond(descriptor, lambda: system.lock(descriptor))

    with path.open("r+b", buffering=0) as one, path.open("r+b", buffering=0) as other:
        assert try_lock(one.fileno(), lock)
        assert not try_lock(other.fileno(), lock)
        assert (one.read(), other.read()) == (b"content", b"content")
    assert min(system.bytes) > len(b"content")


def test_a_file_system_without_locks_is_an_error(tmp_path: Path) -> None:
    def lock(descriptor: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    with (tmp_path / "lock").open("w") as file, pytest.raises(OSError, match="No locks"):
        try_lock(file.fileno(), lock)
