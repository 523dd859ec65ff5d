"""HTTP/1.1 beneath httpx: asyncio's connections, httptools' framing, and a pool of our own.

Made for streams: what one network read brought is handed on as one piece, and a reader that takes
its time stops the reading. Nothing is ever sent twice: who may try again is `transport.py`'s to
say. Knows nothing of what is asked, and raises httpx's exceptions.

It runs on uvloop, on asyncio's selector loop and on Windows' proactor loop, and so asks of a loop
only what all of them have (`tests/engine/test_loops.py`): `sock_connect`, and
`create_connection` with a socket; write buffer limits of one byte, which make a write go out at
once; a transport's socket and its `fileno`; timer handles that know `when` they are due.
"""

from __future__ import annotations

import asyncio
import select
import socket
import time
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import httptools
from aiohappyeyeballs import start_connection

from ._httpx import httpx
from .deadlines import GRACE, LATE, deadline
from .resolver import Resolver

if TYPE_CHECKING:
    from ssl import SSLContext

MAX_HEAD_BYTES = 64 * 1024
"""Of a head, of trailers, and of whatever else stands between two pieces of a body. What came
in one network read with the next piece is not counted."""

READ_BUFFER = 256 * 1024
"""Bytes of a body that wait for their reader before the reading stops."""

PIECE = 256 * 1024
"""Bytes of a request that a connection is given at once."""

KEPT = 20
"""Connections that wait for another request, for each host."""

KEPT_FOR = 60.0
"""Seconds that they wait, by the wall clock: a machine that slept has lost them."""

OnChunk = Callable[[bytes], bool]
"""Takes a chunk of a body. False when it wants no more for the moment."""

_NEXT_ADDRESS = 0.25  # seconds until a name's next address is tried beside the first (RFC 8305)
_BODILESS = (204, 304)


