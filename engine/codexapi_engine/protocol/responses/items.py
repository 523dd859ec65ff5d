"""Items as they are kept and shown: each with an id, a status, and its content as parts.

Knows nothing of where they are kept, and throws no dice: who keeps an item names it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ...errors import JsonObject
from ..shapes import listed
from .backend import user
from .ids import PREFIXES

_WITH_STATUS = frozenset(
    {
        "message", "function_call", "function_call_output", "custom_tool_call",
        "custom_tool_call_output",
    }
)  # fmt: skip


def as_items(given: Any) -> list[JsonObject]:
    """A request's `input` as items, whatever of its two forms it has."""
    if isinstance(given, str):
        return [user(given)]
    return [item for item in given or [] if isinstance(item, dict)]


def kind_of(item: JsonObject) -> str:
    return str(item.get("type") or "message")


def shown(item: JsonObject, new_id: Callable[[str], str]) -> JsonObject:
    """An item of a client's as it can be listed; `new_id` makes an id where it has none."""
    kind = kind_of(item)
    whole = {**item, "type": kind}
    if not isinstance(item.get("id"), str) or not item["id"]:
        whole["id"] = new_id(PREFIXES.get(kind, "item"))
    if kind in _WITH_STATUS:
        whole["status"] = item.get("status") or "completed"
    if kind == "message":
        whole["content"] = _parts(item)
    return whole


def is_bare(item: JsonObject) -> bool:
    """Reasoning of which only the id is left, or less than that: a reference."""
    kind = kind_of(item)
    return kind == "item_reference" or (kind == "reasoning" and not item.get("encrypted_content"))


def family(model: str) -> str:
    """The model without the effort that its name may carry: `slug:effort`."""
    return model.partition(":")[0]


def without_reasoning(items: Iterable[JsonObject]) -> list[JsonObject]:
    """For another model: only the one that wrote it can read it."""
    return [item for item in items if kind_of(item) != "reasoning"]


def _parts(message: JsonObject) -> list[JsonObject]:
    spoken, content = message.get("role") == "assistant", message.get("content")
    if isinstance(content, str):
        content = [{"type": "output_text" if spoken else "input_text", "text": content}]
    return [_part(part) for part in listed({"content": content}, "content")]


def _part(part: JsonObject) -> JsonObject:
    """Official clients read these fields without asking whether they are there."""
    if part.get("type") == "output_text":
        return {"annotations": [], **part}
    return {"detail": "auto", **part} if part.get("type") == "input_image" else part
