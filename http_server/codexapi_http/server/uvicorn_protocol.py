"""A client's connection: uvicorn's HTTP/1.1 protocol with our checks, limits and deadlines.

It refuses what is not a request yet (bytes that are not HTTP, endless heads, heads and bodies that
never end), and offers as an extension what ASGI lacks (`ClientConnection`).

These internals of uvicorn 0.54 are used, here and in `process.py`. pyproject pins the minor version,
and `tests/http_server/test_uvicorn_contract.py` checks each of them:

* module `uvicorn.protocols.http.httptools_impl`: `HttpToolsProtocol`, `RequestResponseCycle`,
  `STATUS_LINE`
* `HttpToolsProtocol`, overridden: `connection_made`, `connection_lost`, `data_received`,
  `on_message_begin`, `on_headers_complete`, `on_body`, `on_message_complete`,
  `on_response_complete`, `timeout_keep_alive_handler`; called: `_unset_keepalive_if_required`;
  read or set: `connections`, `cycle`, `flow`, `headers`, `loop`, `parser`, `pipeline`, `scope`,
  `tasks`, `timeout_keep_alive`, `timeout_keep_alive_task`, `transport`, `url`
* `RequestResponseCycle`: `chunked_encoding`, `disconnected`, `expected_content_length`, `flow`,
  `keep_alive`, `message_event`, `more_body`, `response_complete`, `response_started`, `scope`,
  `send`, `transport`, `waiting_for_100_continue`
* `FlowControl`: `resume_reading`, `write_paused`
* `Server`: `capture_signals`, `startup`, `main_loop`, `on_tick`, `force_exit`, `server_state`, `should_exit`
* `ServerState`: `connections`, `tasks`
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, NamedTuple
from urllib.parse import unquote

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from starlette.types import Scope

from codexapi_engine import CodexError
from codexapi_engine.bounds import (
    BODY_TIMEOUT,
    HEAD_TIMEOUT,
    MAX_PIPELINED,
    MAX_REQUEST_HEAD_BYTES,
    SILENCE_TIMEOUT,
    SOCKET_LIFETIME,
)
from codexapi_engine.http.deadlines import GRACE, LATE
from codexapi_engine.protocol import json

from ..errors import head_too_large, refusal
from ..middleware.request_log import Entry
from ._uvicorn import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from .request_head import check_head, path_of

LITTLE = 64 * 1024
"""Up to so many bytes, a copy is cheaper than a second write."""

CLIENT = "codexapi.client"
"""The ASGI extension that has the request's `ClientConnection`."""

