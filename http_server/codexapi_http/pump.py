"""A backend stream on its way to the client: pushed, translated, and written to a sink.

One write for each batch of events (a large event takes several), a comment when the backend is
silent for long, and the error in the client's own dialect when it breaks. The HTTP status waits for
the first write, at most one keep-alive interval from the request on: until then, a failure is a
status of its own, and from then on an event.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from codexapi_engine import CodexError, EventStream
from codexapi_engine.http.event_stream import OnEvents
from codexapi_engine.protocol import Event, Translator, json, sse

from .dialect import dialect_of
from .errors import interruption
from .middleware.request_log import current
from .requests import all_of, ended
from .server.lifecycle import Shutdown
from .server.uvicorn_protocol import ClientConnection, client_of

KEEP_ALIVE = {"type": "keepalive"}
KEEP_ALIVE_EVENT = sse.encode(KEEP_ALIVE)
"""For a Codex client: its idle timer does not count comments, and unknown events do no harm."""


class Events(Protocol):
    """Events that are pushed: the backend's, or those of a stored response."""

    async def push(self, on_events: OnEvents) -> bool:
        """Calls `on_events` until it returns False or the events end: returns whether there are
        more."""

    async def aclose(self) -> None: ...


class Sink(Protocol):
    """Where a stream is written to. Several streams may have one sink, if each of their chunks is a
    whole event."""

    def write(self, data: bytes) -> bool:
        """Returns False where the next write is to wait for `drain`."""

    async def drain(self) -> None:
        """Returns when the reader takes more."""


class ClientStream(Sink, Protocol):
    """The one client of a response."""

    committed: bool
    """Something is written, so a failure can only be an event."""

    def opened(self, headers: Mapping[str, str]) -> None:
        """The backend has accepted the request; `headers` are those of the answer."""


async def pump(stream: Events, translator: Translator, sink: Sink) -> bytes:
    """Writes a stream to a sink, translated: a batch of events in one write, a large event in
    several, so that a slow reader is not behind by all of it.

    Returns the last write, for its caller to make: what has to be stored is stored before the
    client reads the end. Raises CodexError, with all written that came before it.
    """
    chunks: Iterator[bytes] = iter(())  # being translated
    out: list[bytes] = []  # translated, and not yet written

    def write() -> bool:
        data = b"".join(out)
        out.clear()
        return not data or sink.write(data)

    def on_events(events: list[Event]) -> bool:
        nonlocal chunks
        chunks = translate(translator, events)
        is_large = _fill(out, chunks)
        return not (is_large or translator.finished) and write()

    try:
        while True:
            more = await stream.push(on_events)
            while _fill(out, chunks):
                write()
                await sink.drain()
                await asyncio.sleep(0)  # a quick reader would have the loop until the event's end
            if not (more or translator.finished):
                out.extend(translator.close())
            if not more or translator.finished:
                return b"".join(out)
            write()
            await sink.drain()
    except CodexError:
        write()
        raise


def translate(translator: Translator, events: list[Event]) -> Iterator[bytes]:
    """What events become. They are taken from the list: none is kept longer than it is needed."""
    events.reverse()
    while events:
        yield from translator.feed(events.pop())


def _fill(out: list[bytes], chunks: Iterator[bytes]) -> bool:
    """Moves chunks to a write until it is a large one. Returns whether there may be more of them."""
    size = sum(map(len, out))
    while size <= json.PIECE:
        if (chunk := next(chunks, None)) is None:
            return False
        out.append(chunk)
        size += len(chunk)
    return True


class _NotOpen:
    """The events of a run whose request is not sent yet."""

    async def push(self, on_events: OnEvents) -> bool:
        raise AssertionError("open it first")

    async def aclose(self) -> None:
        """There is nothing to close."""


NOT_OPEN: Events = _NotOpen()

Then = Callable[["Run"], Awaitable[object] | None]


@dataclass(eq=False, slots=True)
class Run:
    """A backend stream, its translator, and what is done once it has ended well."""

    events: Events
    translator: Translator
    then: Then | None = None

    @property
    def account(self) -> str | None:
        """Whose login asked for it; None where that is not known."""
        return self.events.account if isinstance(self.events, EventStream) else None

    async def pump(self, sink: Sink) -> bytes:
        """Pumps it, closes it and does what was to be done. Returns the last write."""
        last = await pump(self.events, self.translator, sink)
        await self.events.aclose()  # the backend waits neither for other runs nor for the client
        if self.then is not None and (storing := self.then(self)) is not None:
            await storing
        return last


async def pump_all(runs: Sequence[Run], sink: Sink) -> bytes:
    """Pumps each run, all at once. Returns the last write. Raises CodexError, that of the first that
    fails; it ends the others."""
    if len(runs) == 1:  # then a task of its own would be one too many
        return await runs[0].pump(sink)

    async def one(run: Run) -> None:
        last = await run.pump(sink)
        if last and not sink.write(last):
            await sink.drain()

    await all_of(one(run) for run in runs)
    return b""