class Network(httpx.AsyncBaseTransport):
    """Connections to whatever host is asked, each kept for the next request.

    `tls` is called once, for the first https address. Extensions of a response: `headers`, as they
    came; `complete`, whether all of it is here; `push`, which is `ResponseParser.push`.
    """

    def __init__(self, tls: Callable[[], SSLContext]) -> None:
        self._tls = tls
        self._context: SSLContext | None = None
        self._resolver = Resolver()
        self._open: set[Connection] = set()
        self._idle: dict[ServerAddress, list[Connection]] = {}
        self._connecting: set[asyncio.Task[Connection]] = set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        place, head, body = ServerAddress.of(request), _head(request), await _request_body(request)
        limits = request.extensions.get("timeout") or {}
        connection = self._waiting(place)
        if connection is None:
            connection = await self._connected(request, place, limits.get("connect"))
        answer = ResponseParser(connection, request, limits.get("read"))
        try:
            await connection.send(answer, head, body, limits.get("write"))
            await answer.begin()
        except BaseException:
            connection.end()
            raise
        response = _Response(
            answer.status,
            stream=answer,
            extensions={
                "headers": answer.headers,
                "complete": lambda: answer.complete,
                "push": answer.push,
            },
        )
        del response.headers  # the empty ones: they would hide its own
        return response

    async def aclose(self) -> None:
        for connecting in self._connecting:
            connecting.cancel()
        await asyncio.gather(*self._connecting, return_exceptions=True)
        for connection in list(self._open):
            connection.end()
        for _ in range(10):  # asyncio closes them a step later, and TLS another two
            if self._open:
                await asyncio.sleep(0)

    def _waiting(self, place: ServerAddress) -> Connection | None:
        """A connection that is open, as far as can be known without sending on it."""
        idle = self._idle.get(place)
        while idle:
            connection = idle.pop()
            if connection.is_sound():
                return connection
            connection.end()
        return None

    async def _connected(
        self, request: httpx.Request, place: ServerAddress, limit: float | None
    ) -> Connection:
        """A new connection. Cancelled in the middle of its race of addresses, asyncio loses the
        socket that has just won: so it is made in any case, and closed if nobody waits for it."""
        connecting = asyncio.create_task(self._connect(request, place, limit))
        self._connecting.add(connecting)
        connecting.add_done_callback(self._connecting.discard)
        try:
            return await asyncio.shield(connecting)
        except asyncio.CancelledError:
            connecting.add_done_callback(_unwanted)
            raise

    async def _connect(
        self, request: httpx.Request, place: ServerAddress, limit: float | None
    ) -> Connection:
        options: dict[str, Any] = {}
        if place.scheme == "https":
            self._context = self._context or self._tls()
            options = {"ssl": self._context, "server_hostname": place.name}
        loop = asyncio.get_running_loop()
        try:
            async with deadline(limit):
                _, connection = await loop.create_connection(
                    lambda: Connection(self, place),
                    sock=await self._open_socket(place.host, place.port),
                    **options,
                )
        except TimeoutError as error:
            raise httpx.ConnectTimeout("no connection in time", request=request) from error
        except (OSError, UnicodeError) as error:  # UnicodeError: a name that IDNA refuses
            raise httpx.ConnectError(str(error), request=request) from error
        return connection

    async def _open_socket(self, host: str, port: int) -> socket.socket:
        """A TCP connection to a name or an address. Raises OSError, UnicodeError.

        The race of a name's addresses is not the loop's: uvloop's `create_connection` has none.
        """
        tcp: dict[str, Any] = {"type": socket.SOCK_STREAM, "proto": socket.IPPROTO_TCP}
        try:
            addresses = socket.getaddrinfo(host, port, **tcp, flags=socket.AI_NUMERICHOST)
        except socket.gaierror:  # a name
            addresses = await self._resolver.addresses(host, port)
        try:
            return await start_connection(addresses, happy_eyeballs_delay=_NEXT_ADDRESS)
        except RuntimeError as error:  # uvloop's word for some failures of a socket
            raise OSError(str(error)) from error

    # Told by the connections.

    def opened(self, connection: Connection) -> None:
        self._open.add(connection)

    def free(self, connection: Connection) -> None:
        """It can take another request."""
        idle = self._idle.setdefault(connection.place, [])
        idle.append(connection)
        if len(idle) > KEPT:
            idle.pop(0).end()

    def lost(self, connection: Connection) -> None:
        self._open.discard(connection)
        idle = self._idle.get(connection.place, [])
        if connection in idle:
            idle.remove(connection)
        if not idle:
            self._idle.pop(connection.place, None)


class _Response(httpx.Response):
    """Its headers become httpx's where somebody asks for those: each takes httpx six calls."""

    @cached_property
    def headers(self) -> httpx.Headers:  # type: ignore[override]
        return httpx.Headers(self.extensions["headers"])


class ServerAddress(NamedTuple):
    """Where a connection leads."""

    scheme: str
    host: str
    port: int
    name: str  # whom its certificate must name

    @classmethod
    def of(cls, request: httpx.Request) -> ServerAddress:
        url, scheme = request.url, request.url.scheme
        if scheme not in ("http", "https"):
            raise httpx.UnsupportedProtocol(f"no way to '{scheme}:'", request=request)
        host = url.raw_host.decode("ascii")
        port = url.port or (443 if scheme == "https" else 80)
        return cls(scheme, host, port, request.extensions.get("sni_hostname") or host)