LINGER = 2.0
"""Seconds to read on after a refusal: closed over unread bytes, a connection loses it."""


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds that a client gets. A complete request has no limit: a slow line is no fault."""

    head: float = HEAD_TIMEOUT  # for all of a request's head, from its first byte on
    body: float = BODY_TIMEOUT  # between two pieces of a body
    socket: float = SOCKET_LIFETIME  # how long a WebSocket takes requests
    silence: float = SILENCE_TIMEOUT  # how long it may answer no ping


class Part(Enum):
    HEAD = auto()
    BODY = auto()


class Connection(HttpToolsProtocol):
    """uvicorn's protocol with refusals in our form (its own are plain text, and always a 400), with
    the checks of RFC 9112 that llhttp lacks, and with limits and deadlines: uvicorn has only the
    one between requests.

    The guard watches a body that the application reads; the deadline here is for an unread one.
    """

    def __init__(self, *args: Any, deadlines: Deadlines | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._deadlines = deadlines or Deadlines()
        self._part: Part | None = None  # of a request, that is being received
        self._unclaimed = 0  # bytes since the last end of a head, or piece of a body
        self._answering: RequestResponseCycle | None = None  # `cycle` may be ahead of it
        self._deaf = False  # after bytes that are not HTTP, nothing can be parsed
        self._offer: RequestResponseCycle | None = None  # of a WebSocket, which is not answered yet
        self._early = bytearray()  # came behind the offer: frames, or HTTP if it is declined
        self._error: CodexError | None = None  # to be sent after the answers before it
        self._long: RequestResponseCycle | None = None  # its body comes in several reads
        self._ends = False  # with the body of the request that has been answered
        self._timer: asyncio.TimerHandle | None = None
        self._waits_for: Part | None = None  # what the timer is about

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        transport.set_write_buffer_limits(
            high=1
        )  # at once: uvloop writes at the end of its iteration
        self._await_request()  # browsers connect before they have something to ask

    def connection_lost(self, exc: Exception | None) -> None:
        self._deaf = True
        self._set_timer()
        self._unset_keepalive_if_required()
        if self._answering is not None:
            _forsake(self._answering)
        super().connection_lost(exc)
        for cycle in filter(None, (self._long, *(waiting for waiting, _ in self.pipeline))):
            vars(cycle).pop("send", None)
        self._long = None

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        self._unset_keepalive_if_required()
        if self._offer is not None:
            self._early += data
            if len(self._early) > MAX_REQUEST_HEAD_BYTES:
                self.flow.pause_reading()
            return
        self._part = self._part or Part.HEAD
        self._unclaimed += len(data)
        self._feed(data)
        if self._part is Part.BODY:
            self._read_on(self.cycle)
        if self._unclaimed > MAX_REQUEST_HEAD_BYTES:
            self._close_with(head_too_large())
        elif len(self.pipeline) > MAX_PIPELINED:
            message = f"Over {MAX_PIPELINED} requests came before the one before them was answered."
            self._close_with(refusal(400, "invalid_http", message))
        self._set_timer()

    def _read_on(self, cycle: RequestResponseCycle) -> None:
        """Lets a connection that its answer ends stay open until the body has come. uvicorn closes
        it over unread bytes, and clients that read nothing while they send then see a reset in
        place of the answer."""
        if cycle is self._long:
            return
        self._long = cycle
        send = cycle.send

        async def patient(message: Any) -> None:
            is_last = message["type"] == "http.response.body" and not message.get("more_body")
            if is_last and cycle.more_body and not cycle.keep_alive:
                cycle.keep_alive = self._ends = True
            await send(message)

        cycle.send = patient  # type: ignore[method-assign]

    def _feed(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except HttpParserUpgrade as offer:
            # What follows is HTTP still, unless the application takes the offer. llhttp would not
            # read a body after one, so another one reads the head once more, without the word.
            head, rest, is_socket = self._declined(), data[offer.args[0] :], self._offers_socket()
            self.parser = HttpRequestParser(self)
            self._feed(head if is_socket else head + rest)
            if is_socket and not self._deaf:
                self._offer = self.cycle
                self._early += rest
        except HttpParserError as error:
            self._close_with(
                refusal(413, "request_too_large", "No body may be as large as yours.")
                if "Content-Length overflow" in str(error)
                else refusal(
                    400, "invalid_http", "The request is not HTTP/1.1 as we understand it."
                )
            )

    def _offers_socket(self) -> bool:
        """Whether the head that was read offers a WebSocket, and no body follows it."""
        fields = dict(self.headers)
        has_body = b"transfer-encoding" in fields or fields.get(b"content-length", b"0") != b"0"
        is_socket = fields.get(b"upgrade", b"").strip().lower() == b"websocket"
        version, method = self.parser.get_http_version(), self.parser.get_method()
        return is_socket and not has_body and (version, method) == ("1.1", b"GET")

    def _declined(self) -> bytes:
        version = self.parser.get_http_version().encode()
        lines = [b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, version)]
        for name, value in self.headers:
            sent = value.lower().replace(b"upgrade", b"-") if name == b"connection" else value
            lines.append(b"%s: %s" % (name, sent))
        return b"\r\n".join([*lines, b"", b""])

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._part = Part.HEAD

    def on_headers_complete(self) -> None:
        version, method = self.parser.get_http_version(), self.parser.get_method()
        check_head(version, method, self.headers)
        if self.parser.should_upgrade():
            return  # see `_feed`
        self.headers[:] = [(name, value.rstrip(b" \t")) for name, value in self.headers]
        target = path_of(self.url, self.headers)
        self.url = b"/"  # uvicorn would find a path in another host's address
        super().on_headers_complete()
        if not self._busy():
            self._answering = self.cycle
        path, _, query = target.partition(b"?")
        plain = unquote(path.decode()) if b"%" in path else path.decode()
        target_fields = {"path": plain, "raw_path": path, "query_string": query}
        self.scope.update(target_fields)  # type: ignore[typeddict-item]
        self.headers = []  # trailers must not become headers
        self.cycle.transport = HeadBuffer(self.cycle, self.transport, self.loop)
        client = ClientConnection(self.cycle, self)
        self.scope["extensions"] = {CLIENT: client}  # type: ignore[dict-item]
        self._part, self._unclaimed = Part.BODY, 0
        if version == "1.0":
            _answer_as_1_0(self.cycle)

    def on_body(self, body: bytes) -> None:
        self._unclaimed = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self.parser.should_upgrade():
            return
        self._part, self._unclaimed = None, 0
        super().on_message_complete()
        if self._ends:
            self._deaf = True
            self.transport.close()
        # uvicorn pauses over a large body, and over a request that has to wait: a disconnect would
        # go unnoticed. Those that wait are few (MAX_PIPELINED), and each large one pauses again.
        self.flow.resume_reading()
        if self.cycle.response_complete:
            self._await_request()

    def on_response_complete(self) -> None:
        next_one = self.pipeline[-1][0] if self.pipeline else self._answering
        answered = self._answering
        if answered is not None:
            _release(answered)
            if isinstance(answered.transport, HeadBuffer):  # a head that no body followed
                answered.transport.open()
        super().on_response_complete()
        if self._ends and not self.transport.is_closing():
            self.transport.write_eof()
        self._answering = next_one
        if answered is not None and answered is self._offer:
            early, self._offer, self._early = self._early, None, bytearray()
            if early and not self.transport.is_closing():
                self.loop.call_soon(self.data_received, bytes(early))
        if self._error is not None and not (self._busy() or self.transport.is_closing()):
            self._log_refusal(self._error)
        self._set_timer()

    def offers(self, cycle: RequestResponseCycle) -> bool:
        """Whether this request offers a WebSocket, and may still be answered so."""
        return self._offer is cycle and not (cycle.response_started or cycle.disconnected)

    def take_over(self) -> TakenOver:
        """Ends HTTP on this connection, with the offer that is being answered."""
        cycle, self._offer = self._offer, None
        assert cycle is not None
        self._deaf = cycle.disconnected = True  # nothing of HTTP is read or written any more
        self._set_timer()
        self._unset_keepalive_if_required()
        self.connections.discard(self)
        self.flow.resume_reading()
        _release(cycle)
        return TakenOver(
            self.transport, bytes(self._early), self.flow.write_paused, self.connections, self.tasks
        )

    def _busy(self) -> bool:
        return self._answering is not None and not self._answering.response_complete

    def _await_request(self) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )

    def _set_timer(self) -> None:
        """Sets the timer for a head that no answer delays, or for a body whose request has been
        answered."""
        awaited = self._part
        if self._deaf or (
            not self.cycle.response_complete if awaited is Part.BODY else self._busy()
        ):
            awaited = None
        if awaited is self._waits_for:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._waits_for = awaited
        if awaited is not None:
            limits = self._deadlines
            seconds = limits.head if awaited is Part.HEAD else limits.body
            self._timer = self.loop.call_later(seconds, self._late, awaited)

    def timeout_keep_alive_handler(self) -> None:
        if not self._was_stopped(self.timeout_keep_alive_task):
            super().timeout_keep_alive_handler()
            return
        self.timeout_keep_alive_task = self.loop.call_later(GRACE, self.timeout_keep_alive_handler)

    def _was_stopped(self, timer: asyncio.TimerHandle | None) -> bool:
        """Whether the loop did not run when the timer was due: then the sockets are read first."""
        return timer is not None and self.loop.time() - timer.when() > LATE

    def _late(self, awaited: Part) -> None:
        if self.transport.is_closing():
            return
        if self._was_stopped(self._timer):
            self._timer = self.loop.call_later(GRACE, self._late, awaited)
            return
        if awaited is Part.BODY:
            self.transport.close()
            return
        seconds = self._deadlines.head
        message = f"The head of your request did not come within {seconds:g} s."
        self._close_with(refusal(408, "request_timeout", message))

    def _close_with(self, error: CodexError) -> None:
        """The error is sent after the answers to all requests before it, and then closes."""
        if self._deaf:
            return
        self._deaf = True
        broken = self.cycle if self._part is Part.BODY else None
        if broken is not None and broken.response_started:
            self.transport.close()
        elif self._busy() and self._answering is not broken:
            self._error = error
        else:
            if broken is not None:
                _forsake(broken)
            self._log_refusal(error)

    def _log_refusal(self, error: CodexError) -> None:
        entry = Entry(new_id(), "-", "-", status=error.status, ended=True)
        entry.failed(error)
        body = json.dumps({"error": error.body()})
        self.transport.write(
            STATUS_LINE[error.status]
            + b"content-type: application/json\r\n"
            + b"connection: close\r\n"
            + b"x-request-id: %s\r\n" % entry.request_id.encode()
            + b"content-length: %d\r\n\r\n" % len(body)
            + body
        )
        entry.sent = len(body)
        entry.write()
        self.transport.write_eof()
        self.loop.call_later(LINGER, self.transport.close)


class TakenOver(NamedTuple):
    """A TCP connection that is no longer HTTP's."""

    transport: asyncio.Transport
    early: bytes
    """Read, and not yet claimed."""
    is_behind: bool
    """Its client has not read all that was written: `resume_writing` will be called."""
    connections: set[Any]
    """Those of the server, which calls their `shutdown` when it stops."""
    tasks: set[asyncio.Task[None]]
    """Those that the server waits for then."""


