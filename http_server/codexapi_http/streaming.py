"""A backend stream on its way to the client.

One write for each piece of network read (a large event takes several), a comment when the backend
is silent for long, and the error in the client's own dialect when it breaks. The HTTP status waits for the first thing to
say: until then, a failure is a status of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from codexapi_engine import CodexError
from codexapi_engine.protocol import Event, Translator, json, sse

from .access import current
from .requests import ended, left, settings_of

KEEP_ALIVE_EVENT = sse.encode({"type": "keepalive"})
"""For a Codex client: its idle timer does not count comments, and unknown events do no harm."""


class Batches(Protocol):
    """Events as they come: the backend's, or those of a stream that was taped."""

    async def batch(self, *, together: bool = False) -> list[Event]: ...
    async def aclose(self) -> None: ...


@dataclass(eq=False, slots=True)
class Run:
    """One run at the backend, and what makes the client's stream of it."""

    events: Batches
    translator: Translator
    then: Callable[[], None] | None = None  # called when the run has ended well
    ended: bool = False

    def take(self, batch: list[Event]) -> Iterator[bytes]:
        """What a batch becomes; an empty one is the end of the backend's stream. No event is held
        longer than it takes to be told."""
        over = not batch
        batch.reverse()
        while batch:
            yield from self.translator.feed(batch.pop())
        if over:
            yield from self.translator.close()
        self.ended = over or self.translator.finished
        if self.ended and self.then is not None:
            self.then()


class Relay:
    """Batches of events in, bytes out. With several runs, whoever speaks is written.

    `whole`: nothing is written before the end, so every failure is raised.
    """

    def __init__(self, *runs: Run, whole: bool = False) -> None:
        self._runs = runs
        self._whole = whole
        self._reading: dict[asyncio.Task[list[Event]], Run] = {}
        self._saying: list[tuple[Run, Iterator[bytes]]] = []  # what is read, and not yet written
        self.committed = False  # something was written: the status cannot change any more
        self.ended = False

    async def piece(self) -> bytes:
        """The next bytes to write; empty at the end. Raises CodexError only before the first."""
        while not self.ended:
            out: list[bytes] = []
            try:
                self._saying = self._saying or [
                    (run, run.take(batch)) for run, batch in await self._batches()
                ]
                await self._say(out)
            except CodexError as error:
                self.ended = True
                if self._whole or not (out or self.committed):
                    raise
                out.extend(self._failed(error))
            self.ended = self.ended or all(run.ended for run in self._runs)
            if out:
                self.committed = True
                return b"".join(out)
        return b""

    def broken(self, error: CodexError) -> bytes:
        """The last bytes of a stream that ends before its time."""
        self.ended = True
        cut = [b"\n\n"] if self._saying else []  # a large event, half of which is written
        return b"".join(cut + self._failed(error))

    async def aclose(self) -> None:
        if self._reading:
            await ended(*self._reading)
        for run in self._runs:
            await run.events.aclose()

    async def _say(self, out: list[bytes]) -> None:
        """As much as one write takes: the client is not to be behind by a whole large event."""
        size = 0
        while self._saying:
            run, saying = self._saying[0]
            for piece in saying:
                out.append(piece)
                size += len(piece)
                if size > json.PIECE:
                    return
            del self._saying[0]
            if run.ended:
                await run.events.aclose()

    async def _batches(self) -> Iterable[tuple[Run, list[Event]]]:
        if len(self._runs) == 1:  # a task for each batch would cost more than translating it
            (run,) = self._runs
            return [(run, await run.events.batch(together=True))]
        for run in self._runs:
            if not run.ended and run not in self._reading.values():
                self._reading[asyncio.create_task(run.events.batch(together=True))] = run
        done, _ = await asyncio.wait(self._reading, return_when=asyncio.FIRST_COMPLETED)
        return [(self._reading.pop(task), task.result()) for task in done]

    def _failed(self, error: CodexError) -> list[bytes]:
        current().failed(error)
        return list(self._runs[0].translator.fail(error))


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
        self._watching: list[asyncio.Task[None]] = []  # for silence; none before it was possible
        self._spoke = False  # since the keep-alive timer last looked
        self._writing = True  # a client that takes its time is not sent comments besides

    @classmethod
    async def begin(
        cls,
        request: Request,
        *runs: Run,
        headers: Mapping[str, str],
        keep_alive: bytes = sse.KEEP_ALIVE,
    ) -> EventStreamResponse:
        """Waits until there is something to say, at most one keep-alive interval; then 200.

        Raises CodexError, with the stream closed, for a failure before that.
        """
        interval = settings_of(request).keep_alive
        relay = Relay(*runs)
        first = asyncio.create_task(relay.piece())
        try:
            await asyncio.wait({first}, timeout=interval)
            if first.done():
                first.result()
            relay.committed = True  # and what fails from here on is told in the stream
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
        timer = asyncio.get_running_loop().call_later(self._interval, self._watch, send)
        try:
            await asyncio.wait({writing, gone, told}, return_when=asyncio.FIRST_COMPLETED)
            if writing.done():
                writing.result()
        finally:
            shutdown.release(told)
            timer.cancel()
            await ended(writing, gone, self._first, *self._watching)
            await self._relay.aclose()
        if told.done() and not self._relay.ended:
            await send(_body(self._relay.broken(shutdown.error()), more=False))

    async def _write(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        self._writing = False
        piece = await self._first
        while piece:
            self._spoke = self._writing = True
            if self._relay.ended:  # then this is the end: a write of its own for that would cost
                await send(_body(piece, more=False))
                return
            await send(_body(piece))
            self._writing = False
            piece = await self._relay.piece()
        self._writing = True
        await send(_body(b"", more=False))

    def _watch(self, send: Send) -> None:
        self._watching.append(asyncio.create_task(self._fill_silence(send)))

    async def _fill_silence(self, send: Send) -> None:
        # One timer for a stream, and not one for a piece: that would cost more than translating.
        # Nor a task for a stream that is short.
        while True:
            if not (self._spoke or self._writing):
                await send(_body(self._keep_alive))
            self._spoke = False
            await asyncio.sleep(self._interval)


def _body(piece: bytes, *, more: bool = True) -> dict[str, object]:
    return {"type": "http.response.body", "body": piece, "more_body": more}
