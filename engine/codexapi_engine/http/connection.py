"""One HTTP/1.1 connection to a server, on asyncio, and its responses, framed by httptools.

Made for streams: the bytes of one network read are handed on together, and a slow reader pauses
the reading. It raises HttpFailure.
"""

from __future__ import annotations

import asyncio
import select
import socket
import sys
import time
from collections.abc import Callable
from typing import Protocol, cast

import httptools

from ..bounds import CONNECTION_LIFETIME, MAX_RESPONSE_HEAD_BYTES
from ..errors import copy_of
from .deadlines import GRACE, LATE
from .failures import (
    ConnectError,
    HttpFailure,
    InvalidResponse,
    NetworkError,
    ReadTimeout,
    WriteTimeout,
)
from .messages import HttpRequest, HttpResponse, OnChunk, ServerAddress, Url

READ_BUFFER = 256 * 1024
"""Unread bytes of a body beyond which reading pauses."""

WRITE_CHUNK = 256 * 1024
"""Bytes of a request per write."""

_BODILESS = (204, 304)


class Pool(Protocol):
    """What a connection needs of the pool that it is in."""

    def add(self, connection: Connection) -> None: ...

    def release(self, connection: Connection) -> None: ...

    def discard(self, connection: Connection) -> None: ...


class Connection(asyncio.Protocol):
    """One connection, which serves one request at a time."""

    _transport: asyncio.Transport

    def __init__(self, pool: Pool, address: ServerAddress) -> None:
        # set once
        self.address = address
        self._pool = pool
        self._loop = asyncio.get_running_loop()
        self._readable: Callable[[], bool] | None = None
        # moves with its requests
        self._answer: ResponseParser | None = None
        self.sending = False
        self._full = False  # the transport's write buffer is full
        self._idle_since = 0.0
        self._ended = False
        # idle timeout
        self._last_read = 0.0
        self._idle_timeout = 0.0
        self._timer: asyncio.TimerHandle | None = None

    async def send(
        self, answer: ResponseParser, head: bytes, body: bytes, limit: float | None
    ) -> None:
        """Sends a request, and stops early when it is refused. Raises ConnectError where
        the server has closed the connection before: then nothing was sent."""
        if self._ended:  # asyncio would ignore what is written, and uvloop raise RuntimeError
            raise _left_before(answer.url)
        self._answer, self.sending = answer, True
        self._transport.write(head + body[:WRITE_CHUNK])
        for start in range(WRITE_CHUNK, len(body), WRITE_CHUNK):
            while self._full and not answer.refused:
                await answer.wait(limit)
            if answer.refused or self._ended:
                return  # `sending` stays set, so the connection is not used again
            self._transport.write(body[start : start + WRITE_CHUNK])
        self.sending = False

    def end(self) -> None:
        """Closes it at once, also in the middle of a request."""
        if not self._ended:
            self._ended = True
            self._transport.abort()

    def is_sound(self) -> bool:
        """Whether it is open and idle: a readable idle connection has been closed by the server."""
        if self._ended or not 0 <= time.time() - self._idle_since < CONNECTION_LIFETIME:
            return False
        if self._readable is None:
            self._readable = _readable(self._transport.get_extra_info("socket"))
        return not self._readable()

    def pause(self) -> None:
        self._transport.pause_reading()

    def resume(self) -> None:
        self._transport.resume_reading()

    # Called by asyncio.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        # At once: uvloop would write when its turn ends. (Of zero, TLS would make a pause for ever.)
        self._transport.set_write_buffer_limits(high=1)
        self._pool.add(self)

    def data_received(self, data: bytes) -> None:
        answer = self._answer
        if answer is None or self._ended:
            self.end()
            return
        self._last_read = self._loop.time()
        answer.feed(data)
        if answer.complete:
            self._answered(answer)

    def eof_received(self) -> None:
        if self._answer is not None:
            self._answer.feed_end()

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended = True
        if self._timer is not None:
            self._timer.cancel()
        self._pool.discard(self)
        answer, self._answer = self._answer, None
        if answer is not None:
            answer.broken(exc)

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        if self._answer is not None:
            self._answer.wake()

    def _answered(self, answer: ResponseParser) -> None:
        self._answer = None
        if self.sending or self._transport.get_write_buffer_size() or not answer.keep:
            self.end()
            return
        self._idle_since = time.time()
        if answer.paused:
            self._transport.resume_reading()
        self._pool.release(self)

    # Idle timeout: one timer for all answers, set again only when it has run out.

    def listen(self, idle_timeout: float) -> None:
        """From now on the answer fails after `idle_timeout` seconds without data."""
        self._last_read, self._idle_timeout = self._loop.time(), idle_timeout
        due = self._last_read + idle_timeout
        if self._timer is not None and self._timer.when() > due:
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            self._timer = self._loop.call_at(due, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._answer is None:
            return
        due, now = self._last_read + self._idle_timeout, self._loop.time()
        if now - due > LATE:  # this process was stopped: what has come is read first
            due = now + GRACE
            self._last_read = due - self._idle_timeout
        if now < due:
            self._timer = self._loop.call_at(due, self._look)
        else:
            self._answer.unheard()


class ResponseParser(HttpResponse):
    """The answer to one request as it arrives: its head, then its body in chunks."""

    def __init__(self, connection: Connection, request: HttpRequest, silence: float | None) -> None:
        # set once
        self._connection = connection
        self.url = request.url  # and no more of it: the body is not to be kept
        self._is_head = request.method == "HEAD"
        self._silence = silence
        # what waits to be read; `on_body` is the parser's callback, for each chunk
        self._pieces: list[bytes] = []
        self.on_body = self._pieces.append
        self._unread = 0
        self.paused = False
        # what has come
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        self._dry = 0  # bytes since the last one of the body
        self._begun = False  # the head is there
        self.lines: list[tuple[bytes, bytes]] = []
        self._whole = 0  # pieces that it has
        self.keep = False  # the connection is as it was before
        # who waits
        self._error: HttpFailure | None = None
        self._waiter: asyncio.Future[bool] | None = None
        self._on_chunk: OnChunk | None = None

    @property
    def refused(self) -> bool:
        """Whether the server will not read the rest of the request."""
        return self._error is not None or (self._begun and self.status >= 400)

    async def begin(self) -> None:
        """Waits for the head."""
        while not self._begun:
            self._check()
            await self.wait(self._silence)

    async def wait(self, limit: float | None) -> bool:
        """Waits for news, at most `limit` seconds without data. True when `on_chunk` has returned
        False."""
        self._waiter = asyncio.get_running_loop().create_future()
        if limit is not None:
            self._connection.listen(limit)
        try:
            return await self._waiter
        finally:
            self._waiter = None

    async def __anext__(self) -> bytes:
        while not self._pieces:
            if self._at_end():
                raise StopAsyncIteration
            await self.wait(self._silence)
        return self._piece()

    async def push(self, on_chunk: OnChunk) -> bool:
        """Calls `on_chunk` with the bytes of each network read, within asyncio's own callback: to
        wake a task for each would cost more than their processing. Returns True when `on_chunk` has
        returned False, to stop; False at the end of the body. Raises what `on_chunk` raises.
        """
        while True:
            if self._pieces and not on_chunk(self._piece()):
                return True
            if self._at_end():
                return False
            self._on_chunk = on_chunk
            try:
                if await self.wait(self._silence):
                    return True
            finally:
                self._on_chunk = None

    async def aclose(self) -> None:
        if not self.complete:
            self._fail(NetworkError("closed by its reader"))

    # Called by the connection.

    def feed(self, data: bytes) -> None:
        assert self._parser is not None
        count = len(self._pieces)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._malformed(str(error))
            if not self.complete:
                return
        finally:
            if self.complete:
                del self._pieces[self._whole :]  # what stands behind is no part of it
                self._parser = None  # it refers to this answer: a reference cycle
        if len(self._pieces) > count:
            self._dry = 0
            self._unread += len(data)
        else:
            self._dry += len(data)
        if self._dry > MAX_RESPONSE_HEAD_BYTES and not self.complete:
            self._malformed("a head without end")
            return
        if self._pieces and self._on_chunk is not None:
            self._hand_over(self._on_chunk)
        if self._unread > READ_BUFFER and not (self.paused or self.complete):
            self.paused = True
            self._connection.pause()
        if (self._pieces or self._begun) and (self._on_chunk is None or self.complete):
            self.wake()

    def feed_end(self) -> None:
        """The server has closed its side."""
        if self._begun and not self._framed():
            self._finish(keep=False)
            self.wake()
        elif not self._begun:
            unanswered = InvalidResponse("the server left without sending a response")
            unanswered.is_unanswered = True
            self._fail(unanswered)
        elif not self.complete:
            self._fail(InvalidResponse("the server left in the middle of the body"))

    def broken(self, error: Exception | None) -> None:
        """The connection was lost."""
        if not self.complete and self._error is None:
            lost = NetworkError(str(error or "the connection was closed"))
            lost.__cause__ = error
            self._fail(lost)

    def unheard(self) -> None:
        """Fails the answer with a timeout, if a task waits for it."""
        if self._waiter is None:
            return
        if self._begun or not self._connection.sending:
            self._fail(ReadTimeout("silence"))
        else:
            self._fail(WriteTimeout("nothing is taken"))

    def wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(False)

    def _at_end(self) -> bool:
        """Whether nothing more comes. Raises what cut it short."""
        self._check()
        return self.complete

    def _check(self) -> None:
        if self._error is not None:
            raise copy_of(self._error)

    def _piece(self) -> bytes:
        """The unread bytes, of one or several network reads."""
        piece = b"".join(self._pieces)  # no copy of a single one
        self._pieces.clear()
        self._unread = 0
        if self.paused and not self.complete:
            self.paused = False
            self._connection.resume()
        return piece

    def _hand_over(self, on_chunk: OnChunk) -> None:
        waiter = self._waiter
        if waiter is None or waiter.done():
            return  # it has returned False, or is cancelled, and has not run yet
        try:
            if not on_chunk(self._piece()):
                waiter.set_result(True)
        except BaseException as error:  # noqa: BLE001  (raised in the waiting task)
            if waiter.done():
                return  # `on_chunk` has cancelled the waiting task
            waiter.set_exception(error)

    # Called by the parser.

    def on_message_begin(self) -> None:
        if self.complete:
            self.keep = False  # a second answer to one request
        else:
            self.lines = []

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._begun:  # trailers are dropped
            self.lines.append((name, value))

    def on_headers_complete(self) -> None:
        if self.complete:
            return
        assert self._parser is not None
        self.status = self._parser.get_status_code()
        if self.status < 200:
            return  # another head follows
        self._begun = True
        if (self._is_head or self.status in _BODILESS) and self._framed():
            self._finish(keep=False)  # the parser would wait for that body

    def on_message_complete(self) -> None:
        if self._begun and not self.complete:
            assert self._parser is not None
            self._finish(keep=self._parser.should_keep_alive())

    def _framed(self) -> bool:
        """Whether the head announces a body with a known end."""
        framed = {name.lower(): value for name, value in self.lines}
        return b"transfer-encoding" in framed or framed.get(b"content-length", b"0") != b"0"

    def _finish(self, *, keep: bool) -> None:
        self.complete, self.keep, self._whole = True, keep, len(self._pieces)

    def _malformed(self, why: str) -> None:
        self.keep = False
        if not self.complete:
            self._fail(InvalidResponse(why))

    def _fail(self, error: HttpFailure) -> None:
        if self._error is None:
            error.url = self.url
            self._error = error
        self._parser = None
        self._connection.end()
        self.wake()


def _left_before(url: Url) -> ConnectError:
    error = ConnectError("the other side left before it was asked", url)
    error.__cause__ = ConnectionResetError()
    return error


def _readable(connection: socket.socket) -> Callable[[], bool]:
    """A test whether the socket has data, or is at its end."""
    if sys.platform == "win32" or not hasattr(select, "poll"):
        return lambda: bool(select.select([connection], [], [], 0)[0])
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return lambda: bool(poll.poll(0))
