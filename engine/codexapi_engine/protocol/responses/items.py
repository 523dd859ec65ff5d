"""Normalises items for storage and display: each gets an id, a status, and its content as parts.

It is deterministic: the caller that stores an item supplies its id.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ...errors import JsonObject
from ..shapes import get_list, get_str
from .backend import user
from .ids import PREFIXES

ENCRYPTED_INPUT = "input.encrypted_content"
"""The name of what is left out where the backend cannot read the reasoning of earlier turns."""

_WITH_STATUS = frozenset(
    {
        "message", "function_call", "function_call_output", "custom_tool_call",
        "custom_tool_call_output",
    }
)  # fmt: skip


def as_items(value: Any) -> list[JsonObject]:
    """A request's `input` as items, from either of its two forms."""
    if isinstance(value, str):
        return [user(value)]
    return [item for item in value or [] if isinstance(item, dict)]


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


def is_reference(item: JsonObject) -> bool:
    """An id in place of an item. Pictures have a form of their own: by the official guide, a client
    goes on with one by `{"type": "image_generation_call", "id": …}`."""
    kind = kind_of(item)
    return kind == "item_reference" or (kind == "image_generation_call" and "result" not in item)


def is_bare(item: JsonObject) -> bool:
    """A reference, or reasoning of which only the id is left."""
    return is_reference(item) or (
        kind_of(item) == "reasoning" and not item.get("encrypted_content")
    )


def is_hollow(item: JsonObject) -> bool:
    """A bare item, or a picture call with an empty result. A client that does not keep so much data
    sends that form, but a call that drew nothing has it too: so only what is known replaces it."""
    return is_bare(item) or (kind_of(item) == "image_generation_call" and not item.get("result"))


def family(model: str) -> str:
    """The model without the effort that its name may carry: `slug:effort`."""
    return model.partition(":")[0]


def without_status(item: JsonObject) -> JsonObject:
    """An item of an output as clients send it back."""
    return {name: value for name, value in item.items() if name != "status"}


def without_reasoning(items: Iterable[JsonObject]) -> list[JsonObject]:
    return [item for item in items if kind_of(item) != "reasoning"]


def input_without_reasoning(value: Any) -> list[JsonObject] | None:
    """A request's `input` without its reasoning; None if it has none, or nothing else. A compaction
    stays: it stands for the conversation, and to go on without that is the client's decision."""
    items = as_items(value)
    rest = without_reasoning(items)
    return rest if rest and len(rest) < len(items) else None


def without_repeats(items: Iterable[JsonObject], history: Iterable[JsonObject]) -> list[JsonObject]:
    """The items that `history` lacks. The backend refuses a request with one id twice.

    A client that numbers its items anew in each request means another item by the same id: that is
    sent without it.
    """
    by_id = {name: item for item in history if (name := get_str(item, "id"))}
    rest = []
    for item in items:
        twin = by_id.get(get_str(item, "id"))
        if twin is None:
            rest.append(item)
        elif not (is_bare(item) or _is_same(item, twin)):
            rest.append({key: value for key, value in item.items() if key != "id"})
    return rest


def _is_same(item: JsonObject, twin: JsonObject) -> bool:
    if kind_of(item) != kind_of(twin) or item.get("role") != twin.get("role"):
        return False
    by_client = item.get("role", "assistant") != "assistant" or kind_of(item).endswith("_output")
    # The ids of all others are the backend's, and so are the items, even where a client has changed them.
    return not by_client or _essence(item) == _essence(twin)


def _essence(item: JsonObject) -> JsonObject:
    whole = shown(item, lambda prefix: "")
    return {name: value for name, value in whole.items() if name not in ("id", "status")}


def _parts(message: JsonObject) -> list[JsonObject]:
    spoken, content = message.get("role") == "assistant", message.get("content")
    if isinstance(content, str):
        content = [{"type": "output_text" if spoken else "input_text", "text": content}]
    return [_complete_part(part) for part in get_list({"content": content}, "content")]


def _complete_part(part: JsonObject) -> JsonObject:
    """Official clients read these fields without asking whether they are there."""
    if part.get("type") == "output_text":
        return {"annotations": [], **part}
    return {"detail": "auto", **part} if part.get("type") == "input_image" else part