class Connection(asyncio.Protocol):
    """One connection. It takes a request, and the next when that one is answered."""

    _transport: asyncio.Transport

    def __init__(self, network: Network, place: ServerAddress) -> None:
        # set once
        self.place = place
        self._network = network
        self._loop = asyncio.get_running_loop()
        self._readable: Callable[[], bool] | None = None
        # moves with its requests
        self._answer: ResponseParser | None = None
        self.sending = False
        self._full = False  # the network takes no more at the moment
        self._idle_since = 0.0
        self._ended = False
        # silence
        self._last_read = 0.0
        self._idle_timeout = 0.0
        self._timer: asyncio.TimerHandle | None = None

    async def send(
        self, answer: ResponseParser, head: bytes, body: bytes, limit: float | None
    ) -> None:
        """Sends a request: all of it, unless it is refused before that. Raises httpx's ConnectError
        where the other side has left before: then nothing was sent."""
        if self._ended:  # asyncio would ignore what is written, and uvloop raise RuntimeError
            raise _left_before(answer._request)
        self._answer, self.sending = answer, True
        self._transport.write(head + body[:PIECE])
        for start in range(PIECE, len(body), PIECE):
            while self._full and not answer.refused:
                await answer.wait(limit)
            if answer.refused or self._ended:
                return  # and so the connection is good for nothing more
            self._transport.write(body[start : start + PIECE])
        self.sending = False

    def end(self) -> None:
        """Closes it at once, whatever is under way."""
        if not self._ended:
            self._ended = True
            self._transport.abort()

    def is_sound(self) -> bool:
        """Whether it waits in silence: unasked, the other side only says that it leaves."""
        if self._ended or not 0 <= time.time() - self._idle_since < KEPT_FOR:
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
        self._network.opened(self)

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
        self._network.lost(self)
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
        self._network.free(self)

    # Silence: one timer for all answers, set again only when it has run out.

    def listen(self, idle_timeout: float) -> None:
        """From now on its answer is told when it was silent for so long."""
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


