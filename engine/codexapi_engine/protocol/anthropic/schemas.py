"""Schemas of tools, without what the backend refuses and what a model does well without.

Patterns are the case that users meet: JavaScript's `\\p{L}` and lookarounds are no patterns to the
backend, and one of them in one tool ends every turn.
"""

from __future__ import annotations

import functools
import re
from typing import Any

from ...errors import JsonObject
from ..responses.schemas import change_inside

_LOOKAROUND = re.compile(r"\(\?<?[=!]")


def cleaned(schema: Any) -> Any:
    """The schema itself, where nothing has to change."""
    if not isinstance(schema, dict):
        return schema
    changes: JsonObject = {}
    for keyword, value in schema.items():
        if isinstance(value, dict | list):
            if keyword == "patternProperties" and not all(map(_is_pattern, value)):
                value = {name: value[name] for name in value if _is_pattern(name)}
            inside = change_inside(keyword, value, cleaned)
            if inside is not schema[keyword]:
                changes[keyword] = inside
    dropped = [
        keyword for keyword in _REFUSED if keyword in schema and _is_refused(keyword, schema)
    ]
    if not (changes or dropped):
        return schema
    return {name: value for name, value in {**schema, **changes}.items() if name not in dropped}


_REFUSED = ("$schema", "required", "pattern")


def _is_refused(keyword: str, schema: JsonObject) -> bool:
    if keyword == "required":
        return schema[keyword] is None
    return keyword == "$schema" or not _is_pattern(schema[keyword])


@functools.lru_cache(256)
def _compiles(pattern: str) -> bool:
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError):
        return False
    return True


def _is_pattern(pattern: object) -> bool:
    return isinstance(pattern, str) and not _LOOKAROUND.search(pattern) and _compiles(pattern)
