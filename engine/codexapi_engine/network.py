"""HTTP/1.1 beneath httpx: asyncio's connections, httptools' framing, and a pool of our own.

Made for streams: what one network read brought is handed on as one piece, and a reader that takes
its time stops the reading. Nothing is ever sent twice: who may try again is `transport.py`'s to
say. Knows nothing of what is asked, and raises httpx's exceptions.
"""

from __future__ import annotations

import asyncio
import ipaddress
import select
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import httptools

from ._httpx import httpx

if TYPE_CHECKING:
    from ssl import SSLContext

MAX_HEAD_BYTES = 64 * 1024
"""Of a head, of trailers, and of whatever else stands between two pieces of a body."""

HELD = 256 * 1024
"""Bytes of a body that wait for their reader before the reading stops."""

PIECE = 256 * 1024
"""Bytes of a request that a connection is given at once."""

KEPT = 20
"""Connections that wait for another request, for each host."""

KEPT_FOR = 60.0
"""Seconds that they wait, by the wall clock: a machine that slept has lost them."""

_NEXT_ADDRESS = 0.25  # seconds until a name's next address is tried beside the first (RFC 8305)
_BODILESS = (204, 304)


class Network(httpx.AsyncBaseTransport):
    """Connections to whatever host is asked, each kept for the next request.

    `tls` is called once, for the first https address.
    """

    def __init__(self, tls: Callable[[], SSLContext]) -> None:
        self._tls = tls
        self._context: SSLContext | None = None
        self._open: set[_Connection] = set()
        self._idle: dict[_Place, list[_Connection]] = {}
        self._connecting: set[asyncio.Task[_Connection]] = set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        place, head, body = _Place.of(request), _head(request), await request.aread()
        limits = request.extensions.get("timeout") or {}
        connection = self._waiting(place)
        if connection is None:
            connection = await self._connected(request, place, limits.get("connect"))
        answer = _Answer(connection, request, limits.get("read"))
        try:
            await connection.send(answer, head, body, limits.get("write"))
            await answer.begin()
        except BaseException:
            connection.end()
            raise
        return httpx.Response(
            answer.status,
            headers=answer.headers,
            stream=answer,
            extensions={"complete": lambda: answer.complete},
        )

    async def aclose(self) -> None:
        for connecting in self._connecting:
            connecting.cancel()
        await asyncio.gather(*self._connecting, return_exceptions=True)
        for connection in list(self._open):
            connection.end()
        for _ in range(10):  # asyncio closes them a step later, and TLS another two
            if self._open:
                await asyncio.sleep(0)

    def _waiting(self, place: _Place) -> _Connection | None:
        """A connection that is open, as far as can be known without sending on it."""
        idle = self._idle.get(place)
        while idle:
            connection = idle.pop()
            if connection.is_sound():
                return connection
            connection.end()
        return None

    async def _connected(
        self, request: httpx.Request, place: _Place, limit: float | None
    ) -> _Connection:
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
        self, request: httpx.Request, place: _Place, limit: float | None
    ) -> _Connection:
        options: dict[str, Any] = {}
        if place.scheme == "https":
            self._context = self._context or self._tls()
            options = {"ssl": self._context, "server_hostname": place.name}
        if not _is_address(place.host):
            options["happy_eyeballs_delay"] = _NEXT_ADDRESS
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(limit):
                _, connection = await loop.create_connection(
                    lambda: _Connection(self, place), place.host, place.port, **options
                )
        except TimeoutError as error:
            raise httpx.ConnectTimeout("no connection in time", request=request) from error
        except (OSError, UnicodeError) as error:
            raise httpx.ConnectError(str(error), request=request) from error
        return connection

    # Told by the connections.

    def opened(self, connection: _Connection) -> None:
        self._open.add(connection)

    def free(self, connection: _Connection) -> None:
        """It can take another request."""
        idle = self._idle.setdefault(connection.place, [])
        idle.append(connection)
        if len(idle) > KEPT:
            idle.pop(0).end()

    def lost(self, connection: _Connection) -> None:
        self._open.discard(connection)
        idle = self._idle.get(connection.place, [])
        if connection in idle:
            idle.remove(connection)
        if not idle:
            self._idle.pop(connection.place, None)


