"""The parts of a translated request: what a message has in its content, or a tool in its output."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ..errors import JsonObject
from .shapes import get_list

_HOLDERS = ("content", "output")


def each_part(request: JsonObject) -> Iterator[JsonObject]:
    for item in get_list(request, "input"):
        for name in _HOLDERS:
            value = item.get(name)
            for part in value if type(value) is list else (value,):
                if type(part) is dict:
                    yield part


def replace_parts(
    items: Any, wanted: Callable[[Any], bool], change: Callable[[JsonObject], JsonObject]
) -> Any:
    """The items of a request, each wanted part changed; what has none is the same object."""
    if not isinstance(items, list):
        return items
    return [_replace(item, wanted, change) if isinstance(item, dict) else item for item in items]


def _replace(
    item: JsonObject, wanted: Callable[[Any], bool], change: Callable[[JsonObject], JsonObject]
) -> JsonObject:
    changed: JsonObject = {}
    for name in _HOLDERS:
        value = item.get(name)
        if isinstance(value, list) and any(map(wanted, value)):
            changed[name] = [change(part) if wanted(part) else part for part in value]
        elif isinstance(value, dict) and wanted(value):
            changed[name] = change(value)
    return {**item, **changed} if changed else item
