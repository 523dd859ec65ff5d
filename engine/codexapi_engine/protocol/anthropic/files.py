"""Stored files in the form of this API."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from pydantic import BaseModel, ConfigDict, Field

from ...bounds import MAX_DOCUMENT_LIFETIME, MIN_FILE_LIFETIME
from ...errors import JsonObject
from ..rules import FieldRule, apply
from ..stored_files import StoredFile
from .fields import check, invalid

RULES: dict[str, FieldRule] = {
    "file": FieldRule.HONOURED,
    "expires_in_seconds": FieldRule.HONOURED,
}
"""What becomes of each field of an upload. What is not here is ignored."""

PURPOSE = "user_data"
"""In OpenAI's form, which lists the same files."""

_CURSOR = "page_"


class FileUpload(BaseModel):
    model_config = ConfigDict(strict=True, defer_build=True)

    expires_in_seconds: int | None = Field(
        None, ge=MIN_FILE_LIFETIME, le=MAX_DOCUMENT_LIFETIME, strict=False
    )


def from_form(
    fields: Mapping[str, str], *, strict: bool = False
) -> tuple[FileUpload, tuple[str, ...]]:
    """The fields of a form, checked, and the names of the ignored ones. Raises InvalidRequest."""
    body = dict(fields)
    ignored = apply(RULES, body, strict=strict, no_effect={}, unknown=FieldRule.IGNORED)
    return check(FileUpload, body), ignored


def file_metadata(file: StoredFile, timestamp: Callable[[int], str]) -> JsonObject:
    """`timestamp` writes a Unix time as RFC 3339 has it."""
    return {
        "type": "file",
        "id": file.id,
        "filename": file.name,
        "mime_type": file.media_type,
        "size_bytes": file.size,
        "created_at": timestamp(file.created),
        "expires_at": None if file.expires is None else timestamp(file.expires),
        "downloadable": True,
    }


def files_page(files: Sequence[JsonObject], limit: int, page: str | None) -> JsonObject:
    """A page of `files`, which are in order. `page` is the cursor of an earlier one, after which it
    begins. Raises InvalidRequest for one that is unknown."""
    start = 0
    if page:
        names = [_CURSOR + file["id"] for file in files]
        if page not in names:
            raise invalid("page", "There is no such page")
        start = names.index(page) + 1
    shown = files[start : start + limit]
    has_more = start + limit < len(files)
    return {
        "data": shown,
        "has_more": has_more,
        "first_id": shown[0]["id"] if shown else None,
        "last_id": shown[-1]["id"] if shown else None,
        "next_page": _CURSOR + shown[-1]["id"] if has_more else None,
    }
