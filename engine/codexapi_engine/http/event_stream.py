"""One stream of the backend: its events, its retries before the first of them, and how it ends."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import NamedTuple, Self

from ..errors import (
    CodexError,
    StreamInterrupted,
    TransportError,
)
from ..protocol import limits
from ..protocol.responses import TERMINAL
from ..protocol.sse import Decoder, Event
from ..telemetry import RunMetrics
from ..unknown import DONE, UnknownNames
from .body import require_event_stream
from .errors import to_codex_error
from .failures import HttpFailure
from .messages import HttpResponse, OnChunk
from .retry import Attempts

OUTPUT = (".delta", ".output_item.done", ".partial_image")
"""How the types of events with output end: a token, a call that came in one piece, a picture."""

OnEvents = Callable[[list[Event]], bool]
"""Takes some events, never none. False when it wants no more for the moment."""


class SignedResponse(NamedTuple):
    """A response, and the id of the account that its request was signed for."""

    response: HttpResponse
    account: str | None


async def _send_no_more() -> SignedResponse:
    raise AssertionError("nothing is sent again behind the first event")


class EventStream:
    """The backend's answer, as batches of events: one batch for each piece of network read.

    Until its first event it is tried again where that can help: a server fault once, a refused or
    reset connection twice, a short Retry-After once, all within 12 s. Close it, whatever happens.
    """

    def __init__(
        self,
        post: Callable[[], Awaitable[SignedResponse]],
        drain: Callable[[HttpResponse], None],
        attempts: Attempts,
        unknown: UnknownNames,
    ) -> None:
        # set once
        self._post = post
        self._drain = drain
        self._attempts = attempts
        self._unknown = unknown
        self._settled = unknown.settled
        self.watch: RunMetrics | None = None  # keeps count of it
        self.changed: tuple[str, ...] = ()  # fields of the request that could not stay as they were
        self.limits = limits.UNTOLD  # as its headers tell them
        # moves as the stream moves
        self.headers: Mapping[str, str] = {}
        self.account: str | None = None  # the id of the account that its request was signed for
        self._response: HttpResponse | None = None
        self._decoder: Decoder
        self._any_event = False  # an event has been handed out
        self._any_item = False  # and an item that is done
        self._ended = False

    async def begin(self) -> None:
        """Sends the request, and waits for the status. Raises CodexError."""
        while True:
            try:
                response, account = await self._post()
                break
            except CodexError as error:
                if (retry := self._attempts.next(error)) is None:
                    raise
            await self._attempts.wait(retry)
        try:
            self.headers = require_event_stream(response.headers)
        except CodexError:
            await response.aclose()
            raise
        self._response, self.account = response, account
        self._decoder = Decoder(coalesce=True)

    async def push(self, on_events: OnEvents) -> bool:
        """Calls `on_events` with each batch as the network brings it, until that returns False or
        the stream ends; returns whether there is more. Plain deltas that came together stay so, as
        `DeltaBatch`. Raises CodexError, and what `on_events` raises.

        The calls are made in the network's own: to wake a task for each batch would cost more than
        all that is done with it.
        """

        def on_chunk(chunk: bytes) -> bool:
            events = self._decode(chunk)
            return not events or (on_events(events) and not self._ended)

        while not self._ended:
            try:
                if not await self._push_chunks(on_chunk) and (events := self._decode(None)):
                    on_events(events)
                break
            except TransportError as error:
                if self._any_event or (retry := self._attempts.next(error)) is None:
                    raise
            await self._close()
            await self._attempts.wait(retry)
            await self.begin()
        return not self._ended

    async def batch(self, *, coalesce: bool = False) -> list[Event]:
        """The next events, at least one; empty when the stream has ended. Raises CodexError.
        `coalesce` leaves plain deltas that came together in one piece, as `DeltaBatch`."""
        batch: list[Event] = []

        def on_events(events: list[Event]) -> bool:
            batch.extend(events)
            return False

        await self.push(on_events)
        return batch if coalesce else [one for event in batch for one in event.each]

    async def __aiter__(self) -> AsyncIterator[Event]:
        while events := await self.batch():
            for event in events:
                yield event

    async def aclose(self) -> None:
        """Ends the request at the backend, or lets the connection live if it is all read."""
        if self.watch is not None:
            self.watch.close()
        await self._close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def _push_chunks(self, on_chunk: OnChunk) -> bool:
        """False at the body's end, True where `on_chunk` wants no more."""
        assert self._response is not None, "begin() comes first"
        try:
            return await self._response.push(on_chunk)
        except HttpFailure as error:
            raise to_codex_error(error) from error

    def _decode(self, chunk: bytes | None) -> list[Event]:
        """The events that a chunk brings, or the body's end, which is None: counted, and none
        behind the terminal one."""
        if chunk is None:
            self._ended = True
            events = self._decoder.flush()
        else:
            events = self._decoder.feed(chunk)
        if events and not self._any_event:
            self._any_event = True
            self._post = _send_no_more  # the request is not kept for as long as its answer comes
            if self.watch is not None:
                self.watch.first()
        awaits_output = self.watch is not None and self.watch.awaits_output
        for place, event in enumerate(events, 1):
            if self.watch is not None:
                self.watch.events += event.count
            try:
                kind = event.type
            except StreamInterrupted:
                continue  # an unreadable event is for its reader to report
            if awaits_output and kind.endswith(OUTPUT):
                assert self.watch is not None
                self.watch.output()
                awaits_output = False
            # Most types are settled; that of a last event never is.
            if kind not in self._settled and self._ends(kind, event):
                return events[:place]
        return events

    def _ends(self, kind: str, event: Event) -> bool:
        """Looks at an event that is not settled; returns whether it is the last."""
        self._unknown.event(event, has_items=self._any_item)
        self._any_item = self._any_item or kind == DONE
        if kind not in TERMINAL:
            return False
        self._ended = True
        if self.watch is not None:
            self.watch.last(event.json)
        return True

    async def _close(self) -> None:
        response, self._response = self._response, None
        if response is None or response.complete:
            return
        if self._ended:
            self._drain(response)
        else:
            await response.aclose()
