"""The encrypted reasoning before a tool call, for clients that cannot carry it.

Chat Completions has no field for it, and without it the model loses its thread between tool turns.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

from ..errors import JsonObject

MAX_CALLS = 2_000
_CALLS = ("function_call", "custom_tool_call")


class Reasoning:
    """Reasoning items by the call they came before. In memory: it is worthless to anyone else."""

    def __init__(self, max_calls: int = MAX_CALLS) -> None:
        self._before: OrderedDict[str, list[JsonObject]] = OrderedDict()
        self._max_calls = max_calls

    def remember(self, output: Iterable[JsonObject]) -> None:
        """Takes a finished response's output."""
        waiting: list[JsonObject] = []
        for item in output:
            if item.get("type") == "reasoning" and item.get("encrypted_content"):
                waiting.append(item)
            elif item.get("type") in _CALLS and waiting:
                self._before[str(item.get("call_id"))] = waiting
                waiting = []
        while len(self._before) > self._max_calls:
            self._before.popitem(last=False)

    def restore(self, items: Iterable[JsonObject]) -> list[JsonObject]:
        """The input, each known call with its reasoning before it again."""
        restored: list[JsonObject] = []
        for item in items:
            if item.get("type") in _CALLS:
                restored += self._before.get(str(item.get("call_id")), ())
            restored.append(item)
        return restored
