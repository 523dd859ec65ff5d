"""Stores the encrypted reasoning before a tool call, for clients that cannot send it back.

Chat Completions has no field for it, and without it the model loses its thread between tool turns.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import NamedTuple

from ..bounds import MAX_REASONING_BYTES
from ..errors import JsonObject
from .owner import Owner

_CALLS = ("function_call", "custom_tool_call")


class _Thought(NamedTuple):
    owner: Owner
    items: list[JsonObject]
    size: int


class Reasoning:
    """Reasoning items by the call they came before. In memory: they are of no use for long."""

    def __init__(self, *, max_bytes: int = MAX_REASONING_BYTES) -> None:
        self._max_bytes = max_bytes
        self._before: OrderedDict[str, _Thought] = OrderedDict()
        self._size = 0

    def remember(self, output: Iterable[JsonObject], *, owner: Owner) -> None:
        """Takes a finished response's output."""
        waiting: list[JsonObject] = []
        for item in output:
            if item.get("type") == "reasoning" and item.get("encrypted_content"):
                waiting.append(item)
            elif item.get("type") in _CALLS and waiting:
                self._store_items(str(item.get("call_id")), owner, waiting)
                waiting = []

    def restore(self, items: Iterable[JsonObject], *, owner: Owner) -> list[JsonObject]:
        """The input, each known call with its reasoning before it again, where it is of `owner`."""
        if not self._before:
            return list(items)
        restored: list[JsonObject] = []
        for item in items:
            if item.get("type") in _CALLS:
                thought = self._before.get(str(item.get("call_id")))
                carried = bool(restored) and restored[-1].get("type") == "reasoning"
                if thought and not carried:
                    restored += owner.sendable(thought.items, thought.owner)
            restored.append(item)
        return restored

    def _store_items(self, call_id: str, owner: Owner, items: list[JsonObject]) -> None:
        size = sum(len(str(item["encrypted_content"])) for item in items)
        if before := self._before.pop(call_id, None):
            self._size -= before.size
        self._before[call_id] = _Thought(owner, items, size)
        self._size += size
        while self._size > self._max_bytes:
            _, oldest = self._before.popitem(last=False)
            self._size -= oldest.size
