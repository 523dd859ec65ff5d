"""Estimates the tokens of an input from its bytes: no tokenizer of these models is public."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ...errors import JsonObject
from ..shapes import get_dict

BYTES_PER_TOKEN = 3.6
IMAGE_TOKENS = 765
"""A picture of 1024×1024 in high detail."""

ITEM_TOKENS = 4
"""What stands around each item: its role, its end."""

_FILE_BYTES_PER_TOKEN = 40  # of a PDF: a page of 500 words is 30 kB
_CODED = 3 / 4  # bytes in a character of base64
_NAMES = frozenset({"type", "id", "role", "status", "detail", "call_id", "phase"})
"""Fields that the model does not see, or not as text."""


def input_tokens(body: JsonObject) -> int:
    """An estimate for a request in the Responses dialect, whose `input` is a list."""
    items = body.get("input") or []
    sizes = [
        _token_count(items),
        _token_count(body.get("instructions")),
        _token_count(body.get("tools")),
    ]
    sizes.append(_token_count(get_dict(get_dict(body, "text"), "format").get("schema")))
    return round(sum(sizes)) + ITEM_TOKENS * len(items)


def _token_count(value: Any) -> float:
    """In tokens."""
    if isinstance(value, str):
        return len(value.encode(errors="replace")) / BYTES_PER_TOKEN
    if isinstance(value, list):
        return _sum(value)
    if not isinstance(value, dict):
        return 0.0 if value is None else 1.0
    kind = value.get("type")
    if kind == "input_image":
        return IMAGE_TOKENS
    if kind == "input_file" and isinstance(value.get("file_data"), str):
        return len(value["file_data"]) * _CODED / _FILE_BYTES_PER_TOKEN
    if isinstance(secret := value.get("encrypted_content"), str):
        return len(secret) * _CODED / BYTES_PER_TOKEN
    names = _sum(name for name in value if name not in _NAMES and kind in (None, "object"))
    return names + _sum(inside for name, inside in value.items() if name not in _NAMES)


def _sum(values: Iterable[Any]) -> float:
    return sum(map(_token_count, values))