class ClientConnection:
    """The client of one request: what ASGI lacks, or offers at a higher cost."""

    def __init__(self, cycle: RequestResponseCycle, connection: Connection) -> None:
        self._cycle = cycle
        self._connection = connection
        self.written = 0  # bytes
        self.on_leave: Callable[[], None] | None = None
        """Called when the client leaves before its answer is complete."""

    @property
    def gone(self) -> bool:
        return self._cycle.disconnected

    @property
    def can_be_taken(self) -> bool:
        """Whether it offers a WebSocket, and so may be taken over in place of an answer."""
        return self._connection.offers(self._cycle)

    def take_over(self) -> TakenOver:
        return self._connection.take_over()

    @property
    def has_sent_all(self) -> bool:
        """Whether no more of the request's body is to come."""
        return not self._cycle.more_body

    @property
    def takes_more(self) -> bool:
        """Whether `write` may be called: the body has no length, and the client keeps up."""
        cycle = self._cycle
        writable = cycle.chunked_encoding and not (cycle.disconnected or cycle.flow.write_paused)
        return bool(writable) and cycle.scope["method"] != "HEAD"

    async def drain(self) -> None:
        """Returns when the client keeps up, or has left."""
        if not self._cycle.disconnected:
            await self._cycle.flow.drain()

    def write(self, piece: bytes) -> None:
        """A chunk of the body, as `send` writes it, without a coroutine."""
        self.written += len(piece)
        self._cycle.transport.write(b"%x\r\n%b\r\n" % (len(piece), piece))


