"""Writes the files that a user asked for: an answer, a picture.

Their content costs quota. So the target is checked first (`check`), and a file is written
completely or not at all. It keeps its nature: a link is followed, mode and owner are kept, a hard
link stays one, and a FIFO or a device is written to and never replaced.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .files import BINARY, MOUNT_POINT, NO_LINK
from .settings import private_folder

_PLAIN_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}\Z"
"""What every file system takes."""

_IN_PLACE = MOUNT_POINT | {errno.EACCES, errno.EPERM, errno.EROFS}
_DIRECTORY: int = getattr(os, "O_DIRECTORY", 0)


def absolute(path: str | Path) -> Path:
    """A path as the user typed it, from the root on. Its links stay."""
    return Path(os.path.abspath(os.path.expanduser(path)))


def check(path: Path, *, over: bool) -> None:
    """Raises OSError, with its reason in words, where `write` could not write. `over`: what is
    there may be written over."""
    try:
        name = path.name.encode(errors="surrogateescape")
        if b"\0" in name:
            raise OSError(errno.EINVAL, "no file can have such a name")
        status = _stat(path)
        if not over and status is None and path.is_symlink():
            raise FileExistsError(errno.EEXIST, "it is a link, and is left as it is")
        if status is None:
            _check_new(Path(os.path.realpath(path)))
        elif stat.S_ISDIR(status.st_mode):
            raise OSError(errno.EISDIR, "it is a folder")
        elif stat.S_ISSOCK(status.st_mode):
            raise OSError(errno.ENXIO, "it is a socket")
        elif stat.S_ISREG(status.st_mode) and not over:
            raise FileExistsError(errno.EEXIST, "it exists, and is left as it is")
        elif not os.access(path, os.W_OK):
            raise PermissionError(errno.EACCES, "it is read-only")
    except (ValueError, UnicodeError):  # of a name that the system cannot be asked about
        raise OSError(errno.EINVAL, "no file can have such a name") from None


def write(path: Path, data: bytes, *, over: bool, root: Path | None = None) -> Path:
    """Writes a file and returns its path: `-2`, `-3` … where the name is taken and nothing may be
    written over. Raises OSError, and then what was there is as it was.

    With `root`, nothing is written outside of that folder, whatever the folders on the way have
    become since they were looked at: no link in them is followed.
    """
    if root is not None:
        return _write_within(root, path, data)
    status = _stat(path)
    if status is not None and not stat.S_ISREG(status.st_mode):
        _write_through(path, data)
        return path
    if status is not None and over:
        _write_over(Path(os.path.realpath(path)), data, status)
        return path
    real = Path(os.path.realpath(path)) if over else path
    with _part_file(real.parent, data) as part:
        for name in _free_names(real):
            if _linked(part, name):
                return path if name == real else name
    raise AssertionError("there is always another name")


def _stat(path: Path) -> os.stat_result | None:
    """Of what a path leads to; None where there is nothing yet."""
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def _check_new(real: Path) -> None:
    folder = real.parent
    if real.is_symlink():
        raise OSError(errno.ELOOP, "its links lead in a circle")
    if not folder.is_dir():
        raise FileNotFoundError(errno.ENOENT, f"there is no such folder: {folder}")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, f"you may not write in {folder}")
    if not re.match(_PLAIN_NAME, real.name):  # the file system alone knows what it takes
        os.close(os.open(real, os.O_WRONLY | os.O_CREAT | os.O_EXCL | NO_LINK, 0o600))
        real.unlink()


def _write_through(path: Path, data: bytes) -> None:
    """To a FIFO or a device, as a shell's `>` does."""
    with open(os.open(path, os.O_WRONLY | BINARY), "wb") as file:
        file.write(data)


def _write_over(real: Path, data: bytes, before: os.stat_result) -> None:
    """What is there, by another file in one step where that keeps all that the old one had, else
    in its place: then a copy of the new content lies beside it until all is written."""
    if not os.access(real, os.W_OK):  # a rename would go past the file's own protection
        raise PermissionError(errno.EACCES, "it is read-only")
    try:
        with _part_file(real.parent, data) as part:
            if before.st_nlink == 1 and _alike(part, before):
                try:
                    os.replace(part, real)
                    return
                except OSError as error:
                    if error.errno not in _IN_PLACE:
                        raise
            _overwrite(real, data)
    except OSError as error:
        if error.errno not in _IN_PLACE:
            raise
        _overwrite(real, data)  # a folder that takes no copy


