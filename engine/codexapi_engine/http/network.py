"""The pool of HTTP/1.1 connections to the backend.

Made for streams; `connection.py` has the connections themselves. Nothing is ever sent twice here:
`retry.py` alone decides whether a request is sent again.

It runs on uvloop, on asyncio's selector loop and on Windows' proactor loop, and so needs of a loop
only what all of them have (`tests/engine/test_loops.py`): `sock_connect`, and
`create_connection` with a socket; write buffer limits of one byte, which make a write go out at
once; a transport's socket and its `fileno`; timer handles that know `when` they are due.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from aiohappyeyeballs import start_connection

from ..bounds import MAX_IDLE_CONNECTIONS
from .connection import Connection, ResponseParser
from .deadlines import deadline
from .failures import ConnectError, ConnectTimeout, UnsupportedRequest
from .messages import HttpRequest, ServerAddress
from .resolver import Resolver

if TYPE_CHECKING:
    from ssl import SSLContext

_NEXT_ADDRESS = 0.25  # seconds until a name's next address is tried beside the first (RFC 8305)


class Network:
    """Connections to any server, each kept for the next request: an `HttpTransport`.

    `tls` is called once, for the first https address.
    """

    def __init__(self, tls: Callable[[], SSLContext]) -> None:
        self._tls = tls
        self._context: SSLContext | None = None
        self._resolver = Resolver()
        self._open: set[Connection] = set()
        self._idle: dict[ServerAddress, list[Connection]] = {}
        self._connecting: set[asyncio.Task[Connection]] = set()

    async def send(self, request: HttpRequest) -> ResponseParser:
        head, timeouts = _request_head(request), request.timeouts
        connection = self._idle_connection(request.url.server)
        if connection is None:
            connection = await self._connected(request, timeouts.connect)
        answer = ResponseParser(connection, request, timeouts.read)
        try:
            await connection.send(answer, head, request.content, timeouts.write)
            await answer.begin()
        except BaseException:
            connection.end()
            raise
        return answer

    async def aclose(self) -> None:
        for connecting in self._connecting:
            connecting.cancel()
        await asyncio.gather(*self._connecting, return_exceptions=True)
        for connection in list(self._open):
            connection.end()
        for _ in range(10):  # asyncio closes them a step later, and TLS another two
            if self._open:
                await asyncio.sleep(0)

    def _idle_connection(self, address: ServerAddress) -> Connection | None:
        """An idle connection that is open, as far as can be known without sending on it."""
        idle = self._idle.get(address)
        while idle:
            connection = idle.pop()
            if connection.is_sound():
                return connection
            connection.end()
        return None

    async def _connected(self, request: HttpRequest, limit: float | None) -> Connection:
        """A new connection. asyncio loses the socket that has just won the race of addresses when it
        is cancelled: so the task always runs to its end, and a cancelled caller's connection is
        closed."""
        connecting = asyncio.create_task(self._connect(request, limit))
        self._connecting.add(connecting)
        connecting.add_done_callback(self._connecting.discard)
        try:
            return await asyncio.shield(connecting)
        except asyncio.CancelledError:
            connecting.add_done_callback(_unwanted)
            raise

    async def _connect(self, request: HttpRequest, limit: float | None) -> Connection:
        options: dict[str, Any] = {}
        address = request.url.server
        if address.scheme == "https":
            self._context = self._context or self._tls()
            options = {"ssl": self._context, "server_hostname": address.name}
        loop = asyncio.get_running_loop()
        try:
            async with deadline(limit):
                _, connection = await loop.create_connection(
                    lambda: Connection(self, address),
                    sock=await self._open_socket(address.host, address.port),
                    **options,
                )
        except TimeoutError as error:
            raise ConnectTimeout("no connection in time", request.url) from error
        except (OSError, UnicodeError) as error:  # UnicodeError: a name that IDNA refuses
            raise ConnectError(str(error), request.url) from error
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
        except RuntimeError as error:  # uvloop raises it for some failures of a socket
            raise OSError(str(error)) from error

    # Called by the connections.

    def add(self, connection: Connection) -> None:
        self._open.add(connection)

    def release(self, connection: Connection) -> None:
        """Makes a connection available for another request."""
        idle = self._idle.setdefault(connection.address, [])
        idle.append(connection)
        if len(idle) > MAX_IDLE_CONNECTIONS:
            idle.pop(0).end()

    def discard(self, connection: Connection) -> None:
        self._open.discard(connection)
        idle = self._idle.get(connection.address, [])
        if connection in idle:
            idle.remove(connection)
        if not idle:
            self._idle.pop(connection.address, None)


def _request_head(request: HttpRequest) -> bytes:
    """The request's head. Raises UnsupportedRequest for a header that no head can have."""
    lines = [f"{request.method} {request.url.target} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in request.headers.items()]
    lines += ("", "")
    head, ends = "\r\n".join(lines), len(lines) - 1
    if head.count("\r") != ends or head.count("\n") != ends or "\0" in head:
        raise UnsupportedRequest("a header with a line end in it", request.url)
    try:
        return head.encode("latin-1")
    except UnicodeEncodeError:
        raise UnsupportedRequest("a header that is not in Latin-1", request.url) from None


def _unwanted(connecting: asyncio.Task[Connection]) -> None:
    if not connecting.cancelled() and connecting.exception() is None:
        connecting.result().end()