class _Place(NamedTuple):
    """Where a connection leads."""

    scheme: str
    host: str
    port: int
    name: str  # whom its certificate must name

    @classmethod
    def of(cls, request: httpx.Request) -> _Place:
        url = request.url
        if url.scheme not in ("http", "https"):
            raise httpx.UnsupportedProtocol(f"no way to '{url.scheme}:'", request=request)
        host = url.raw_host.decode("ascii")
        port = url.port or (443 if url.scheme == "https" else 80)
        return cls(url.scheme, host, port, request.extensions.get("sni_hostname") or host)


class _Connection(asyncio.Protocol):
    """One connection. It takes a request, and the next when that one is answered."""

    _transport: asyncio.Transport

    def __init__(self, network: Network, place: _Place) -> None:
        # set once
        self.place = place
        self._network = network
        # moves with its requests
        self._answer: _Answer | None = None
        self.sending = False
        self._full = False  # the network takes no more at the moment
        self._idle_since = 0.0
        self._ended = False

    async def send(self, answer: _Answer, head: bytes, body: bytes, limit: float | None) -> None:
        """Sends a request: all of it, unless it is refused before that."""
        self._answer, self.sending = answer, True
        self._transport.write(head + body[:PIECE])
        for start in range(PIECE, len(body), PIECE):
            while self._full and not answer.refused:
                await answer.wait(limit)
            if answer.refused:
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
        age = time.time() - self._idle_since
        return not self._ended and 0 <= age < KEPT_FOR and not _readable(self._transport)

    def pause(self) -> None:
        self._transport.pause_reading()

    def resume(self) -> None:
        self._transport.resume_reading()

    # Called by asyncio.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._network.opened(self)

    def data_received(self, data: bytes) -> None:
        answer = self._answer
        if answer is None or self._ended:
            self.end()
            return
        answer.feed(data)
        if answer.complete:
            self._answered(answer)

    def eof_received(self) -> None:
        if self._answer is not None:
            self._answer.feed_end()

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended = True
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

    def _answered(self, answer: _Answer) -> None:
        self._answer = None
        if self.sending or self._transport.get_write_buffer_size() or not answer.keep:
            self.end()
            return
        self._idle_since = time.time()
        self._transport.resume_reading()
        self._network.free(self)


