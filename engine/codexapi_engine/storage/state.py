"""Everything that a server keeps, in one place."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

from ..bounds import STATE_LOCK_WAIT
from ..errors import CodexError, InvalidRequest, JsonObject
from ..protocol import json
from ..protocol.event_log import EventLog
from ..protocol.responses import conversation_of
from ..protocol.responses.items import as_items, without_repeats
from ..protocol.shapes import get_list, get_str
from .chats import Chats
from .conversations import Conversations
from .files import Files
from .owner import Owner
from .responses import Responses
from .sqlite import ObjectStore

log = logging.getLogger("codexapi.state")


class Turn(NamedTuple):
    """A finished response, and what it answers."""

    request: JsonObject
    items: list[JsonObject]  # the request's own
    response: JsonObject
    owner: Owner


class State:
    """All stored objects of clients. Close it at the end.

    `request` is a client's body in the Responses dialect, checked, and `owner` its account and
    model. Raises Unavailable where the file cannot be used. A write may wait for another program, and
    belongs into `in_thread`; a read waits for none, and takes only the time to parse JSON.
    """

    def __init__(
        self,
        path: Path | None = None,
        *,
        clock: Callable[[], float] = time.time,
        max_wait: float = STATE_LOCK_WAIT,
    ) -> None:
        self._objects = ObjectStore(path, max_wait=max_wait)
        self.in_thread = self._objects.in_thread
        self.responses = Responses(self._objects, clock=clock)
        self.conversations = Conversations(self._objects)
        self.chats = Chats(self._objects)
        self.files = Files(self._objects, clock=clock)
        with suppress(CodexError):  # another program has the lock: those files stay a while
            self.files.sweep()

    def context(
        self, request: JsonObject, owner: Owner
    ) -> tuple[list[JsonObject], list[JsonObject]]:
        """What goes before a request, and its own items."""
        history = self.before(request, owner)
        return history, self.own(request, owner, history)

    def before(self, request: JsonObject, owner: Owner) -> list[JsonObject]:
        """The items that go before a request's own. Raises InvalidRequest if they are not there."""
        if previous := get_str(request, "previous_response_id"):
            return self.responses.history(previous, owner=owner)
        if conversation := conversation_of(request):
            return self.conversations.history(conversation, owner=owner)
        return []

    def own(
        self, request: JsonObject, owner: Owner, history: Sequence[JsonObject] = ()
    ) -> list[JsonObject]:
        """A request's own items, with references replaced, without those of `history`, which
        precede them."""
        items = without_repeats(as_items(request.get("input")), history)
        return self.responses.inlined(items, owner=owner)

    async def keep(
        self,
        request: JsonObject,
        items: list[JsonObject],
        response: JsonObject,
        event_log: EventLog | None = None,
        *,
        owner: Owner,
    ) -> CodexError | None:
        """`store`, on the storage thread, where there is something to store."""
        if request.get("store") is False and not conversation_of(request):
            return None
        work = partial(self.store, Turn(request, items, response, owner), event_log)
        light = not (conversation_of(request) or json.is_heavy(items, response))
        return await self.in_thread(work, light=light)

    def store(self, turn: Turn, event_log: EventLog | None = None) -> CodexError | None:
        """Stores a finished response, as far as its request wants that. An error is returned and not
        raised: the client gets its answer all the same."""
        try:
            if turn.request.get("store") is not False:
                self.responses.keep(
                    turn.response, turn.items, owner=turn.owner, event_log=event_log
                )
            self._add_to_conversation(turn)
        except CodexError as error:
            log.warning("a response was not kept: %s", error)
            return error
        return None

    def settle(self, turn: Turn, event_log: EventLog) -> bool:
        """Keeps how a response in the background has ended; False if it was cancelled or deleted."""
        with self._objects.transaction():
            running = self.responses.settle(turn.response, event_log, owner=turn.owner)
            if running:
                try:
                    self._add_to_conversation(turn)
                except InvalidRequest as error:  # its conversation is gone
                    log.warning("a response is in no conversation: %s", error)
            return running

    def _add_to_conversation(self, turn: Turn) -> None:
        """Adds the items of a successful response to its conversation."""
        conversation = conversation_of(turn.request)
        if conversation and turn.response.get("status") in ("completed", "incomplete"):
            items = [*turn.items, *get_list(turn.response, "output")]
            self.conversations.add(conversation, items, owner=turn.owner)

    def store_chat(self, request: JsonObject, completion: JsonObject) -> CodexError | None:
        """Keeps a chat completion, likewise."""
        try:
            self.chats.keep(completion, request)
        except CodexError as error:
            log.warning("a chat completion was not kept: %s", error)
            return error
        return None

    def close(self) -> None:
        self._objects.close()
