"""Items one after another, where the backend tells several at once
(`tests/wires/interleaved_tool_calls.sse`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

from ...errors import JsonObject

S = TypeVar("S")


class ItemOrder(Generic[S]):
    """The item that came first is the present one until `next`; the events of others wait. `S` is
    what is done with an event."""

    def __init__(self) -> None:
        self.present: int | None = None
        self._waiting: dict[int, list[tuple[S, JsonObject]]] = {}
        self._over: set[int] = set()

    def takes(self, index: int, step: S, data: JsonObject) -> bool:
        """Whether the event is the present item's. If not, it waits, or comes too late."""
        if index in self._over:
            return False
        if self.present is None:
            self.present = index
        if self.present == index:
            return True
        self._waiting.setdefault(index, []).append((step, data))
        return False

    def is_over(self, index: int) -> bool:
        return index in self._over

    @property
    def free(self) -> int:
        """An index that no item has had."""
        return max([-1, *self._over, *self._waiting, *self._present()]) + 1

    def next(self) -> Iterator[tuple[S, JsonObject]]:
        """Ends the present item. What has waited for the next one comes back."""
        self._over.update(self._present())
        self.present = None
        if self._waiting:
            self.present = next(iter(self._waiting))
            yield from self._waiting.pop(self.present)

    def _present(self) -> tuple[int, ...]:
        return () if self.present is None else (self.present,)
