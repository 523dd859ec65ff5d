"""A stored file, and its object as the official API writes it."""

from __future__ import annotations

from typing import NamedTuple, Self

from ...bounds import MAX_FILE_NAME
from ...errors import JsonObject
from ..shapes import get_int, get_str

DELETED: JsonObject = {"object": "file", "deleted": True}
_UNNAMED = "file"
_MAX_TIME = 253_402_300_800  # the year 10000: no calendar writes a later one


class FileContent(NamedTuple):
    """What a request needs of a file."""

    name: str
    data: bytes


class StoredFile(NamedTuple):
    """What is known of a file. Times are in Unix seconds."""

    id: str
    name: str
    size: int
    media_type: str
    purpose: str
    created: int
    expires: int | None
    account: str  # a hash

    @classmethod
    def read(cls, row: JsonObject) -> Self | None:
        """The file of a row; None where the row has another shape than ours."""
        size, created, expires = (get_int(row, name) for name in ("size", "created", "expires"))
        words = [get_str(row, name) for name in ("id", "name", "media_type", "purpose")]
        if size is None or created is None or not all(words):
            return None
        if not all(0 <= moment < _MAX_TIME for moment in (created, expires or 0)):
            return None
        name, filename, media_type, purpose = words
        return cls(
            name,
            filename,
            size,
            media_type,
            purpose,
            created,
            expires,
            get_str(row, "account"),
        )


def file_object(file: StoredFile) -> JsonObject:
    return {
        "object": "file",
        "id": file.id,
        "purpose": file.purpose,
        "filename": file.name,
        "bytes": file.size,
        "created_at": file.created,
        "expires_at": file.expires,
        "status": "processed",
        "status_details": None,
    }


def clean_name(name: str) -> str:
    """A client's name for a file, without folders and what no terminal should show."""
    last = name.replace("\\", "/").rpartition("/")[2]
    return "".join(c for c in last if c.isprintable())[:MAX_FILE_NAME] or _UNNAMED
