"""Reads and writes files that other programs use too, without hanging or losing data.

`Disk` holds every call that changes a file of the login, so that a test can make each of them fail.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

NO_LINK: int = getattr(os, "O_NOFOLLOW", 0)
BINARY: int = getattr(os, "O_BINARY", 0)
NO_WAIT: int = getattr(os, "O_NONBLOCK", 0)
"""Opening a FIFO waits for its other end; with this it does not."""

MOUNT_POINT = frozenset({errno.EBUSY, errno.EXDEV})
"""What a rename over a file answers where that file is mounted by itself, as containers do."""


def read_regular(path: Path | str, limit: int) -> tuple[os.stat_result, bytes]:
    """A regular file's status, taken before its bytes, and its bytes.

    Raises OSError, also for a FIFO, a device, a directory, and a file of more than `limit` bytes.
    """
    descriptor = os.open(path, os.O_RDONLY | NO_WAIT | BINARY)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file", str(path))
        if status.st_size > limit:
            raise OSError(errno.EFBIG, f"it has {status.st_size} bytes", str(path))
        # The descriptor stays ours: of a directory, `open` would refuse it and not close it.
        with open(descriptor, "rb", closefd=False) as file:
            return status, file.read(limit)
    finally:
        os.close(descriptor)


class Disk:
    """The system's calls that change files. A test passes a subclass whose calls fail."""

    open = staticmethod(os.open)
    write = staticmethod(os.write)
    truncate = staticmethod(os.ftruncate)
    sync = staticmethod(os.fsync)
    close = staticmethod(os.close)
    replace = staticmethod(os.replace)
    link = staticmethod(os.link)
    unlink = staticmethod(os.unlink)

    def create(self, path: Path, data: bytes, mode: int = 0o600) -> None:
        """A new file, complete and on the disk. Raises OSError, and then leaves none."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | NO_LINK | BINARY
        descriptor = self.open(path, flags, 0o600)
        try:
            try:
                if mode != 0o600 and hasattr(os, "fchmod"):
                    os.fchmod(descriptor, mode)
                self._write_all(descriptor, data)
            finally:
                self.close(descriptor)
        except OSError:
            with suppress(OSError):
                self.unlink(path)
            raise

    def overwrite(self, path: Path, data: bytes) -> None:
        """A file's bytes in their place, so that it stays the same file; proved by reading them
        back. Raises OSError: then the file may hold a part of the new and a part of the old."""
        descriptor = self.open(path, os.O_WRONLY | NO_LINK | NO_WAIT | BINARY)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OSError(errno.EINVAL, "it is not a regular file", str(path))
            self._write_all(descriptor, data)
            self.truncate(descriptor, len(data))
            self.sync(descriptor)
        finally:
            self.close(descriptor)
        if read_regular(path, len(data) + 1)[1] != data:
            raise OSError(errno.EIO, "it does not read as it was written", str(path))

    def append(self, path: Path, data: bytes) -> None:
        """Adds to a file, which is made where there is none. Raises OSError."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | NO_LINK | NO_WAIT | BINARY
        descriptor = self.open(path, flags, 0o600)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OSError(errno.EINVAL, "it is not a regular file", str(path))
            self._write_all(descriptor, data)
        finally:
            self.close(descriptor)

    def sync_folder(self, folder: Path) -> None:
        """Makes a new name survive a power cut, where the system can."""
        with suppress(OSError):
            descriptor = self.open(folder, os.O_RDONLY)
            try:
                self.sync(descriptor)
            finally:
                self.close(descriptor)

    def takes_files(self, folder: Path, size: int, name: str) -> None:
        """Raises OSError unless a file of so many bytes can be made in a folder, and renamed."""
        first = folder / name.format(f"probe-{secrets.token_hex(8)}")
        second = first.with_name(first.name + "2")
        self.create(first, bytes(size))
        try:
            self.replace(first, second)
        except OSError:
            with suppress(OSError):
                self.unlink(first)
            raise
        self.unlink(second)

    def is_mount_point(self, path: Path, name: str) -> bool:
        """Whether a rename over this file must fail because it is mounted by itself.

        A hard link beside it crosses the mount and is refused with EXDEV (link(2)). Where a file
        system has no hard links nothing is known, and the answer is no.
        """
        probe = path.with_name(name.format(f"probe-{secrets.token_hex(8)}"))
        try:
            self.link(path, probe)
        except OSError as error:
            return error.errno in MOUNT_POINT
        self.unlink(probe)
        return False

    def _write_all(self, descriptor: int, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[self.write(descriptor, rest) :]
        self.sync(descriptor)
