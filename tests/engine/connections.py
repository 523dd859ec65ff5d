"""Connections to a server of a test's own."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from tests.lines import Lines, no_tls

from codexapi_engine.http import connection as road
from codexapi_engine.http.messages import HttpRequest, Timeouts, Url
from codexapi_engine.http.network import Network

OK = b"HTTP/1.1 200 OK\r\n"
PATIENT = Timeouts(60.0, 60.0, 60.0)


@asynccontextmanager
async def opened(tls: Callable[[], ssl.SSLContext] = no_tls) -> AsyncIterator[Network]:
    network = Network(tls)
    try:
        yield network
    finally:
        await network.aclose()
        assert not network._open


def request(url: str, method: str = "GET", content: bytes = b"", **timeout: float) -> HttpRequest:
    place = Url.parse(url)
    headers = {"host": place.netloc}
    if content:
        headers["content-length"] = str(len(content))
    return HttpRequest(method, place, headers, content, PATIENT._replace(**timeout))


async def ask(network: Network, asked: HttpRequest) -> tuple[int, bytes]:
    response = await network.send(asked)
    try:
        return response.status, b"".join([piece async for piece in response])
    finally:
        await response.aclose()


async def until(reached: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not reached():  # noqa: ASYNC110  (nobody tells)
            await asyncio.sleep(0)


async def on_a_line(
    method: str = "GET", silence: float | None = None
) -> tuple[Lines, road.ResponseParser]:
    """What answers a request that was sent."""
    network, asked = Lines(), request("http://127.0.0.1/", method)
    connection = network._idle_connection(asked.url.server)
    answer = road.ResponseParser(connection, asked, silence)
    await connection.send(answer, b"", b"", None)
    return network, answer


CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
GOOD: dict[str, tuple[bytes, int, bytes, bool]] = {
    # what comes, status, body, whether the connection is kept
    "length": (OK + b"content-length: 5\r\n\r\nhello", 200, b"hello", True),
    "nothing": (OK + b"content-length: 0\r\n\r\n", 200, b"", True),
    "chunks": (CHUNKED + b"5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n", 200, b"hello!", True),
    "chunks in capitals": (CHUNKED + b"A\r\n0123456789\r\n0\r\n\r\n", 200, b"0123456789", True),
    "chunk extensions": (CHUNKED + b'2;a=b;c="d"\r\nhi\r\n0;e\r\n\r\n', 200, b"hi", True),
    "trailers": (CHUNKED + b"2\r\nhi\r\n0\r\nx-sum: 1\r\ny: 2\r\n\r\n", 200, b"hi", True),
    "no chunk": (CHUNKED + b"0\r\n\r\n", 200, b"", True),
    "204": (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", True),
    "304": (b"HTTP/1.1 304 Not Modified\r\netag: 1\r\n\r\n", 304, b"", True),
    "304 with a length": (b"HTTP/1.1 304 X\r\ncontent-length: 9\r\n\r\n", 304, b"", False),
    "interim": (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nlink: x\r\n\r\n" + OK
                + b"content-length: 2\r\n\r\nhi", 200, b"hi", True),
    "close": (OK + b"connection: close\r\ncontent-length: 2\r\n\r\nhi", 200, b"hi", False),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nhi", 200, b"hi", False),
    "error": (b"HTTP/1.1 500 No\r\ncontent-length: 2\r\n\r\nno", 500, b"no", True),
}  # fmt: skip
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def talking(talk: Talk, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A server of its own kind, and its port."""
    tasks: set[asyncio.Task[Any]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await talk(reader, writer)
        writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Takes:
    """Takes pieces; at the `last` it has enough, or raises `error`."""

    def __init__(self, last: int = 0, error: BaseException | None = None) -> None:
        self.pieces: list[bytes] = []
        self._last = last
        self._error = error

    def __call__(self, piece: bytes) -> bool:
        assert piece
        assert not self._last or len(self.pieces) < self._last, "it had enough"
        self.pieces.append(piece)
        if len(self.pieces) != self._last:
            return True
        if self._error is not None:
            raise self._error
        return False

    @property
    def all(self) -> bytes:
        return b"".join(self.pieces)


async def rest(answer: road.ResponseParser, by: str) -> bytes:
    """What is still to be had."""
    if by == "pieces":
        return b"".join([piece async for piece in answer])
    takes = Takes()
    assert not await answer.push(takes)
    return takes.all


H, ELL, O = CHUNKED + b"1\r\nh\r\n", b"3\r\nell\r\n", b"1\r\no\r\n0\r\n\r\n"
HELLO = H + ELL + O


def kept(network: Network) -> list[Any]:
    return [connection for idle in network._idle.values() for connection in idle]
