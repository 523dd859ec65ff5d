"""Remembers the responses of one connection that are stored nowhere: the newest of each lane."""

from __future__ import annotations

from dataclasses import dataclass, field

from codexapi_engine.bounds import MAX_CHAIN_BYTES
from codexapi_engine.errors import JsonObject
from codexapi_engine.protocol.shapes import get_list, get_str
from codexapi_engine.storage import Owner


@dataclass(eq=False, slots=True)
class Chain:
    """A response with all that went before it."""

    items: list[JsonObject]
    owner: Owner
    size: int  # bytes, about
    lanes: set[str] = field(default_factory=set)  # whose newest it is


class Chains:
    """By the ids of their last responses. Over `limit` the oldest is forgotten: its client gets a
    400, and sends all of it again."""

    def __init__(self, *, limit: int = MAX_CHAIN_BYTES) -> None:
        self._limit = limit
        self._chains: dict[str, Chain] = {}
        self._newest: dict[str, str] = {}  # of each lane
        self._size = 0

    def find(self, name: str) -> Chain | None:
        return self._chains.get(name)

    def put(self, name: str, chain: Chain, lane: str) -> None:
        """The newest response of a lane."""
        self.forget(self._newest.get(lane, ""), lane)
        chain.lanes.add(lane)
        self._chains[name], self._newest[lane] = chain, name
        self._size += chain.size
        for other in list(self._chains):
            if self._size <= self._limit:
                break
            self._drop(other)

    def forget(self, name: str, lane: str) -> None:
        """It is no longer the newest of this lane."""
        if (chain := self._chains.get(name)) and lane in chain.lanes:
            chain.lanes.discard(lane)
            del self._newest[lane]
            if not chain.lanes:
                self._drop(name)

    def _drop(self, name: str) -> None:
        chain = self._chains.pop(name)
        self._size -= chain.size
        for lane in chain.lanes:
            del self._newest[lane]


class LaneMemory:
    """What one create reads and writes of its connection's chains. A `Memory`.

    A fork, which goes on with another lane's response, keeps that from the moment that it is
    requested: the other lane may be further on when its turn comes.
    """

    def __init__(self, chains: Chains, lane: str, *, previous: str, size: int) -> None:
        # set once
        self._chains = chains
        self._lane = lane
        self._previous = previous
        self._size = size  # of its request, in bytes
        parent = chains.find(previous)
        self._fork = parent if parent is not None and lane not in parent.lanes else None

    def history(self, previous: str, owner: Owner) -> list[JsonObject] | None:
        chain = self._parent()
        return None if chain is None else owner.sendable(chain.items, chain.owner)

    def remember(self, response: JsonObject, items: list[JsonObject], *, owner: Owner) -> None:
        name = get_str(response, "id")
        if not name or get_str(response, "status") not in ("completed", "incomplete"):
            return
        output, parent = get_list(response, "output"), self._parent()
        size = self._size + _weight(output) + (parent.size if parent else 0)
        self._chains.put(name, Chain([*items, *output], owner, size), self._lane)

    def failed(self) -> None:
        """The create went on with a response and was refused: its lane has that no more."""
        self._chains.forget(self._previous, self._lane)

    def _parent(self) -> Chain | None:
        return self._fork or self._chains.find(self._previous)


def _weight(items: list[JsonObject]) -> int:
    """Bytes of their long strings, about."""
    return sum(len(str(value)) for item in items for value in item.values())
