"""A backend stream on its way to the client.

One write for each piece of network read (a large event takes several), a comment when the backend
is silent for long, and the error in the client's own dialect when it breaks. The HTTP status waits
for the first thing to say, at most one keep-alive interval from the request on: until then, a
failure is a status of its own, and from then on an event.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from codexapi_engine import CodexError, EventStream
from codexapi_engine.protocol import Event, Translator, json, sse

from .dialect import dialect_of
from .middleware.request_log import current
from .requests import ended
from .server.uvicorn_protocol import ClientConnection, client_of

KEEP_ALIVE_EVENT = sse.encode({"type": "keepalive"})
"""For a Codex client: its idle timer does not count comments, and unknown events do no harm."""


Open = Callable[[], Awaitable[Sequence[EventStream]]]
"""Sends the requests of some runs, and returns when the status of each is known."""

Then = Callable[["Run"], Awaitable[object] | None]

Rename = Callable[[str | None], str | None]
"""Gives a field that an error names the name that the caller used."""


class Batches(Protocol):
    """Events as they come: the backend's, or those of a stream that was taped."""

    async def batch(self, *, coalesce: bool = False) -> list[Event]: ...
    async def aclose(self) -> None: ...


class _NotOpen:
    """The events of a run whose request is not sent yet."""

    async def batch(self, *, coalesce: bool = False) -> list[Event]:
        raise AssertionError("open it first")

    async def aclose(self) -> None:
        """There is nothing to close."""


NOT_OPEN: Batches = _NotOpen()


@dataclass(eq=False, slots=True)
class Run:
    """One run at the backend, and what makes the client's stream of it."""

    events: Batches
    translator: Translator
    then: Then | None = None  # called with the run when it has ended well
    ended: bool = False

    @property
    def account(self) -> str | None:
        """Whose login asked for it; None where that is not known."""
        return self.events.account if isinstance(self.events, EventStream) else None

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

    async def settle(self) -> None:
        """Does what was to be done when it has ended well: the end is told after it."""
        if self.ended and self.then is not None:
            then, self.then = self.then, None
            if (keeping := then(self)) is not None:
                await keeping


class StreamPump:
    """Batches of events in, bytes out. With several runs, whoever speaks is written.

    `whole`: nothing is written before the end, so every failure is raised.
    """

    def __init__(self, *runs: Run, whole: bool = False) -> None:
        self._runs = runs
        self._whole = whole
        self.rename: Rename | None = None
        self._reading: dict[asyncio.Task[list[Event]], Run] = {}
        self._saying: list[tuple[Run, Iterator[bytes]]] = []  # what is read, and not yet written
        self._out: list[bytes] = []  # what `flow` has left to say
        self._error: CodexError | None = None  # what ended it
        self.committed = False  # something was written: the status cannot change any more
        self.ended = False

    async def piece(self) -> bytes:
        """The next bytes to write; empty at the end. Raises CodexError only before the first."""
        while not self.ended:
            out, self._out = self._out, []
            try:
                if self._error is not None:
                    raise self._error
                if not out:
                    self._saying = self._saying or await self._batches()
                    self._emit(out)
            except CodexError as error:
                self.ended = True
                if self._whole or not (out or self.committed):
                    self._name_field(error)
                    raise
                out.extend(self._failed(error))
            if len(self._runs) > 1 and not self._saying:
                for run in self._runs:
                    if run.ended:  # the others may take their time
                        await run.events.aclose()
            self.ended = self.ended or all(run.ended for run in self._runs)
            for run in self._runs:
                await run.settle()
            if out:
                self.committed = True
                return b"".join(out)
        return b""

    async def flow(self, write: Callable[[bytes], bool]) -> None:
        """Writes what a single run says, in the same turn of the loop that brought it, while
        `write` says that more may come. The rest, and how it ends, is for `piece`."""
        (run, *others) = self._runs
        if others or self.ended or self._saying or not isinstance(run.events, EventStream):
            return

        def take(batch: list[Event]) -> bool:
            out: list[bytes] = []
            self._saying = [(run, run.take(batch))]
            try:
                self._emit(out)
            except CodexError as error:
                self._error = error
            if self._saying or run.ended or self._error is not None:
                self._out = out
                return False
            return write(b"".join(out)) if out else True

        try:
            await run.events.push(take)
        except CodexError as error:
            self._error = error

    def fail(self, error: CodexError) -> bytes:
        """The last bytes of a stream that could not begin. Raises the error if the status can still
        tell it."""
        if not self.committed:
            self._name_field(error)
            raise error
        return self.broken(error)

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

    def _emit(self, out: list[bytes]) -> None:
        """As much as one write takes: the client is not to be behind by a whole large event."""
        size = 0
        while self._saying:
            for piece in self._saying[0][1]:
                out.append(piece)
                size += len(piece)
                if size > json.PIECE:
                    return
            del self._saying[0]

    async def _batches(self) -> list[tuple[Run, Iterator[bytes]]]:
        """What the next batches become. A task for each would cost more than translating it, so
        there are some only where runs race."""
        if len(self._runs) == 1:
            (run,) = self._runs
            return [(run, run.take(await run.events.batch(coalesce=True)))]
        for run in self._runs:
            if not run.ended and run not in self._reading.values():
                self._reading[asyncio.create_task(run.events.batch(coalesce=True))] = run
        done, _ = await asyncio.wait(self._reading, return_when=asyncio.FIRST_COMPLETED)
        read = [(self._reading.pop(task), task.result()) for task in done]
        return [(run, run.take(batch)) for run, batch in read]

    def _failed(self, error: CodexError) -> list[bytes]:
        self._name_field(error)
        current().failed(error)
        return list(self._runs[0].translator.fail(error))

    def _name_field(self, error: CodexError) -> None:
        if self.rename is not None:
            error.param = self.rename(error.param)