class _Answer(httpx.AsyncByteStream):
    """The answer to one request, as it comes: its head, then its body piece by piece."""

    def __init__(
        self, connection: _Connection, request: httpx.Request, silence: float | None
    ) -> None:
        # set once
        self._connection = connection
        self._request = request
        self._silence = silence
        self._loop = asyncio.get_running_loop()
        # what waits to be read; `on_body` is the parser's callback, for each chunk
        self._pieces: list[bytes] = []
        self.on_body = self._pieces.append
        self._held = 0
        self._paused = False
        # what has come
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        self._head_size = 0
        self._dry = 0  # bytes since the last one of the body
        self._begun = False  # the head is there
        self._until_close = False
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.complete = False
        self._whole = 0  # pieces that it has
        self.keep = False  # the connection is as it was before
        # who waits
        self._error: httpx.TransportError | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._since = 0.0
        self._limit = 0.0

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

    async def wait(self, limit: float | None) -> None:
        """Until there is something new, but never longer than `limit` in silence."""
        self._waiter = self._loop.create_future()
        if limit is not None:
            self._set_timer(limit)
        try:
            await self._waiter
        finally:
            self._waiter = None

    def __aiter__(self) -> _Answer:
        return self

    async def __anext__(self) -> bytes:
        while not self._pieces:
            if self._error is not None:
                raise self._error
            if self.complete:
                raise StopAsyncIteration
            await self.wait(self._silence)
        piece = b"".join(self._pieces)  # no copy of a single one
        self._pieces.clear()
        self._held = 0
        if self._paused:
            self._paused = False
            self._connection.resume()
        return piece

    async def aclose(self) -> None:
        if not self.complete:
            self._fail(httpx.ReadError("closed by its reader"))

    # Called by the connection.

    def feed(self, data: bytes) -> None:
        assert self._parser is not None
        parser = self._parser
        self._since = self._loop.time()
        count = len(self._pieces)
        try:
            parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._malformed(str(error))
            return
        finally:
            if self.complete:  # and what stands behind is no part of it
                del self._pieces[self._whole :]
        if len(self._pieces) > count:
            self._dry = 0
            self._held += len(data)
        else:
            self._dry += len(data)
        if max(self._head_size, self._dry) > MAX_HEAD_BYTES and not self.complete:
            self._malformed("a head without end")
            return
        if self._held > HELD and not (self._paused or self.complete):
            self._paused = True
            self._connection.pause()
        if self._pieces or self._begun:
            self.wake()

    def feed_end(self) -> None:
        """The other side says nothing more."""
        if self._until_close:
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

    def wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # Called by the parser.

    def on_message_begin(self) -> None:
        if self.complete:
            self.keep = False  # an answer that nobody asked for
        else:
            self.headers = []

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_size += len(name) + len(value)
        if not self._begun:  # trailers are dropped
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        assert self._parser is not None
        if self.complete:
            return
        self.status = self._parser.get_status_code()
        if self.status < 200:
            return  # another head follows
        self._begun = True
        framed = {name.lower(): value for name, value in self.headers}
        sized = framed.get(b"content-length")
        if self._request.method == "HEAD" or self.status in _BODILESS:
            if sized not in (None, b"0") or b"transfer-encoding" in framed:
                self._finish(keep=False)  # the parser would wait for that body
        else:
            self._until_close = sized is None and b"transfer-encoding" not in framed

    def on_message_complete(self) -> None:
        assert self._parser is not None
        if self._begun and not self.complete:
            self._finish(keep=self._parser.should_keep_alive())

    def _finish(self, *, keep: bool) -> None:
        self.complete, self.keep, self._whole = True, keep, len(self._pieces)
        self._stop_timer()
        self._paused = False

    def _malformed(self, why: str) -> None:
        self.keep = False
        if not self.complete:
            self._fail(httpx.RemoteProtocolError(why))

    def _fail(self, error: httpx.TransportError) -> None:
        if self._error is None:
            error.request = self._request
            self._error = error
        self._stop_timer()
        self._parser = None
        self._connection.end()
        self.wake()

    # Silence: one timer, set again only when it has run out.

    def _set_timer(self, limit: float) -> None:
        self._since, self._limit = self._loop.time(), limit
        due = self._since + limit
        if self._timer is not None and self._timer.when() > due:
            self._stop_timer()
        if self._timer is None:
            self._timer = self._loop.call_at(due, self._look)

    def _look(self) -> None:
        self._timer = None
        due = self._since + self._limit
        if self._waiter is None:
            return
        if self._loop.time() < due:
            self._timer = self._loop.call_at(due, self._look)
        elif self._begun or not self._connection.sending:
            self._fail(httpx.ReadTimeout("silence"))
        else:
            self._fail(httpx.WriteTimeout("nothing is taken"))

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _head(request: httpx.Request) -> bytes:
    """The request's first bytes. Raises LocalProtocolError for what would not stay in its line."""
    if "transfer-encoding" in request.headers:
        raise httpx.LocalProtocolError("a body goes with its length", request=request)
    lines = [b"%b %b HTTP/1.1" % (request.method.encode("ascii"), request.url.raw_path)]
    lines += [b"%b: %b" % line for line in request.headers.raw]
    head = b"\r\n".join([*lines, b"", b""])
    ends = len(lines) + 1
    if head.count(b"\r") != ends or head.count(b"\n") != ends or b"\0" in head:
        raise httpx.LocalProtocolError("a header with a line end in it", request=request)
    return head


def _unwanted(connecting: asyncio.Task[_Connection]) -> None:
    if not connecting.cancelled() and connecting.exception() is None:
        connecting.result().end()


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def _readable(transport: asyncio.Transport) -> bool:
    connection = transport.get_extra_info("socket")
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(connection.fileno(), select.POLLIN)
        return bool(poll.poll(0))
    return bool(select.select([connection], [], [], 0)[0])
