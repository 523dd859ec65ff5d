"""Reads fields of a chat request's objects, required or optional."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...errors import InvalidRequest, JsonObject, missing


def without_nulls(**fields: Any) -> JsonObject:
    return {name: value for name, value in fields.items() if value is not None}


def require_field(holder: Mapping[str, Any], name: str, path: str) -> str:
    value = holder.get(name)
    if isinstance(value, str):
        return value
    if value is None:
        raise missing(f"{path}.{name}")
    raise InvalidRequest(
        f"Invalid type for '{path}.{name}': expected a string.",
        code="invalid_type",
        param=f"{path}.{name}",
    )
