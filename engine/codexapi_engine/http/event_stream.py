"""One stream of the backend: its events, its retries before the first of them, and how it ends."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from typing import Self

from ..errors import (
    CodexError,
    StreamInterrupted,
    TransportError,
)
from ..protocol import limits
from ..protocol.responses import TERMINAL
from ..protocol.sse import Decoder, Event
from ..telemetry import RunMetrics
from ._httpx import httpx
from .body import (
    body_chunks,
    header_fields,
    is_complete,
    require_event_stream,
)
from .connection import Take
from .errors import (
    BackendRefusal,
    to_codex_error,
)
from .retry import Attempts


class EventStream:
    """The backend's answer, as batches of events: one batch for each piece of network read.

    Until its first event it is tried again where that can help: a server fault once, a refused or
    reset connection twice, a short Retry-After once, all within 12 s. Close it, whatever happens.
    """

    def __init__(
        self,
        post: Callable[[], Awaitable[httpx.Response]],
        drain: Callable[[httpx.Response, AsyncGenerator[bytes, None]], None],
        attempts: Attempts,
    ) -> None:
        # set once
        self._post = post
        self._drain = drain
        self._attempts = attempts
        self.watch: RunMetrics | None = None  # keeps count of it
        self.changed: tuple[str, ...] = ()  # fields of the request that could not stay as they were
        self.limits = limits.UNTOLD  # as its headers tell them
        # moves as the stream moves
        self.headers: Mapping[str, str] = {}
        self.account: str | None = None  # the id of the account that its request was signed for
        self._response: httpx.Response | None = None
        self._chunks: AsyncGenerator[bytes, None] | None = None
        self._decoder: Decoder
        self._any_event = False  # an event has been handed out
        self._ended = False

    async def begin(self) -> None:
        """Sends the request, and waits for the status. Raises CodexError."""
        while True:
            try:
                response = await self._post()
            except (BackendRefusal, TransportError) as error:
                failure = error
            else:
                break
            # Not in the `except`: the next failure would have this one for its context.
            await self._attempts.another(failure)
        try:
            self.headers = require_event_stream(header_fields(response))
        except CodexError:
            await response.aclose()
            raise
        self.account = response.extensions["account"]
        self._response, self._chunks = response, body_chunks(response)
        self._decoder = Decoder(coalesce=True)

    async def batch(self, *, coalesce: bool = False) -> list[Event]:
        """The next events, at least one; empty when the stream has ended. Raises CodexError.
        `together` leaves plain deltas that came together in one piece, as `DeltaBatch`."""
        events = await self._batch()
        return events if coalesce else [one for event in events for one in event.each]

    async def follow(self, take: Callable[[list[Event]], bool]) -> None:
        """Gives `take` each batch as the network brings it, `together`, and never an empty one,
        until it says False or the stream has ended: for a task to be woken by each would cost
        more than what is done with it. To be called after the first batch, so that nothing is
        tried again. Raises CodexError, and what `take` does."""
        assert self._any_event or self._ended, "batch() comes first"
        if self._ended:
            return
        assert self._response is not None
        follow: _Follow = self._response.extensions.get("follow") or self._follow_pieces

        def feed(chunk: bytes) -> bool:
            events = self._decoded(chunk)
            return not events or (take(events) and not self._ended)

        try:
            more = await follow(feed)
        except httpx.HTTPError as error:
            raise to_codex_error(error) from error
        if not more and (events := self._decoded(None)):
            take(events)

    async def _batch(self) -> list[Event]:
        while not self._ended:
            try:
                events = await self._next_events()
            except TransportError as error:
                if self._any_event:
                    raise
                failure = error
            else:
                if events:
                    return events
                continue
            await self._close()
            await self._attempts.another(failure)
            await self.begin()
        return []

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

    async def _next_events(self) -> list[Event]:
        assert self._chunks is not None, "begin() comes first"
        try:
            chunk = await anext(self._chunks, None)
        except httpx.HTTPError as error:
            raise to_codex_error(error) from error
        return self._decoded(chunk)

    async def _follow_pieces(self, take: Take) -> bool:
        """As `follow` of our own network does, for a transport that has none."""
        assert self._chunks is not None
        while (chunk := await anext(self._chunks, None)) is not None:
            if not take(chunk):
                return True
        return False

    def _decoded(self, chunk: bytes | None) -> list[Event]:
        """The events that a piece brings, or the body's end, which is None: counted, and none
        behind the terminal one."""
        if chunk is None:
            self._ended = True
            events = self._decoder.flush()
        else:
            events = self._decoder.feed(chunk)
        if events:
            self._any_event = True
            if self.watch is not None:
                self.watch.saw(events)
        return self._until_terminal(events)

    def _until_terminal(self, events: list[Event]) -> list[Event]:
        for count, event in enumerate(events, 1):
            try:  # in place of `suppress`, of which each event would make one
                if event.type in TERMINAL:
                    self._ended = True
                    if self.watch is not None:
                        self.watch.last(event.json)
                    return events[:count]
            except StreamInterrupted:
                pass  # an unreadable event is for its reader to report
        return events

    async def _close(self) -> None:
        response, chunks = self._response, self._chunks
        self._response = self._chunks = None
        if response is None or chunks is None or is_complete(response):
            return
        if self._ended:
            self._drain(response, chunks)
        else:
            await chunks.aclose()
            await response.aclose()


_Follow = Callable[[Take], Awaitable[bool]]
