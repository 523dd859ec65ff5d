"""Normalises the arguments of a call before the tool's schema validates them.

Models write one thing in many ways, and some must fill in every parameter. One rule holds for all
tools: where a parameter is optional, null, "", and "null" omit it, inside a list too, and so does 0
for a number that begins at 1. A required parameter stays as it is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .schema import ALIASES

_ABSENT = object()


def present(arguments: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments without those that leave an optional parameter out."""
    kept = {}
    for key, value in arguments.items():
        name = _parameter(key, schema["properties"])
        if name is not None and name not in schema.get("required", ()):
            value = _present(value, schema["properties"][name])
        if value is not _ABSENT:
            kept[key] = value
    return kept


def unknown(arguments: Mapping[str, object], schema: Mapping[str, Any]) -> list[str]:
    """The arguments that no parameter takes: of two names for one, the second."""
    taken = set()
    for name in schema["properties"]:
        names = (name, *ALIASES.get(name, ()))
        taken.add(next((key for key in names if key in arguments), None))
    return [key for key in arguments if key not in taken]


def _parameter(key: str, parameters: Mapping[str, Any]) -> str | None:
    """The name of the parameter that an argument reaches."""
    if key in parameters:
        return key
    return next((name for name in parameters if key in ALIASES.get(name, ())), None)


def _present(value: Any, rules: Mapping[str, Any]) -> Any:
    choices = [rules, *rules.get("anyOf", ())]
    if any(choice.get("type") == "array" for choice in choices):
        value = _items(value)
    if isinstance(value, list):
        kept = [item for item in value if not _is_empty(item)]
        return kept if kept else _ABSENT
    starts_at_1 = any(choice.get("minimum", 0) == 1 for choice in choices)
    if _is_empty(value) or (starts_at_1 and value in (0, "0") and value is not False):
        return _ABSENT
    return value


def _items(value: Any) -> Any:
    """A list, where it is sent as JSON text."""
    try:
        read = json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        return value
    return read if isinstance(read, list) else value


def _is_empty(value: Any) -> bool:
    return value is None or (isinstance(value, str) and value.strip() in ("", "null"))
