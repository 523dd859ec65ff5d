"""Validates the fields of an upload."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from ...bounds import MAX_FILE_LIFETIME, MIN_FILE_LIFETIME
from ...errors import InvalidRequest, JsonObject
from ..rules import FieldRule, apply
from ..validation import validated

RULES: dict[str, FieldRule] = {
    "file": FieldRule.HONOURED,
    "purpose": FieldRule.HONOURED,
    "expires_after": FieldRule.HONOURED,
}
"""What becomes of each field of `POST /v1/files`. What is not here is ignored."""

PURPOSES = ("assistants", "user_data", "vision")
_LACKING = {
    "batch": "batches",
    "fine-tune": "fine-tuning",
    "fine-tune-results": "fine-tuning",
    "evals": "evals",
}
_MEMBER = re.compile(r"(\w+)\[(\w+)\]")


class ExpiresAfter(BaseModel):
    model_config = ConfigDict(strict=True, defer_build=True)

    anchor: Literal["created_at"]
    seconds: int = Field(ge=MIN_FILE_LIFETIME, le=MAX_FILE_LIFETIME, strict=False)


class FileParams(BaseModel):
    """The fields of an upload beside the file."""

    model_config = ConfigDict(strict=True, defer_build=True)

    purpose: str
    expires_after: ExpiresAfter | None = None

    @property
    def lifetime(self) -> int | None:
        """Seconds; None without an end."""
        return self.expires_after.seconds if self.expires_after is not None else None


def from_client(
    fields: Mapping[str, str], *, strict: bool = False
) -> tuple[FileParams, tuple[str, ...]]:
    """The fields of a form, checked, and the names of the ignored ones. Raises InvalidRequest."""
    body = _nest(fields)
    ignored = apply(RULES, body, strict=strict, no_effect={}, unknown=FieldRule.IGNORED)
    params = validated(FileParams, {name: body[name] for name in body.keys() - ignored})
    if params.purpose not in PURPOSES:
        supported = ", ".join(f"'{purpose}'" for purpose in PURPOSES)
        why = _LACKING.get(params.purpose)
        raise InvalidRequest(
            f"Invalid value: '{params.purpose[:60]}'. Supported values are: {supported}."
            + (f" The Codex backend has no {why}." if why else ""),
            code="invalid_value",
            param="purpose",
        )
    return params, ignored


def _nest(fields: Mapping[str, str]) -> JsonObject:
    """A form's `expires_after[seconds]` as a member of an object."""
    body: JsonObject = {}
    for name, value in fields.items():
        if match := _MEMBER.fullmatch(name):
            holder = body.setdefault(match[1], {})
            if isinstance(holder, dict):
                holder[match[2]] = value
        else:
            body[name] = value
    return body