class Opening(NamedTuple):
    """How the runs of a response begin, and the response's headers when they have."""

    open: Open
    headers: Callable[[EventStream], Mapping[str, str]]


class EventStreamResponse(Response):
    """Some runs on their way to a client.

    It raises CodexError, with the runs closed, while the status is open: then an error handler
    writes it. Cancelled as the server goes down, it writes the last event first.

    Runs that are not open yet are opened by `opening`, while the keep-alive interval runs; `headers`
    are those of an answer that does not wait for that. Without a `keep_alive` of its own it has the
    dialect's.
    """

    def __init__(
        self,
        *runs: Run,
        headers: Mapping[str, str],
        keep_alive: bytes | None = None,
        opening: Opening | None = None,
    ) -> None:
        self.raw_headers = [
            (b"cache-control", b"no-cache"),
            (b"x-accel-buffering", b"no"),  # nginx would hold the stream back
            *_raw(headers),
        ]
        self._runs = runs
        self._opening = opening
        self._relay = StreamPump(*runs)
        self._keep_alive = keep_alive
        self._watching: asyncio.Task[None] | None = None  # for silence, when it was long
        self._filling: asyncio.Future[None] | None = None  # silence is being filled
        self._spoke = False  # since the keep-alive timer last looked
        self._writing = False  # a client that takes its time is not sent comments besides
        self.begun = False  # the status is told

    def name_fields(self, rename: Rename) -> None:
        """Lets its errors name the fields of the request so."""
        self._relay.rename = rename

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._write(scope, send)
        except asyncio.CancelledError:
            shutdown = scope["app"].state.shutdown
            if self.begun and shutdown.ends_all and not self._relay.ended:
                await send(_body_message(self._relay.broken(shutdown.error()), more=False))
            raise

    async def _write(self, scope: Scope, send: Send) -> None:
        interval, dialect = scope["app"].state.settings.keep_alive, dialect_of(scope)
        self.raw_headers.append((b"content-type", dialect.media_type.encode()))
        if self._keep_alive is None:
            self._keep_alive = dialect.keep_alive
        timer = asyncio.get_running_loop().call_later(
            interval, self._start_keep_alive, send, interval
        )
        try:
            piece = await self._first_piece()
            await self._send_head(send)
            await self._flow(piece, client_of(scope), send)
        finally:
            timer.cancel()
            try:
                if self._watching is not None:
                    await ended(self._watching)
            finally:
                await self._relay.aclose()

    async def _first_piece(self) -> bytes:
        """The first bytes to write: raises CodexError in place of them while the status is open."""
        if self._opening is None:
            return await self._relay.piece()
        try:
            streams = await self._opening.open()
        except CodexError as error:
            return self._relay.fail(error)
        attach(self._runs, streams)
        if not self.begun:
            newer = dict(_raw(self._opening.headers(streams[0])))
            older = [line for line in self.raw_headers if line[0] not in newer]
            self.raw_headers = [*older, *newer.items()]
        return await self._relay.piece()

    async def _send_head(self, send: Send) -> None:
        if not self.begun:
            self.begun = self._relay.committed = True
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})

    async def _flow(self, piece: bytes, client: ClientConnection | None, send: Send) -> None:
        def write(piece: bytes) -> bool:
            assert client is not None
            self._spoke = True
            client.write(piece)
            return client.takes_more

        while piece:
            if self._relay.ended:  # then with it the end: a write of its own for that would cost
                if client is None or not client.takes_more:
                    await self._relay.aclose()  # the backend need not wait for a slow client
                await self._send(send, piece, more=False)
                return
            await self._send(send, piece, more=True)
            if client is not None and client.takes_more:
                await self._relay.flow(write)
            piece = await self._relay.piece()
        await self._send(send, b"", more=False)

    async def _send(self, send: Send, piece: bytes, *, more: bool) -> None:
        self._spoke = self._writing = True
        if self._filling is not None:
            await self._filling
        await send(_body_message(piece, more=more))
        if len(piece) > json.PIECE:  # more of it is there: a quick reader would have the loop
            await asyncio.sleep(0)
        self._writing = not more

    def _start_keep_alive(self, send: Send, interval: float) -> None:
        self._watching = asyncio.create_task(self._fill_silence(send, interval))

    async def _fill_silence(self, send: Send, interval: float) -> None:
        # One timer for a stream, and not one for a piece: that would cost more than translating.
        # Nor a task for a stream that is short.
        while True:
            if not (self._spoke or self._writing):
                self._filling = asyncio.get_running_loop().create_future()
                try:
                    await self._send_head(send)
                    await send(_body_message(self._keep_alive or b""))
                finally:
                    filling, self._filling = self._filling, None
                    if not filling.done():  # whoever waited for it may have been cancelled
                        filling.set_result(None)
            self._spoke = False
            await asyncio.sleep(interval)


def attach(runs: Sequence[Run], streams: Sequence[EventStream]) -> None:
    """Gives each run its events."""
    for run, stream in zip(runs, streams, strict=True):
        run.events = stream


def _raw(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in headers.items()]


def _body_message(piece: bytes, *, more: bool = True) -> dict[str, object]:
    return {"type": "http.response.body", "body": piece, "more_body": more}
