"""A settings file on disk: read, changed atomically, and restored from its backup."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from difflib import unified_diff
from glob import escape
from pathlib import Path as FilePath
from typing import Any

from .document import Document, DocumentFormat, Entry, Path, Refused
from .splice import Unsafe

BACKUP = "codexapi-%Y%m%d-%H%M%S-%f"


class SettingsFile:
    """A file as it is now; it need not exist. Raises Refused if it cannot be read."""

    def __init__(self, path: FilePath, form: DocumentFormat) -> None:
        self.path = path
        self.form = form
        try:
            self.real = path.resolve()  # what a link of a dotfile program leads to
            if self.real.is_symlink():  # Python 3.13 gives up on a circle without a word
                raise self.refused("its links lead in a circle")
            self.status = self.real.stat() if self.real.exists() else None
            if self.status and not stat.S_ISREG(self.status.st_mode):
                raise self.refused("it is no regular file")
            self.data = self.real.read_bytes() if self.status else None
        except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle
            raise self.refused(getattr(error, "strerror", None) or str(error)) from None

    def value(self, path: Path) -> Any:
        """What stands at a path, or MISSING. Raises Refused."""
        try:
            return self._document().value(path)
        except Unsafe as error:
            raise self.refused(error) from None

    def has(self, entries: Iterable[Entry]) -> bool:
        """Whether all entries stand in it. Raises Refused."""
        try:
            return all(map(self._document().has, entries))
        except Unsafe as error:
            raise self.refused(error) from None

    def put(self, entries: Iterable[Entry], *, force: bool = False) -> Change:
        """The entries put in. Raises Refused; and Conflict where one is there and differs,
        unless forced."""
        try:
            made = self._document().put(entries, force=force)
        except Unsafe as error:
            raise self.refused(error) from None
        return Change(self, made.text.encode() if made.text or self.data else self.data)

    def undo(
        self, entries: Iterable[Entry], was_ours: Callable[[Any], bool] = lambda value: False
    ) -> Change:
        """What was there before the entries were put in; or before those that they replaced,
        where `was_ours` says so of such a value. Raises Refused; and Conflict where an entry has
        been changed since."""
        try:
            return self._undo(list(entries), was_ours)
        except Unsafe as error:
            raise self.refused(error) from None

    def refused(self, why: object) -> Refused:
        return Refused(f"{self.path} cannot be edited safely: {why}")

    def backups(self) -> Iterator[FilePath]:
        """The newest first."""
        found = self.real.parent.glob(f"{escape(self.real.name)}.codexapi-*.bak")
        return iter(sorted(found, reverse=True))

    def _document(self) -> Document:
        return Document.of(self.form, self.data or b"")

    def _undo(self, entries: list[Entry], was_ours: Callable[[Any], bool]) -> Change:
        document, before = self._document(), None
        if not document.present(entries):
            return Change(self, self.data)
        for backup in self.backups():
            with suppress(Unsafe, OSError):
                older = Document.of(self.form, backup.read_bytes())
                if all(older.has(e) or was_ours(older.value(e.path)) for e in entries):
                    continue  # made when they were there already
                if older.put(entries, force=True) == document:
                    return Change(self, backup.read_bytes(), source=backup)
                before = before or older
        if before is None:  # the file began with the entries, and so did what they are in
            before = Document(self.form)
            if before.put(entries) == document:
                return Change(self, None)
        return Change(self, document.take_out(entries, before).text.encode())


@dataclass(frozen=True, slots=True)
class Change:
    """What a file will be; None: it will not be there. `source` is the backup that it comes from."""

    file: SettingsFile
    after: bytes | None
    source: FilePath | None = None

    def __bool__(self) -> bool:
        return self.after != self.file.data

    def diff(self) -> str:
        """As `diff -u` shows it."""
        name = str(self.file.path)
        before, after = (
            None if data is None else data.decode(errors="replace").splitlines(keepends=True)
            for data in (self.file.data, self.after)
        )
        lines = unified_diff(
            before or [], after or [],
            name if before is not None else os.devnull, name if after is not None else os.devnull,
        )  # fmt: skip
        return "".join(
            line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
            for line in lines
        )

    def write(self, *, make_folder: bool = False) -> FilePath | None:
        """Makes it so, at once or not at all, and tells the backup that it made. Raises Refused:
        then nothing was changed."""
        if not self:
            return None
        try:
            return self._write_file(make_folder)
        except OSError as error:
            raise self.file.refused(error.strerror or error) from None

    def _write_file(self, make_folder: bool) -> FilePath | None:
        file, real = self.file, self.file.real
        if make_folder:
            real.parent.mkdir(parents=True, exist_ok=True)
        self._must_be_unchanged()
        self._must_be_ours_to_change()
        if self.after is None:
            real.unlink()
            return None
        backup = None if file.data is None or self.source else _backup(file)
        _replace(self)
        if self.source:
            self.source.unlink()  # the file itself is it now
        return backup

    def _must_be_ours_to_change(self) -> None:
        """A rename would go past a file's own protection."""
        status = self.file.status
        if status is None:
            return
        if not status.st_mode & 0o222 or not os.access(self.file.real, os.W_OK):
            raise self.file.refused("it is read-only")
        if status.st_nlink > 1:
            raise self.file.refused("it has a second name (a hard link), which would be cut off")

    def _must_be_unchanged(self) -> None:
        real = self.file.real
        if (real.read_bytes() if real.exists() else None) != self.file.data:
            raise self.file.refused("it has changed meanwhile; try again")


def _backup(file: SettingsFile) -> FilePath:
    assert file.data is not None
    while True:
        name = f"{file.real.name}.{datetime.now().strftime(BACKUP)}.bak"
        with suppress(FileExistsError):  # another run in the same microsecond
            place = file.real.with_name(name)
            handle = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                _fill(handle, place, file.data, file.status)
            except BaseException:
                place.unlink(missing_ok=True)
                raise
            return place


def _replace(change: Change) -> None:
    real, data = change.file.real, change.after
    assert data is not None
    handle, name = tempfile.mkstemp(prefix=f".{real.name}.", suffix=".tmp", dir=real.parent)
    scratch = FilePath(name)
    try:
        _fill(handle, scratch, data, change.file.status)
        change._must_be_unchanged()
        scratch.replace(real)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise


def _fill(handle: int, place: FilePath, data: bytes, like: os.stat_result | None) -> None:
    """Writes a file to the disk, with the mode and the owner of another."""
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    if like is None:
        place.chmod(0o666 & ~_umask())
        return
    place.chmod(stat.S_IMODE(like.st_mode))
    status = place.stat()
    if (status.st_uid, status.st_gid) != (like.st_uid, like.st_gid) and hasattr(os, "chown"):
        os.chown(place, like.st_uid, like.st_gid)


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