class ResponseParser(httpx.AsyncByteStream):
    """The answer to one request, as it comes: its head, then its body piece by piece."""

    def __init__(
        self, connection: Connection, request: httpx.Request, silence: float | None
    ) -> None:
        # set once
        self._connection = connection
        self._request = request
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
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.complete = False
        self._whole = 0  # pieces that it has
        self.keep = False  # the connection is as it was before
        # who waits
        self._error: httpx.TransportError | None = None
        self._waiter: asyncio.Future[bool] | None = None
        self._on_chunk: OnChunk | None = None

    @property
    def refused(self) -> bool:
        """Whether nobody will read the rest of the request."""
        return self._error is not None or (self._begun and self.status >= 400)

    async def begin(self) -> None:
        """Waits for the head."""
        while not self._begun:
            if self._error is not None:
                raise self._error
            await self.wait(self._silence)

    async def wait(self, limit: float | None) -> bool:
        """Until there is something new, but never longer than `limit` in silence. Returns whether
        `on_chunk` wants no more."""
        self._waiter = asyncio.get_running_loop().create_future()
        if limit is not None:
            self._connection.listen(limit)
        try:
            return await self._waiter
        finally:
            self._waiter = None

    def __aiter__(self) -> ResponseParser:
        return self

    async def __anext__(self) -> bytes:
        while not self._pieces:
            if self._at_end():
                raise StopAsyncIteration
            await self.wait(self._silence)
        return self._piece()

    async def push(self, on_chunk: OnChunk) -> bool:
        """Calls `on_chunk` with each chunk as the network brings it, within the network's own call:
        to wake a task for each would cost more than what is done with it. Returns True when
        `on_chunk` has returned False; False at the body's end. Raises what `on_chunk` raises.
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
            self._fail(httpx.ReadError("closed by its reader"))

    # Called by the connection.

    def feed(self, data: bytes) -> None:
        assert self._parser is not None
        count = len(self._pieces)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._malformed(str(error))
            return
        finally:
            if self.complete:
                del self._pieces[self._whole :]  # what stands behind is no part of it
                self._parser = None  # which has this answer: a circle for the garbage collector
        if len(self._pieces) > count:
            self._dry = 0
            self._unread += len(data)
        else:
            self._dry += len(data)
        if self._dry > MAX_HEAD_BYTES and not self.complete:
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
        """The other side says nothing more."""
        if self._begun and not self._framed():
            self._finish(keep=False)
            self.wake()
        elif not self._begun:
            self._fail(httpx.RemoteProtocolError("the server left without sending a response"))
        elif not self.complete:
            self._fail(httpx.RemoteProtocolError("the server left in the middle of the body"))

    def broken(self, error: Exception | None) -> None:
        """The connection is gone."""
        if not self.complete and self._error is None:
            lost = httpx.ReadError(str(error or "the connection was closed"))
            lost.__cause__ = error
            self._fail(lost)

    def unheard(self) -> None:
        """The other side was silent for too long, if somebody waits for it."""
        if self._waiter is None:
            return
        if self._begun or not self._connection.sending:
            self._fail(httpx.ReadTimeout("silence"))
        else:
            self._fail(httpx.WriteTimeout("nothing is taken"))

    def wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(False)

    def _at_end(self) -> bool:
        """Whether nothing more comes. Raises what cut it short."""
        if self._error is not None:
            raise self._error
        return self.complete

    def _piece(self) -> bytes:
        """What has come, and waits for its reader."""
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
            return  # it has enough, or is cancelled, and only has not run yet
        try:
            if not on_chunk(self._piece()):
                waiter.set_result(True)
        except BaseException as error:  # noqa: BLE001  (who waits is to hear it, whatever it is)
            if waiter.done():
                return  # `on_chunk` has ended the task that waits: nobody is left to tell
            waiter.set_exception(error)

    # Called by the parser.

    def on_message_begin(self) -> None:
        if self.complete:
            self.keep = False  # an answer that nobody asked for
        else:
            self.headers = []

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._begun:  # trailers are dropped
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        if self.complete:
            return
        assert self._parser is not None
        self.status = self._parser.get_status_code()
        if self.status < 200:
            return  # another head follows
        self._begun = True
        if (self._request.method == "HEAD" or self.status in _BODILESS) and self._framed():
            self._finish(keep=False)  # the parser would wait for that body

    def on_message_complete(self) -> None:
        if self._begun and not self.complete:
            assert self._parser is not None
            self._finish(keep=self._parser.should_keep_alive())

    def _framed(self) -> bool:
        """Whether the head tells of a body, and where it ends."""
        framed = {name.lower(): value for name, value in self.headers}
        return b"transfer-encoding" in framed or framed.get(b"content-length", b"0") != b"0"

    def _finish(self, *, keep: bool) -> None:
        self.complete, self.keep, self._whole = True, keep, len(self._pieces)

    def _malformed(self, why: str) -> None:
        self.keep = False
        if not self.complete:
            self._fail(httpx.RemoteProtocolError(why))

    def _fail(self, error: httpx.TransportError) -> None:
        if self._error is None:
            error.request = self._request
            self._error = error
        self._parser = None
        self._connection.end()
        self.wake()


def _head(request: httpx.Request) -> bytes:
    """The request's first bytes. Raises LocalProtocolError for what would not stay in its line."""
    lines = [b"%b %b HTTP/1.1" % (request.method.encode("ascii"), request.url.raw_path)]
    lines += [b"%b: %b" % line for line in request.headers.raw]
    head = b"\r\n".join([*lines, b"", b""])
    if b"\r\ntransfer-encoding:" in head.lower():
        raise httpx.LocalProtocolError("a body goes with its length", request=request)
    ends = len(lines) + 1
    if head.count(b"\r") != ends or head.count(b"\n") != ends or b"\0" in head:
        raise httpx.LocalProtocolError("a header with a line end in it", request=request)
    return head


async def _request_body(request: httpx.Request) -> bytes:
    if isinstance(request.stream, httpx.ByteStream):  # ours is: to have httpx read it takes longer
        return b"".join(request.stream)
    return await request.aread()


def _left_before(request: httpx.Request) -> httpx.ConnectError:
    error = httpx.ConnectError("the other side left before it was asked", request=request)
    error.__cause__ = ConnectionResetError()
    return error


def _unwanted(connecting: asyncio.Task[Connection]) -> None:
    if not connecting.cancelled() and connecting.exception() is None:
        connecting.result().end()


def _readable(connection: socket.socket) -> Callable[[], bool]:
    """Tells whether something can be read, or was ended."""
    if not hasattr(select, "poll"):
        return lambda: bool(select.select([connection], [], [], 0)[0])
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return lambda: bool(poll.poll(0))