def client_of(scope: Scope) -> ClientConnection | None:
    """None under a server that is not ours."""
    client: ClientConnection | None = scope.get("extensions", {}).get(CLIENT)
    return client


class HeadBuffer(asyncio.Transport):
    """Stands in place of the transport until a response's head is sent: in one write with the body
    that follows it at once, else alone, in the loop's next iteration."""

    def __init__(
        self,
        cycle: RequestResponseCycle,
        transport: asyncio.Transport,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._cycle = cycle
        self._transport = transport
        self._loop = loop
        self._head = b""

    def write(self, data: Any) -> None:
        if not self._head and self._cycle.transport is self:
            self._head = data
            self._loop.call_soon(self.open)
        elif len(data) <= LITTLE:
            head, self._head = self._head, b""
            self.open()
            self._transport.write(head + data)
        else:
            self.open()
            self._transport.write(data)

    def close(self) -> None:
        self.open()
        self._transport.close()

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def open(self) -> None:
        """Sends the head in the buffer, and no longer intercepts writes."""
        self._cycle.transport = self._transport
        if self._head:
            head, self._head = self._head, b""
            self._transport.write(head)


def new_id() -> str:
    return f"req_{os.urandom(12).hex()}"


def _forsake(cycle: RequestResponseCycle) -> None:
    """Notifies the application that the client has disconnected; further writes are dropped."""
    if not cycle.response_complete:
        cycle.disconnected = True
        cycle.message_event.set()
        client = client_of(cycle.scope)  # type: ignore[arg-type]
        if client is not None and client.on_leave is not None:
            client.on_leave()


def _release(cycle: RequestResponseCycle) -> None:
    """Breaks its reference cycles."""
    cycle.scope["extensions"] = {}
    vars(cycle).pop("send", None)


def _answer_as_1_0(cycle: RequestResponseCycle) -> None:
    """HTTP/1.0 has no chunks, which uvicorn forgets: a body ends where the connection does. Nor
    has it a 100 Continue."""
    cycle.chunked_encoding = cycle.waiting_for_100_continue = False
    send = cycle.send

    async def unframed(message: Any) -> None:
        cycle.expected_content_length = len(message.get("body", b""))
        await send(message)

    cycle.send = unframed  # type: ignore[method-assign]
