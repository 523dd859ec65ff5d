"""One WebSocket: reads its messages, writes its frames, pings and closes.

It is read all the time, whatever runs: a close or a pong behind a message that waits is seen at
once. Only over its limits of waiting messages it is not.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import Any

from starlette.requests import Request
from starlette.types import Scope
from websockets.datastructures import Headers
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request as Handshake
from websockets.http11 import Response
from websockets.protocol import OPEN
from websockets.server import ServerProtocol

from codexapi_engine import CodexError, InvalidRequest, Unavailable
from codexapi_engine.bounds import (
    MAX_BODY_BYTES,
    MAX_PONG_BYTES,
    MAX_WAITING_CREATES,
)
from codexapi_engine.errors import JsonObject
from codexapi_engine.http.deadlines import LATE
from codexapi_engine.protocol import json
from codexapi_engine.protocol.responses import socket

from ..errors import refusal
from ..requests import parsed, reserve
from ..server.uvicorn_protocol import TakenOver, new_id
from .frames import text_frame
from .lanes import Lanes, entry_of, error_of

LINGER = 5.0
"""Seconds that a client gets to answer a close."""

log = logging.getLogger("codexapi.http")


def handshake(scope: Scope) -> tuple[ServerProtocol, Response]:
    """The protocol of a new connection, and the answer to its request, which may be a refusal."""
    headers = Headers()
    for name, value in scope["headers"]:
        headers[name.decode("latin-1")] = value.decode("latin-1")
    del headers["connection"]  # the word was taken out, so that the request was read as HTTP
    headers["connection"] = "Upgrade"
    protocol = ServerProtocol(max_size=MAX_BODY_BYTES)
    request = Handshake(scope["path"], headers)
    protocol.receive_data(request.serialize())
    protocol.events_received()
    return protocol, protocol.accept(request)


class WebSocketConnection(asyncio.Protocol):
    """The protocol of a TCP connection from its first frame on. The server has it in its
    `connections` while it lives."""

    def __init__(self, scope: Scope, taken: TakenOver, protocol: ServerProtocol) -> None:
        # set once
        self.transport = taken.transport
        self._scope = scope
        self._app = scope["app"].state
        self._connections = taken.connections
        self._interval = self._app.settings.keep_alive
        self._loop = asyncio.get_running_loop()
        self._protocol = protocol
        self._lanes = Lanes(
            self,
            self._app.bodies,
            taken.tasks,
            refused=self._reason_to_refuse,
            on_room=self._limit_reading,
            on_end=self._worker_ended,
        )
        # moves
        self._messages: deque[tuple[Opcode, bytes]] = deque()
        self._message_bytes = 0
        self._parts: list[bytes] = []  # of a message in several frames
        self._opcode = Opcode.TEXT  # of that message
        self._unfinished: Scope = {"app": scope["app"]}  # to count its bytes by
        self._reader: asyncio.Task[None] | None = None
        self._reads = True
        self._room = asyncio.Event()  # the client keeps up
        if not taken.is_behind:
            self._room.set()
        self._behind = 0  # bytes of pongs for a client that does not
        self._drains = self._expired = self._closing = False
        self._last_read = self._loop.time()
        self._pinging = self._loop.call_later(self._interval, self._ping)
        self._expiring = self._loop.call_later(self._app.deadlines.socket, self._expire)
        self._connections.add(self)
        self._app.shutdown.watch(self._end_all)
        self.transport.set_protocol(self)

    def begin(self, answer: Response, early: bytes) -> None:
        """Answers the handshake. `early` are the bytes that came behind it."""
        self._protocol.send_response(answer)
        self._flush()
        if early:
            self.data_received(early)

    # What comes.

    def data_received(self, data: bytes) -> None:
        self._last_read = self._loop.time()
        self._protocol.receive_data(data)
        for frame in self._protocol.events_received():
            assert isinstance(frame, Frame)
            self._on_frame(frame)
        self._flush()
        if self._protocol.state is not OPEN:
            self._has_closed()
        elif self._begun or self._app.bodies.holds(self._unfinished):
            self._count_begun()
        self._limit_reading()

    @property
    def _begun(self) -> int:
        """Bytes of a message that is not whole."""
        return len(self._protocol.reader.buffer) + sum(map(len, self._parts))

    def _count_begun(self) -> None:
        """Large messages count among the server's bodies from their first bytes on."""
        try:
            reserve(self._unfinished, self._begun)
        except Unavailable as error:
            self._send_close(CloseCode.TRY_AGAIN_LATER, error.message)
        if not self._begun:
            self._app.bodies.release(self._unfinished)

    def eof_received(self) -> bool:
        self._protocol.receive_eof()
        self._flush()
        self._has_closed()
        return False  # then the transport closes itself

    def connection_lost(self, exc: Exception | None) -> None:
        self._pinging.cancel()
        self._expiring.cancel()
        self._connections.discard(self)
        self._app.bodies.release(self._unfinished)
        self._app.shutdown.unwatch(self._end_all)
        self._closing = True
        self._stop_work()
        self._room.set()  # who waits for it has been cancelled, or has written its last

    def _on_frame(self, frame: Frame) -> None:
        if frame.opcode in (Opcode.TEXT, Opcode.BINARY):
            self._opcode, self._parts = frame.opcode, [bytes(frame.data)]
        elif frame.opcode is Opcode.CONT:
            self._parts.append(bytes(frame.data))
        else:
            return
        if not frame.fin:
            return
        message, self._parts = b"".join(self._parts), []
        self._messages.append((self._opcode, message))
        self._message_bytes += len(message)
        if self._reader is None:
            self._reader = asyncio.create_task(self._read())
            self._reader.add_done_callback(self._end_in_bug)

    async def _read(self) -> None:
        """Works on the messages, one after another. A create is only put into its lane."""
        try:
            while self._messages and self._protocol.state is OPEN:
                opcode, message = self._messages.popleft()
                self._message_bytes -= len(message)
                await self._take_frame(opcode, message)
                await self._room.wait()
                self._limit_reading()
        finally:
            self._reader = None  # at once: the next message may come before this task has ended

    async def _take_frame(self, opcode: Opcode, message: bytes) -> None:
        scope = {**self._scope, "request_id": new_id(), "headers": [*self._scope["headers"]]}
        lane = ""
        try:
            event = await self._parse_event(opcode, message, scope)
            if event.get("type") == socket.CREATE:
                lane = socket.lane_of(event)
                self._add(socket.create_of(event), len(message), scope)
            elif event.get("type") == socket.STEER:
                self._write_event(socket.steer_failed(event))
            else:
                raise socket.unknown_event(event)
        except CodexError as error:
            if opcode is Opcode.TEXT and not _is_text(message):
                self._protocol.fail(CloseCode.INVALID_DATA, "not UTF-8")
                self._flush()
                self._has_closed()
            else:
                self._refuse(error, scope, lane)

    def _refuse(self, error: CodexError, scope: Scope, lane: str) -> None:
        entry = entry_of(scope)
        entry.status, entry.ended = error.status, True
        self._app.reports.received(entry)
        entry.failed(error)
        event = error_of(error, Request(scope))
        self._write_event({**event, "stream_id": lane} if lane else event)
        self._app.bodies.release(scope)
        self._app.reports.answered(entry)

    async def _parse_event(self, opcode: Opcode, message: bytes, scope: Scope) -> JsonObject:
        if opcode is not Opcode.TEXT:
            raise InvalidRequest("Send text messages of JSON: binary ones are not supported.")
        reserve(scope, len(message))
        return await parsed(message)

    def _add(self, create: socket.Create, size: int, scope: Scope) -> None:
        if (why := self._reason_to_refuse()) is not None:
            raise why
        self._lanes.add(create, size, scope)

    def _reason_to_refuse(self) -> CodexError | None:
        if self._expired:
            return _too_old()
        if self._drains or self._app.shutdown.begun:
            error: CodexError = self._app.shutdown.error()
            return error
        return None

    def _limit_reading(self) -> None:
        if self.transport.is_closing():
            return
        count = len(self._messages) + self._lanes.waiting
        size = self._message_bytes + self._lanes.waiting_bytes
        reads = count <= MAX_WAITING_CREATES and size <= MAX_BODY_BYTES
        reads = reads and self._behind <= MAX_PONG_BYTES
        if reads and not self._reads:
            self._last_read = self._loop.time()
            self.transport.resume_reading()
        elif self._reads and not reads:
            self.transport.pause_reading()
        self._reads = reads

    # What goes.

    def write(self, frames: bytes) -> bool:
        if frames and self._protocol.state is OPEN:
            self.transport.write(frames)
        return self._room.is_set()

    async def drain(self) -> None:
        await self._room.wait()

    def pause_writing(self) -> None:
        self._room.clear()

    def resume_writing(self) -> None:
        self._room.set()
        self._behind = 0
        self._limit_reading()

    def _write_event(self, event: JsonObject) -> None:
        self.write(text_frame(json.dumps(event)))

    def _flush(self) -> None:
        """Writes what the protocol has to say: handshake, pongs, pings and closes."""
        for data in self._protocol.data_to_send():
            if data:
                self._behind += 0 if self._room.is_set() else len(data)
                self.transport.write(data)
            elif self.transport.can_write_eof() and not self.transport.is_closing():
                self.transport.write_eof()
                self._loop.call_later(LINGER, self.transport.abort)

    def _ping(self) -> None:
        now = self._loop.time()
        if now - self._pinging.when() > LATE:  # the server was stopped, and has read nothing
            self._last_read = now
        deadlines, silence = self._app.deadlines, now - self._last_read
        if self._reads and silence > deadlines.silence:
            self.transport.abort()
            return
        if self._reads and self._begun and silence > deadlines.body:
            message = f"a message paused for {deadlines.body:g} s"
            self._send_close(CloseCode.POLICY_VIOLATION, message)
        if self._protocol.state is OPEN:
            self._protocol.send_ping(b"")
            self._flush()
        self._pinging = self._loop.call_later(self._interval, self._ping)

    # How it ends.

    def shutdown(self) -> None:
        """The server stops: what runs has some seconds, and an idle connection none."""
        self._drains = True
        self._close_if_done()

    def _end_all(self) -> None:
        self._drains = True
        self._lanes.cancel()
        self._close_if_done()

    def _expire(self) -> None:
        self._expired = True
        self._close_if_done()

    def _close_if_done(self) -> None:
        if self._closing or not self._lanes.idle or not (self._drains or self._expired):
            return
        if self._expired:
            self._write_event(error_of(_too_old(), Request(self._scope)))
            self._send_close(CloseCode.NORMAL_CLOSURE, "60 minutes are over")
        else:
            self._send_close(CloseCode.GOING_AWAY, "codexapi is shutting down")

    def _send_close(self, code: CloseCode, reason: str) -> None:
        if self._closing or self._protocol.state is not OPEN:
            return
        self._closing = True
        self._protocol.send_close(code, reason)
        self._flush()
        self._loop.call_later(LINGER, self.transport.abort)

    def _has_closed(self) -> None:
        """The client closes, or has to: none of its runs is of use any more."""
        self._closing = True
        self._stop_work()

    def _stop_work(self) -> None:
        self._messages.clear()
        self._message_bytes = 0
        if self._reader is not None:
            self._reader.cancel()
        self._lanes.cancel()

    def _worker_ended(self, task: asyncio.Task[None]) -> None:
        self._end_in_bug(task)
        self._close_if_done()

    def _end_in_bug(self, task: asyncio.Task[Any]) -> None:
        if not task.cancelled() and (bug := task.exception()) is not None:
            log.error("a WebSocket ended in a bug", exc_info=bug)
            self._send_close(CloseCode.INTERNAL_ERROR, "codexapi failed; its log says why")


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _too_old() -> CodexError:
    return refusal(
        400,
        "websocket_connection_limit_reached",
        "This WebSocket has reached its limit of 60 minutes: go on with a new one.",
    )