def _overwrite(real: Path, data: bytes) -> None:
    with open(os.open(real, os.O_WRONLY | BINARY), "wb") as file:
        file.write(data)
        file.truncate()


def _alike(part: Path, before: os.stat_result) -> bool:
    """Gives a file the mode and the owner of another. Whether that could be done."""
    if sys.platform == "win32":
        return True
    try:
        status = part.stat()
        if (status.st_uid, status.st_gid) != (before.st_uid, before.st_gid):
            os.chown(part, before.st_uid, before.st_gid)
        os.chmod(part, stat.S_IMODE(before.st_mode))
    except OSError:
        return False
    return True


@contextmanager
def _part_file(folder: Path, data: bytes) -> Iterator[Path]:
    """A file that is complete, by a name that fits beside any other."""
    part = folder / f".codexapi-{secrets.token_hex(6)}.part"
    try:
        with open(part, "xb") as file:
            file.write(data)
        yield part
    finally:
        with suppress(OSError):
            part.unlink()


def _free_names(path: Path) -> Iterator[Path]:
    yield path
    number = 2
    while True:
        yield numbered_name(path, number)
        number += 1


def numbered_name(path: Path, number: int) -> Path:
    """`fox-2.png`; of a long name so much is left that it is no longer than before."""
    ending = f"-{number}{path.suffix}"
    stem = path.stem
    while len(os.fsencode(stem + ending)) > max(len(os.fsencode(path.name)), len(ending) + 1, 200):
        stem = stem[:-1]
    return path.with_name(stem + ending)


def _linked(part: Path, path: Path, folder: int | None = None) -> bool:
    """Gives a file its name, unless that is taken. With `folder`, both are names in it."""
    try:
        os.link(part, path, src_dir_fd=folder, dst_dir_fd=folder)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK):
            raise
        # A file system without hard links. Between the look and the rename a name may be taken.
        try:
            os.stat(path, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            os.rename(part, path, src_dir_fd=folder, dst_dir_fd=folder)
            return True
        return False
    return True


def _write_within(root: Path, path: Path, data: bytes) -> Path:
    if os.open not in os.supports_dir_fd:  # Windows: looked at once more, and that is all there is
        real = Path(os.path.realpath(path.parent)) / path.name
        if not real.is_relative_to(os.path.realpath(root)):
            raise PermissionError(errno.EACCES, f"it leads out of {root}")
        real.parent.mkdir(parents=True, exist_ok=True)
        return write(real, data, over=False)
    folder = _open_folder(root, path.parent)
    part = Path(f".codexapi-{secrets.token_hex(6)}.part")
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | NO_LINK
        with open(os.open(part, flags, 0o666, dir_fd=folder), "wb") as file:
            file.write(data)
        free = (n for n in _free_names(path) if _linked(part, Path(n.name), folder))
        return next(free)
    finally:
        with suppress(OSError):
            os.unlink(part, dir_fd=folder)
        os.close(folder)


def _open_folder(root: Path, folder: Path) -> int:
    """A descriptor of a folder under `root`, each one on the way opened in the one before it and
    made where it is missing. Raises OSError for a link among them, and for a way out."""
    base = Path(os.path.realpath(root))
    steps = folder.relative_to(base).parts
    if ".." in steps:
        raise PermissionError(errno.EACCES, f"it leads out of {root}")
    base.mkdir(parents=True, exist_ok=True)
    here = os.open(base, os.O_RDONLY | _DIRECTORY)
    try:
        for step in steps:
            with suppress(FileExistsError):
                os.mkdir(step, dir_fd=here)
            deeper = os.open(step, os.O_RDONLY | _DIRECTORY | NO_LINK, dir_fd=here)
            os.close(here)
            here = deeper
    except BaseException:
        os.close(here)
        raise
    return here


def rescue(folder: Path, name: str, data: bytes) -> Path | None:
    """Keeps what was paid for where it could not be written: in a folder of ours. None where that
    does not take it either."""
    place = folder / "unsaved" / (name if re.match(_PLAIN_NAME, name) else secrets.token_hex(8))
    try:
        private_folder(place.parent)
        return write(place, data, over=False)
    except OSError:
        return None
