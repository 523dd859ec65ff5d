"""A backend stream on its way to the client.

One write for each piece of network read, a comment when the backend is silent for long, and the
error in the client's own dialect when it breaks. The HTTP status waits for the first thing to
say: until then, a failure is a status of its own.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from codexapi_engine import CodexError, EventStream
from codexapi_engine.protocol import Translator, sse

from .requests import ended, left, settings_of

KEEP_ALIVE_EVENT = sse.encode({"type": "keepalive"})
"""For a Codex client: its idle timer does not count comments, and unknown events do no harm."""

log = logging.getLogger("codexapi.http")


class Relay:
    """Batches of events in, bytes out."""

    def __init__(self, events: EventStream, translator: Translator) -> None:
        self._events = events
        self._translator = translator
        self.committed = False  # something was written: the status cannot change any more
        self.ended = False

    async def piece(self) -> bytes:
        """The next bytes to write; empty at the end. Raises CodexError only before the first."""
        while not self.ended:
            out: list[bytes] = []
            try:
                batch = await self._events.batch()
                for event in batch:
                    out.extend(self._translator.feed(event))
                if not batch:
                    self.ended = True
                    out.extend(self._translator.close())
            except CodexError as error:
                self.ended = True
                if not (out or self.committed):
                    raise
                out.extend(self._failed(error))
            if out:
                self.committed = True
                return b"".join(out)
        return b""

    def broken(self, error: CodexError) -> bytes:
        """The last bytes of a stream that ends before its time."""
        self.ended = True
        return b"".join(self._failed(error))

    async def aclose(self) -> None:
        await self._events.aclose()

    def _failed(self, error: CodexError) -> list[bytes]:
        log.warning("a stream broke: %s: %s", error.code, error)
        return list(self._translator.fail(error))


class EventStreamResponse(Response):
    """Writes a relay's bytes. Made by `begin`."""

    def __init__(
        self,
        relay: Relay,
        first: asyncio.Task[bytes],
        *,
        headers: Mapping[str, str],
        interval: float,
        keep_alive: bytes,
    ) -> None:
        self.status_code = 200
        self.background = None
        self.init_headers(
            {
                "content-type": "text/event-stream; charset=utf-8",
                "cache-control": "no-cache",
                "x-accel-buffering": "no",  # nginx would hold the stream back
                **headers,
            }
        )
        self._relay = relay
        self._first = first
        self._interval = interval
        self._keep_alive = keep_alive
        self._spoke = False  # since the keep-alive timer last looked

    @classmethod
    async def begin(
        cls,
        request: Request,
        events: EventStream,
        translator: Translator,
        *,
        headers: Mapping[str, str],
        keep_alive: bytes = sse.KEEP_ALIVE,
    ) -> EventStreamResponse:
        """Waits until there is something to say, at most one keep-alive interval; then 200.

        Raises CodexError, with the stream closed, for a failure before that.
        """
        interval = settings_of(request).keep_alive
        relay = Relay(events, translator)
        first = asyncio.create_task(relay.piece())
        try:
            await asyncio.wait({first}, timeout=interval)
            if first.done():
                first.result()
        except BaseException:
            await ended(first)
            await relay.aclose()
            raise
        return cls(relay, first, headers=headers, interval=interval, keep_alive=keep_alive)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        shutdown = scope["app"].state.shutdown
        told = shutdown.register()
        writing = asyncio.create_task(self._write(send))
        gone = asyncio.create_task(left(receive))
        timer = asyncio.create_task(self._fill_silence(send))
        try:
            await asyncio.wait({writing, gone, told}, return_when=asyncio.FIRST_COMPLETED)
            if writing.done():
                writing.result()
        finally:
            shutdown.release(told)
            await ended(writing, gone, timer, self._first)
            await self._relay.aclose()
        if told.done() and not self._relay.ended:
            await send(_body(self._relay.broken(shutdown.error()), more=False))

    async def _write(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        self._relay.committed = True
        piece = await self._first
        while piece:
            self._spoke = True
            await send(_body(piece))
            piece = await self._relay.piece()
        await send(_body(b"", more=False))

    async def _fill_silence(self, send: Send) -> None:
        # One timer for a stream, and not one for a piece: that would cost more than translating.
        while True:
            await asyncio.sleep(self._interval)
            if not self._spoke:
                await send(_body(self._keep_alive))
            self._spoke = False


def _body(piece: bytes, *, more: bool = True) -> dict[str, object]:
    return {"type": "http.response.body", "body": piece, "more_body": more}
