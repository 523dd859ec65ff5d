"""Ids and names of input items, as far as the backend takes them: once, for every dialect.

Several clients report the same refusals: a `call_id` or item id that is empty, has over 64
characters or others than letters, digits, `_` and `-`; an item id without the prefix of its kind;
the same item id twice (`Duplicate item found`); a called tool whose name is no tool's. The backend
itself gives ids that are too long, so whatever it said before may come back in that form.

An item id is optional, and left out. A call and its output are joined by `call_id`, which gets a
short form: a hash, so that it is the same at each turn, and no two ids become one.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from ...bounds import MAX_ID, MAX_TOOL_NAME
from ...errors import JsonObject
from ..shapes import get_str

PREFIXES = {
    "message": "msg", "reasoning": "rs", "function_call": "fc", "function_call_output": "fco",
    "custom_tool_call": "ctc", "custom_tool_call_output": "ctco", "web_search_call": "ws",
    "image_generation_call": "ig", "compaction": "cmp", "additional_tools": "at",
}  # fmt: skip
"""How the ids of each kind of item begin, before the underscore. The official client's do too."""


_NEEDS_ID = frozenset({"image_generation_call"})
"""Kinds that are nothing without an id: the official client never leaves it out."""

_ENCRYPTED = "encrypted_content"
_NAMES_A_TOOL = ("name", "namespace")
_LEGAL_ID = re.compile(rf"[A-Za-z0-9_-]{{1,{MAX_ID}}}")
_LEGAL_NAME = re.compile(rf"[A-Za-z0-9_-]{{1,{MAX_TOOL_NAME}}}")


def short_call_id(call_id: str) -> str:
    """The id by which the backend joins a call and its output: itself, if it is legal."""
    return call_id if _LEGAL_ID.fullmatch(call_id) else f"call_{_digest(call_id)}"


def legal_name(name: str) -> str:
    """A tool's name as the backend takes it: `mcp:srv:tool` is `mcp_srv_tool`, which is what
    clients call that tool where they offer it to this backend."""
    if is_name(name):
        return name
    plain = re.sub(r"[^A-Za-z0-9_-]", "_", name)
    if len(plain) <= MAX_TOOL_NAME and plain.strip("_-"):
        return plain
    return name_with_hash(name)


def name_with_hash(name: str) -> str:
    """A legal name that no other name becomes."""
    return f"{re.sub(r'[^A-Za-z0-9_-]', '_', name)[:64]}_{_digest(name)}"


def is_name(name: str) -> bool:
    return _LEGAL_NAME.fullmatch(name) is not None


def repair_items(items: Iterable[JsonObject]) -> list[JsonObject]:
    """The same items with ids and names that the backend takes. What is legal stays the same
    object, and none is changed in its place.

    Of two items with one id, the second goes without; if it is the first once more, it does not
    go at all, nor does its output.
    """
    result: list[JsonObject] = []
    by_id: dict[str, JsonObject] = {}
    outputs: dict[str, JsonObject] = {}
    duplicate_calls: set[str] = set()
    for item in map(_repair_item, items):
        call = get_str(item, "call_id")
        if first := by_id.get(item.get("id", "")):
            if _is_same(item, first):
                duplicate_calls.add(call)
                continue
            item = _with_other_id(item, len(result))
        if call in duplicate_calls and call in outputs and _is_same(item, outputs[call]):
            continue
        if "id" in item:
            by_id[item["id"]] = item
        if call and _kind(item).endswith("_output"):
            outputs[call] = item
        result.append(item)
    return result


def repair_choice(choice: JsonObject) -> JsonObject:
    """A `tool_choice` whose names are those that calls have."""
    tools = choice.get("tools")
    if isinstance(tools, list):
        entries = [_with_legal_names(tool) if isinstance(tool, dict) else tool for tool in tools]
        choice = {**choice, "tools": entries}
    return _with_legal_names(choice)


def _repair_item(item: JsonObject) -> JsonObject:
    if "id" in item and not _has_legal_id(item):
        item = _without_illegal_id(item)
    call = item.get("call_id")
    if isinstance(call, str) and call != (short := short_call_id(call)):
        item = {**item, "call_id": short}
    return _with_legal_names(item) if _kind(item).endswith("_call") else item


def _has_legal_id(item: JsonObject) -> bool:
    name, prefix = item["id"], PREFIXES.get(_kind(item))
    if not isinstance(name, str) or not _LEGAL_ID.fullmatch(name):
        return False
    return prefix is None or name.startswith(f"{prefix}_")


def _without_illegal_id(item: JsonObject) -> JsonObject:
    """What is encrypted may be bound to its id, so reasoning goes without one, not by another."""
    name = item["id"]
    if _kind(item) in _NEEDS_ID and isinstance(name, str) and name:
        return {**item, "id": _short_id(item, name)}
    return _without_id(item)


def _with_other_id(item: JsonObject, index: int) -> JsonObject:
    if _kind(item) in _NEEDS_ID:
        return {**item, "id": _short_id(item, f"{item['id']} {index}")}
    return _without_id(item)


def _short_id(item: JsonObject, text: str) -> str:
    return f"{PREFIXES[_kind(item)]}_{_digest(text)}"


def _without_id(item: JsonObject) -> JsonObject:
    return {name: value for name, value in item.items() if name != "id"}


def _with_legal_names(holder: JsonObject) -> JsonObject:
    renames = {
        field: legal_name(name)
        for field in _NAMES_A_TOOL
        if isinstance(name := holder.get(field), str) and not is_name(name)
    }
    return {**holder, **renames} if renames else holder


def _is_same(item: JsonObject, other: JsonObject) -> bool:
    """Whether both say the same: what is encrypted says all by itself."""
    if item.get(_ENCRYPTED) and _kind(item) == _kind(other):
        return bool(item[_ENCRYPTED] == other.get(_ENCRYPTED))
    return _comparable(item) == _comparable(other)


def _comparable(item: JsonObject) -> JsonObject:
    return {**item, "type": _kind(item), "status": None}


def _kind(item: JsonObject) -> str:
    return str(item.get("type") or "message")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:40]
