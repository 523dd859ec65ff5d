"""Works on what the messages of one WebSocket request: in order on a lane, lanes side by side."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from starlette.requests import Request
from starlette.types import Scope

from codexapi_engine import CodexError, InvalidRequest
from codexapi_engine.bounds import MAX_LANES, MAX_SOCKET_RUNS
from codexapi_engine.errors import JsonObject
from codexapi_engine.protocol import headers as wire
from codexapi_engine.protocol import json, sse
from codexapi_engine.protocol.responses import socket
from codexapi_engine.protocol.responses.socket import Create
from codexapi_engine.protocol.shapes import get_dict, get_int, get_str

from ..dialect import dialect_of
from ..errors import interruption, limit_headers
from ..middleware.request_log import CLIENT_LEFT, Entry, begin
from ..programs import PROGRAM
from ..pump import KEEP_ALIVE, EventStreamResponse
from ..requests import Bodies, ended
from ..routes.responses import create, warm_up
from .chains import Chains, LaneMemory
from .frames import FrameSink, FrameWriter, text_frame

METHOD = "WS"
"""Of a create, in the log and in the metrics."""

Refused = Callable[[], CodexError | None]
"""Why no more responses are made; None while they are."""


@dataclass(eq=False, slots=True)
class _Waiting:
    """A create in a queue."""

    create: Create
    memory: LaneMemory
    size: int  # bytes of its message
    scope: Scope


@dataclass(eq=False, slots=True)
class _Lane:
    queue: deque[_Waiting] = field(default_factory=deque)
    worker: asyncio.Task[None] | None = None


class Lanes:
    """The lanes of one connection. `on_room` is called when a create no longer waits, and `on_end`
    with each worker that has ended."""

    def __init__(
        self,
        writer: FrameWriter,
        bodies: Bodies,
        tasks: set[asyncio.Task[None]],
        *,
        refused: Refused,
        on_room: Callable[[], None],
        on_end: Callable[[asyncio.Task[None]], None],
    ) -> None:
        # set once
        self._writer = writer
        self._bodies = bodies
        self._tasks = tasks  # the server's: it waits for them when it stops
        self._refused = refused
        self._on_room = on_room
        self._on_end = on_end
        self._chains = Chains()
        # moves
        self._lanes: dict[str, _Lane] = {}  # those with something to do
        self._names: set[str] = set()  # of all that were ever used
        self._runs = asyncio.Semaphore(MAX_SOCKET_RUNS)
        self.waiting = 0  # creates
        self.waiting_bytes = 0

    @property
    def idle(self) -> bool:
        return not self._lanes

    def add(self, create: Create, size: int, scope: Scope) -> None:
        """Puts a create at the end of its lane. Raises InvalidRequest for one lane too many."""
        if create.lane and create.lane not in self._names:
            if len(self._names) >= MAX_LANES:
                raise InvalidRequest(
                    f"This WebSocket has used {MAX_LANES} stream ids, and may use no more: go on "
                    "with one of them, or on another connection.",
                    code="websocket_stream_limit_reached",
                    param="stream_id",
                )
            self._names.add(create.lane)
        previous = get_str(create.body, "previous_response_id")
        memory = LaneMemory(self._chains, create.lane, previous=previous, size=size)
        lane = self._lanes.setdefault(create.lane, _Lane())
        lane.queue.append(_Waiting(create, memory, size, scope))
        self.waiting += 1
        self.waiting_bytes += size
        if lane.worker is None:
            lane.worker = asyncio.create_task(self._work(create.lane, lane))
            self._tasks.add(lane.worker)
            lane.worker.add_done_callback(self._tasks.discard)
            lane.worker.add_done_callback(partial(self._worker_ended, create.lane, lane))

    def cancel(self) -> None:
        """Ends all runs, as their client has left or the server goes down."""
        for lane in self._lanes.values():
            if lane.worker is not None:
                lane.worker.cancel()

    async def _work(self, name: str, lane: _Lane) -> None:
        while lane.queue:
            async with self._runs:
                waiting = lane.queue.popleft()
                self.waiting -= 1
                self.waiting_bytes -= waiting.size
                self._on_room()
                last = await _Work(waiting, self._writer, self._refused).run()
            if not lane.queue:  # before its end is read: the client may ask again at once
                del self._lanes[name]
            if not self._writer.write(last):
                await self._writer.drain()

    def _worker_ended(self, name: str, lane: _Lane, worker: asyncio.Task[None]) -> None:
        """Not in the worker itself: one that is cancelled before its first step does nothing."""
        for left in lane.queue:
            self.waiting -= 1
            self.waiting_bytes -= left.size
            self._bodies.release(left.scope)
        if self._lanes.get(name) is lane:
            del self._lanes[name]
        self._on_end(worker)


class _Work:
    """One create, from its turn to its last frame."""

    def __init__(self, waiting: _Waiting, writer: FrameWriter, refused: Refused) -> None:
        create, scope = waiting.create, waiting.scope
        metadata = get_dict(create.body, "client_metadata")
        self._for_codex = any(name == wire.WINDOW.encode() for name, _ in scope["headers"])
        if self._for_codex:
            newer = {k.encode(): v.encode() for k, v in socket.headers_of(metadata).items()}
            older = [line for line in scope["headers"] if line[0] not in newer]
            scope["headers"] = [*older, *newer.items()]
        self._body = socket.for_http(create.body) if self._for_codex else create.body
        self._create = create
        self._memory = waiting.memory
        self._request = Request(scope)
        self._refused = refused
        self._writer = writer
        self._sink = FrameSink(writer, create.lane, for_codex=self._for_codex)
        self._entry = entry_of(scope)
        self._response: EventStreamResponse | None = None
        task = asyncio.current_task()
        assert task is not None
        self._task = task  # the lane's worker

    async def run(self) -> bytes:
        """Returns the last frames, for the caller to write."""
        begin(self._entry)
        app = self._request.app.state
        app.reports.received(self._entry)
        self._entry.stop = self._task.cancel
        try:
            if (why := self._refused()) is not None:
                return self._fail(why)
            last = await self._pump()
            self._entry.status = 200
            return self._sink.frames(last)
        except CodexError as error:
            self._memory.failed()
            return self._fail(error)
        except asyncio.CancelledError:
            why = interruption(app.shutdown)
            if why is None:
                self._entry.status = CLIENT_LEFT
                raise
            if self._entry.stopped and not self._task.uncancel():
                self._memory.failed()
                return self._fail(why)  # the creates behind it are worked on
            self._writer.write(self._fail(why))
            raise
        finally:
            self._entry.stop = None
            self._entry.sent, self._entry.ended = self._sink.written, True
            app.bodies.release(self._request.scope)
            app.reports.answered(self._entry)

    async def _pump(self) -> bytes:
        make = create if self._create.generates else warm_up
        response = await make(self._request, self._body, self._memory)
        assert isinstance(response, EventStreamResponse), "a stream is requested"
        self._response = response
        if not self._for_codex:
            return await response.pump(self._sink)
        silence = asyncio.create_task(self._fill_silence())
        try:
            return await response.pump(self._sink)
        finally:
            await ended(silence)

    async def _fill_silence(self) -> None:
        """For a Codex client, whose idle timer does not count pings."""
        interval, written = self._request.app.state.settings.keep_alive, -1
        while True:
            if written == self._sink.written:
                self._writer.write(text_frame(json.dumps(KEEP_ALIVE)))
            written = self._sink.written
            await asyncio.sleep(interval)

    def _fail(self, error: CodexError) -> bytes:
        self._entry.status = error.status
        self._entry.failed(error)
        number = None
        if self._response is not None and self._sink.committed:
            self._entry.status = 200  # as over HTTP, where the status is sent
            (event,) = sse.Decoder().feed(self._response.error_event(error))
            number = get_int(event.json, "sequence_number")
        return self._sink.event_frame(error_of(error, self._request, number, self._for_codex))


def entry_of(scope: Scope) -> Entry:
    """A message in the log: one that ends in a bug keeps the status."""
    return Entry(
        scope["request_id"], METHOD, scope["path"], scope["route"].path,
        status=500, program=scope[PROGRAM],
    )  # fmt: skip


def error_of(
    error: CodexError, request: Request, number: int | None = None, for_codex: bool = False
) -> JsonObject:
    """An error with the status, words and headers that HTTP would give it."""
    dialect, request_id = dialect_of(request.scope), request.scope["request_id"]
    detail = dialect.error_body(error, request_id)["error"]
    headers = {
        **error.headers,
        **limit_headers(error, request.app.state.codex),
        **dialect.error_headers(error, request_id),
    }
    status = dialect.error_status(error)
    return socket.error_event(status, detail, headers, number=number, for_codex=for_codex)