class ClientSink:
    """The client of a stream: it is sent the status with the first data, or with the first
    keep-alive."""

    def __init__(
        self,
        send: Send,
        client: ClientConnection | None,
        headers: list[tuple[bytes, bytes]],
        keep_alive: bytes,
    ) -> None:
        # set once
        self._send = send
        self._client = client
        self._headers = headers
        self._keep_alive = keep_alive
        # moves
        self.committed = False  # the status is sent, or waits in front of the buffer
        self._started = False  # it is sent
        self._buffer: list[bytes] = []
        self._sending = asyncio.Lock()
        self._wrote = False  # since the keep-alive timer last looked
        self._in_event = False  # the data ends within one
        self._closed = False  # the end is sent, or being sent

    def opened(self, headers: Mapping[str, str]) -> None:
        if self.committed:
            return
        newer = dict(_raw(headers))
        older = [line for line in self._headers if line[0] not in newer]
        self._headers[:] = [*older, *newer.items()]

    def write(self, data: bytes) -> bool:
        self.committed = self._wrote = True
        self._in_event = not data.endswith(b"\n")  # JSON has line ends nowhere else
        client = self._client
        if client is None or self._buffer or self._sending.locked() or not client.takes_more:
            self._buffer.append(data)
            return False
        client.write(data)
        return client.takes_more

    async def drain(self) -> None:
        async with self._sending:
            if self._buffer:
                await self._flush()
            if self._client is not None:
                await self._client.drain()

    async def close(self, data: bytes) -> None:
        """Sends the last data, and the end with it: a write of its own for that would cost."""
        self._closed = True
        async with self._sending:
            self._buffer.append(data)
            await self._flush(more=False)

    async def fail(self, error_event: bytes) -> None:
        """Ends the stream with an error."""
        await self.close(b"\n\n" + error_event if self._in_event else error_event)

    async def fill_silence(self, interval: float) -> None:
        """Sends a keep-alive whenever an interval passes without a write."""
        # One timer for a stream, and not one for a write: that would cost more than translating.
        while not self._closed:
            if not (self._wrote or self._in_event or self._sending.locked()):
                async with self._sending:
                    self._buffer.append(self._keep_alive)
                    await self._flush()
            self._wrote = False
            await asyncio.sleep(interval)

    async def _flush(self, *, more: bool = True) -> None:
        self.committed = True
        if not self._started:
            self._started = True
            start = {"type": "http.response.start", "status": 200, "headers": self._headers}
            await self._send(start)
        count = len(self._buffer)
        data = b"".join(self._buffer)
        await self._send({"type": "http.response.body", "body": data, "more_body": more})
        del self._buffer[:count]  # not before: a send that is cancelled has sent nothing


Open = Callable[[], Awaitable[Sequence[EventStream]]]
"""Sends the requests of some runs, and returns when the status of each is known."""

Rename = Callable[[str | None], str | None]
"""Gives a field that an error names the name that the caller used."""


class Opening(NamedTuple):
    """How the runs of a response begin, and the response's headers when they have."""

    open: Open
    headers: Callable[[EventStream], Mapping[str, str]]


class EventStreamResponse(Response):
    """Some runs on their way to a client.

    It raises CodexError, with the runs closed, while the status is open: then an error handler
    writes it. Cancelled by the user or as the server goes down, it writes the last event first.

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
        self._keep_alive = keep_alive
        self._rename: Rename | None = None
        self._sink: ClientSink | None = None

    @property
    def committed(self) -> bool:
        """The status cannot change any more."""
        return self._sink is not None and self._sink.committed

    def name_fields(self, rename: Rename) -> None:
        """Lets its errors name the fields of the request so."""
        self._rename = rename

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        dialect = dialect_of(scope)
        self.raw_headers.append((b"content-type", dialect.media_type.encode()))
        keep_alive = dialect.keep_alive if self._keep_alive is None else self._keep_alive
        sink = self._sink = ClientSink(send, client_of(scope), self.raw_headers, keep_alive)
        app, silence = scope["app"].state, list[asyncio.Task[None]]()
        interval = app.settings.keep_alive

        def on_interval() -> None:  # so that a short stream needs no task
            silence.append(asyncio.create_task(sink.fill_silence(interval)))

        timer = asyncio.get_running_loop().call_later(interval, on_interval)
        try:
            await self._write(sink, app.shutdown)
        finally:
            timer.cancel()
            await ended(*silence)

    async def _write(self, sink: ClientSink, shutdown: Shutdown) -> None:
        try:
            last = await self.pump(sink)
        except CodexError as error:
            if not sink.committed:
                raise
            await sink.fail(self.error_event(error))
        except asyncio.CancelledError:
            if sink.committed and (why := interruption(shutdown)) is not None:
                await sink.fail(self.error_event(why))
            raise
        else:
            await sink.close(last)

    async def pump(self, sink: ClientStream) -> bytes:
        """Opens the runs, pumps and closes them. Returns the last write, for its caller to make.
        Raises CodexError, which names the field as the caller does."""
        try:
            await self._open_runs(sink)
            return await pump_all(self._runs, sink)
        except CodexError as error:
            self._name_field(error)
            raise
        finally:
            for run in self._runs:
                await run.events.aclose()

    async def _open_runs(self, sink: ClientStream) -> None:
        opening, self._opening = self._opening, None  # which holds the request
        if opening is None:
            return
        streams = await opening.open()
        attach(self._runs, streams)
        sink.opened(opening.headers(streams[0]))

    def error_event(self, error: CodexError) -> bytes:
        """The error as an event of the stream, which is its last."""
        current().failed(error)
        return b"".join(self._runs[0].translator.fail(error))

    def _name_field(self, error: CodexError) -> None:
        if self._rename is not None:
            error.param = self._rename(error.param)


def attach(runs: Sequence[Run], streams: Sequence[EventStream]) -> None:
    """Gives each run its events."""
    for run, stream in zip(runs, streams, strict=True):
        run.events = stream


def _raw(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in headers.items()]
