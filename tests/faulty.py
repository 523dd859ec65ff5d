"""A backend that misbehaves on cue: raw TCP, a script for each request, a memory of what came.

    async with FaultyBackend([head(), chunk(b"data: half"), RST]) as backend:
        ...  # ask something of backend.url
        await backend.until(lambda: not backend.open)

A script is a sequence of steps: bytes are sent as they are, an `asyncio.Event` is waited for, and
anything else is called with the `Exchange`. Each request takes the next script; `otherwise` is for
those that come after the last. A connection stays open after its script, for another request.

Knows nothing of codexapi.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Self, cast

from tests.logins import access_token

LAST_CHUNK = b"0\r\n\r\n"
PATIENCE = 20.0
"""Seconds after which a test that waits for something here has failed."""


@dataclass(frozen=True)
class Request:
    """A request, as it came. Header names are in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Exchange:
    """One request and the connection that its answer goes to."""

    def __init__(self, request: Request, writer: asyncio.StreamWriter, gone: asyncio.Event) -> None:
        self.request = request
        self.gone = gone  # set when the client has left
        self._writer = writer

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def wait(self, event: asyncio.Event) -> None:
        """Waits for it, or for the client to leave."""
        waits = [asyncio.ensure_future(one.wait()) for one in (event, self.gone)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waits:
                one.cancel()

    def close(self, *, reset: bool = False) -> None:
        if reset:
            linger = struct.pack("ii", 1, 0)
            connection = self._writer.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._writer.close()
        self.gone.set()


Step = bytes | asyncio.Event | Callable[[Exchange], Awaitable[None]]
Script = Sequence[Step]


async def FIN(exchange: Exchange) -> None:
    """Ends the connection in good order."""
    exchange.close()


async def RST(exchange: Exchange) -> None:
    """Ends the connection with a reset."""
    exchange.close(reset=True)


async def HOLD(exchange: Exchange) -> None:
    """Says nothing more until the client leaves."""
    await exchange.gone.wait()


def endless(piece: bytes) -> Callable[[Exchange], Awaitable[None]]:
    """Sends a piece again and again until the client leaves."""

    async def send(exchange: Exchange) -> None:
        while not exchange.gone.is_set():
            await exchange.send(piece)
            await asyncio.sleep(0)

    return send


def head(status: int = 200, reason: str = "OK", **headers: str) -> bytes:
    """The head of a chunked stream. `content_type` is a keyword like any other header."""
    given = {"content-type": "text/event-stream", "transfer-encoding": "chunked"}
    given.update({name.replace("_", "-"): value for name, value in headers.items()})
    lines = [f"HTTP/1.1 {status} {reason}", *(f"{name}: {value}" for name, value in given.items())]
    return "\r\n".join([*lines, "", ""]).encode()


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def whole(status: int, body: bytes | dict[str, Any] = b"", **headers: str) -> bytes:
    """A whole answer with its length; a dict goes as JSON."""
    if isinstance(body, dict):
        body, headers = json.dumps(body).encode(), {"content_type": "application/json", **headers}
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    given["content-length"] = str(len(body))
    lines = [f"HTTP/1.1 {status} Whatever", *(f"{name}: {value}" for name, value in given.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body


def stream(*pieces: bytes, **headers: str) -> bytes:
    """A whole stream, each piece in a chunk of its own."""
    return head(200, "OK", **headers) + b"".join(map(chunk, pieces)) + LAST_CHUNK


class FaultyBackend:
    """The server. Enter it to listen; leaving it ends every connection."""

    def __init__(
        self, *scripts: Script, otherwise: Script | None = None, sock: socket.socket | None = None
    ) -> None:
        self._sock = sock  # None: a port that the kernel chooses
        self._scripts = list(scripts)
        self._otherwise = otherwise
        self._happened = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.requests: list[Request] = []
        self.opened = 0  # connections, ever
        self.open: set[asyncio.StreamWriter] = set()
        self.url = ""

    async def until(self, reached: Callable[[], bool]) -> None:
        """Waits for something to become true of `requests`, `opened` or `open`."""
        async with asyncio.timeout(PATIENCE):
            while not reached():
                self._happened.clear()
                await self._happened.wait()

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        place = {"host": "127.0.0.1", "port": 0} if self._sock is None else {"sock": self._sock}
        self._server = await loop.create_server(self._connection, **place, backlog=2048)
        self.url = "http://127.0.0.1:{1}".format(*self._server.sockets[0].getsockname())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for writer in list(self.open):
            writer.transport.abort()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _connection(self) -> asyncio.StreamReaderProtocol:
        return _Connection(asyncio.StreamReader(), self._accept)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        gone = cast(_Connection, writer.transport.get_protocol()).gone
        self.opened += 1
        self.open.add(writer)
        task = asyncio.ensure_future(self._serve(reader, writer, gone))
        watch = asyncio.ensure_future(self._watch(writer, gone))
        for one in (task, watch):
            self._tasks.add(one)
            one.add_done_callback(self._tasks.discard)
        self._happened.set()

    async def _watch(self, writer: asyncio.StreamWriter, gone: asyncio.Event) -> None:
        await gone.wait()
        self.open.discard(writer)
        self._happened.set()

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, gone: asyncio.Event
    ) -> None:
        try:
            while not gone.is_set() and (request := await _request(reader)):
                self.requests.append(request)
                self._happened.set()
                await play(self._next(), Exchange(request, writer, gone))
        except ConnectionError:
            pass  # the client left in the middle: that is often the point
        finally:
            gone.set()
            writer.close()

    def _next(self) -> Script:
        if self._scripts:
            return self._scripts.pop(0)
        return self._otherwise or [whole(599, b"there is no script for this request")]


class TokenEndpoint:
    """A step that answers as the OAuth server does: a refresh token is good once.

    `before` runs when a request has come, and `after` when its token is spent.
    """

    def __init__(
        self,
        good: str = "canary-refresh-first",
        *,
        exp: float = 4_000_000_000.0,
        before: Step | None = None,
        after: Step | None = None,
    ) -> None:
        self.good = good
        self.exp = exp  # of the tokens that it gives
        self.granted = 0
        self.refused = 0
        self._before = before
        self._after = after

    async def __call__(self, exchange: Exchange) -> None:
        if self._before is not None:
            await play([self._before], exchange)
        if exchange.request.json["refresh_token"] != self.good:
            self.refused += 1
            await exchange.send(whole(401, REUSED))
            return
        self.granted += 1
        self.good = f"canary-refresh-{self.granted}"
        answer = {
            "access_token": access_token(self.exp, str(self.granted)),
            "refresh_token": self.good,
        }
        if self._after is not None:
            await play([self._after], exchange)
        if not exchange.gone.is_set():
            await exchange.send(whole(200, answer))


def by_path(scripts: dict[str, list[Script]]) -> Step:
    """A step that takes the next script of the request's path; the last of them stays."""

    async def answer(exchange: Exchange) -> None:
        ready = scripts[exchange.request.target.partition("?")[0]]
        await play(ready.pop(0) if len(ready) > 1 else ready[0], exchange)

    return answer


REUSED = {
    "error": {
        "message": "Your refresh token has already been used to generate a new access token.",
        "type": "invalid_request_error",
        "param": None,
        "code": "refresh_token_reused",
    }
}


class _Connection(asyncio.StreamReaderProtocol):
    """Tells at once that the client has left, whatever is being read or written."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        accept: Callable[[asyncio.StreamReader, asyncio.StreamWriter], None],
    ) -> None:
        super().__init__(reader, accept)
        self.gone = asyncio.Event()

    def eof_received(self) -> bool | None:
        self.gone.set()
        return super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone.set()
        super().connection_lost(exc)


async def _request(reader: asyncio.StreamReader) -> Request | None:
    """The next request; None when the client has left instead."""
    try:
        start, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[:-2]
        headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines)
        }
        body = await reader.readexactly(int(headers.get("content-length", 0)))
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    method, target, _ = start.split(" ")
    return Request(method, target, headers, body)


async def play(script: Iterable[Step], exchange: Exchange) -> None:
    """Takes the steps of a script, until the client has left."""
    for step in script:
        if isinstance(step, bytes):
            await exchange.send(step)
        elif isinstance(step, asyncio.Event):
            await exchange.wait(step)
        else:
            await step(exchange)
        if exchange.gone.is_set():
            return
