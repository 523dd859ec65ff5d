"""Stores responses, and the history that `previous_response_id` stands for.

A stored response is one object: the response, the items of its input, and the events of its
stream. Its items are found by their own ids too, since clients refer to them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from ..bounds import HEARTBEAT_TIMEOUT, MAX_LOG_BYTES
from ..errors import CodexError, InvalidRequest, JsonObject
from ..protocol import Event
from ..protocol.event_log import EventLog, events_of
from ..protocol.responses import conversation_of, failed, replay
from ..protocol.responses.items import is_bare, is_hollow, kind_of, shown
from ..protocol.shapes import get_dict, get_int, get_list, get_str
from .names import absent, new_id
from .owner import Owner
from .sqlite import ObjectStore

_KIND, _SERVER = "response", "server"
_RUNNING = frozenset({"queued", "in_progress"})


class Responses:
    """Responses by id. Where there is none of an id, InvalidRequest is raised, a 404.

    What is running in the background is kept from its start; `beat` must then be called every
    `HEARTBEAT_INTERVAL` seconds, so that no other server on the same file takes it for lost.
    """

    def __init__(self, objects: ObjectStore, *, clock: Callable[[], float] = time.time) -> None:
        self._objects = objects
        self._clock = clock
        self._server = new_id("server")

    def keep(
        self,
        response: JsonObject,
        items: Iterable[JsonObject],
        *,
        owner: Owner,
        event_log: EventLog | None = None,
    ) -> None:
        """Keeps a finished response and its own input."""
        if name := get_str(response, "id"):
            value = {"response": response, "input": listable(items), **owner._asdict()}
            value.update(_events_field(event_log))
            self._objects.put(_KIND, name, value, names=_item_ids(value))

    def begin(self, response: JsonObject, items: Iterable[JsonObject], *, owner: Owner) -> None:
        """Keeps a response that has yet to run, in this process."""
        value = {"response": response, "input": listable(items), **owner._asdict()}
        self.heartbeat()
        self._objects.put(
            _KIND, response["id"], {**value, "server": self._server}, names=_item_ids(value)
        )

    def settle(
        self,
        response: JsonObject,
        event_log: EventLog | None = None,
        *,
        owner: Owner | None = None,
    ) -> bool:
        """Replaces a running response by how it is now, and its owner where that has changed since
        it began. Whether it was still running: one that was cancelled or deleted stays so."""
        whose = owner._asdict() if owner else {}
        before: list[str] = []

        def settled(value: JsonObject) -> JsonObject:
            before.append(_status(value))
            if before[-1] not in _RUNNING:
                return value
            return {**value, "response": response, **whose, **_events_field(event_log)}

        found = self._objects.change(_KIND, response["id"], settled, names=_item_ids)
        return found is not None and before[-1] in _RUNNING

    def cancel(self, id: str) -> JsonObject:  # noqa: A002
        """The response, cancelled if it was running. Only one in the background can be."""
        response = self.get(id)
        if not response.get("background"):
            raise InvalidRequest("Cannot cancel a synchronous response.")
        if get_str(response, "status") in _RUNNING:
            self.settle({**response, "status": "cancelled"})
        return self.get(id)

    def get(self, id: str) -> JsonObject:  # noqa: A002
        return get_dict(self._require(id), "response")

    def items(self, id: str) -> list[JsonObject]:  # noqa: A002
        """What its input was, but for what went before it."""
        return get_list(self._require(id), "input")

    def events(self, id: str) -> list[Event]:  # noqa: A002
        """Its recorded events, or equivalent ones."""
        value = self._require(id)
        return events_of(get_str(value, "events").encode()) or replay(get_dict(value, "response"))

    def delete(self, id: str) -> None:  # noqa: A002
        if not self._objects.delete(_KIND, id):
            raise absent("Response", id)

    def history(self, previous: str, *, owner: Owner) -> list[JsonObject]:
        """The items of a response and of all before it, in order, less those that `owner` cannot
        send."""
        turns: list[list[JsonObject]] = []
        name, chain = previous, set[str]()
        # A backend that starts anew may give an id again, and a chain would then lead to itself.
        while name and name not in chain:
            chain.add(name)
            value = self._stored_row(name)
            if value is None:
                raise no_previous(f"Previous response with id '{name}' not found.")
            response = get_dict(value, "response")
            if _status(value) in _RUNNING:
                raise no_previous(f"Previous response with id '{name}' is still running.")
            if conversation := conversation_of(response):
                raise no_previous(
                    f"Previous response with id '{name}' is part of a conversation: go on with "
                    f"'conversation': '{conversation}'."
                )
            turns.append(owner.sendable(_items(value), Owner.read(value)))
            name = get_str(response, "previous_response_id")
        return [item for turn in reversed(turns) for item in turn]

    def inlined(self, items: Iterable[JsonObject], *, owner: Owner) -> list[JsonObject]:
        """The items, each that is hollow replaced by what was kept under its id.

        What is not known stays as it is. Reasoning that `owner` cannot send stays bare.
        """
        sequence = list(items)
        wanted = {str(item.get("id")) for item in sequence if is_hollow(item)}
        if not wanted:
            return sequence
        found: dict[str, JsonObject] = {}
        for holder in set(self._objects.find_by_item(_KIND, wanted).values()):
            found.update(self._items_of(holder, owner))
        return [
            found.get(str(item.get("id")), item) if is_hollow(item) else item for item in sequence
        ]

    def running(self, ids: Iterable[str]) -> set[str]:
        """Those that still run: not cancelled or deleted by any server."""
        values = ((name, self._stored_row(name)) for name in ids)
        return {name for name, value in values if value and _status(value) in _RUNNING}

    def heartbeat(self) -> None:
        """Says that this server is alive."""
        self._objects.put(_SERVER, self._server, {"at": int(self._clock())})

    def _require(self, id: str) -> JsonObject:  # noqa: A002
        value = self._stored_row(id)
        if value is None:
            raise absent("Response", id)
        return value

    def _stored_row(self, id: str) -> JsonObject | None:  # noqa: A002
        """What was kept; None if there is none, or the row has another shape than ours."""
        value = self._objects.get(_KIND, id)
        if value is None or get_str(get_dict(value, "response"), "id") != id or not _status(value):
            return None
        if _status(value) in _RUNNING and self._is_lost(value):
            gone = CodexError("the server that ran this response is gone", code="server_error")
            # The row stays as it is: to change it would need the lock, and a server that could not
            # write for a minute still ends its run.
            return {**value, "response": failed(get_dict(value, "response"), gone)}
        return value

    def _is_lost(self, value: JsonObject) -> bool:
        server = get_str(value, "server")
        if server == self._server:
            return False
        last_heartbeat = get_int(self._objects.get(_SERVER, server) or {}, "at")
        return last_heartbeat is None or self._clock() - last_heartbeat > HEARTBEAT_TIMEOUT

    def _items_of(self, holder: str, owner: Owner) -> dict[str, JsonObject]:
        value = self._stored_row(holder) or {}
        writer, found = Owner.read(value), {}
        for item in _items(value):
            name = get_str(item, "id")
            if owner.can_send(item, writer):
                found[name] = item
            elif kind_of(item) == "reasoning":
                found[name] = {"type": "reasoning", "id": name}
        return found


def listable(items: Iterable[JsonObject]) -> list[JsonObject]:
    """Items as they are kept, each with an id."""
    return [shown(item, new_id) for item in items if not is_bare(item)]


def _items(value: JsonObject) -> list[JsonObject]:
    """The items of one turn."""
    return get_list(value, "input") + get_list(get_dict(value, "response"), "output")


def _events_field(event_log: EventLog | None) -> JsonObject:
    if event_log is None or not event_log.pieces or sum(map(len, event_log.pieces)) > MAX_LOG_BYTES:
        return {}
    return {"events": b"".join(event_log.pieces).decode(errors="replace")}


def _item_ids(value: JsonObject) -> list[str]:
    items = get_list(value, "input") + get_list(get_dict(value, "response"), "output")
    return [name for item in items if (name := get_str(item, "id"))]


def _status(value: JsonObject) -> str:
    return get_str(get_dict(value, "response"), "status")


def no_previous(message: str) -> InvalidRequest:
    return InvalidRequest(message, code="previous_response_not_found", param="previous_response_id")
