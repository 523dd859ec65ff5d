"""Stores the files of `/v1/files`, each of one account."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable

from ..bounds import MAX_STORED_FILE_BYTES, MAX_STORED_FILES, MIB
from ..errors import InvalidRequest
from ..protocol.stored_files import FileContent, StoredFile, clean_name
from .sqlite import ObjectStore

_KIND = "file"


class Files:
    """Files by id. `account` is a hash, and an account has no way to another one's files: they are
    not found, InvalidRequest with a 404, as are those that have expired."""

    def __init__(
        self,
        objects: ObjectStore,
        *,
        clock: Callable[[], float] = time.time,
        max_files: int = MAX_STORED_FILES,
        max_bytes: int = MAX_STORED_FILE_BYTES,
    ) -> None:
        self._objects = objects
        self._clock = clock
        self._max_files = max_files
        self._max_bytes = max_bytes

    def create(
        self,
        content: FileContent,
        *,
        media_type: str,
        purpose: str,
        lifetime: int | None,
        account: str,
    ) -> StoredFile:
        """Stores a file for `lifetime` seconds, or without an end. Raises InvalidRequest where there
        is no room."""
        now = int(self._clock())
        made = StoredFile(
            id=f"file-{secrets.token_hex(16)}",
            name=clean_name(content.name),
            size=len(content.data),
            media_type=media_type,
            purpose=purpose,
            created=now,
            expires=now + lifetime if lifetime is not None else None,
            account=account,
        )
        with self._objects.transaction():
            self.sweep()
            self._check_room(made.size)
            self._objects.put(_KIND, made.id, made._asdict(), content=content.data)
        return made

    def get(self, id: str, *, account: str) -> StoredFile:  # noqa: A002  (the wire's word)
        found = StoredFile.read(self._objects.get(_KIND, id) or {})
        if found is None or found.id != id or not self._is_for(found, account):
            raise no_such_file(id)
        return found

    def content(self, id: str, *, account: str) -> FileContent:  # noqa: A002
        found = self.get(id, account=account)
        data = self._objects.content(_KIND, id)
        if data is None:
            raise no_such_file(id)
        return FileContent(found.name, data)

    def all(self, *, account: str, purpose: str | None = None) -> list[StoredFile]:
        """The files, oldest first; those of one purpose, if one is given."""
        rows = self._objects.all(_KIND)
        found = (StoredFile.read(row) for name, row in rows if row.get("id") == name)
        return [
            file
            for file in found
            if file is not None and self._is_for(file, account) and purpose in (None, file.purpose)
        ]

    def delete(self, id: str, *, account: str) -> None:  # noqa: A002
        with self._objects.transaction():
            self.get(id, account=account)
            self._objects.delete(_KIND, id)

    def sweep(self) -> None:
        """Removes what has expired. Where nothing has, it needs no lock."""
        found = [(name, StoredFile.read(row)) for name, row in self._objects.all(_KIND)]
        gone = [name for name, file in found if file is not None and self._has_expired(file)]
        if gone:
            with self._objects.transaction():
                for name in gone:
                    self._objects.delete(_KIND, name)

    def _check_room(self, more: int) -> None:
        count, size = self._objects.contents_size()
        if count < self._max_files and size + more <= self._max_bytes:
            return
        raise InvalidRequest(
            f"There is no room for this file: at most {self._max_files} files with "
            f"{self._max_bytes // MIB} MiB together are stored. DELETE /v1/files/{{id}} makes room.",
            code="storage_full",
            param="file",
        )

    def _is_for(self, file: StoredFile, account: str) -> bool:
        return file.account == account and not self._has_expired(file)

    def _has_expired(self, file: StoredFile) -> bool:
        return file.expires is not None and file.expires <= self._clock()


def no_such_file(id: str, param: str | None = "id") -> InvalidRequest:  # noqa: A002
    """In the official API's words."""
    return InvalidRequest(f"No such File object: {id}", status=404, param=param)
