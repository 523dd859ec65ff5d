"""The server over streamable HTTP, mounted at `/mcp` in another application.

That application checks Host and Origin. The SDK checks neither, since it would refuse the web pages
that the user allows. Answers are event streams, and clients of the older protocol have sessions:
without the one or the other a call could not be cancelled.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from mcp.server.transport_security import TransportSecuritySettings
from starlette.types import Message, Receive, Scope, Send

from codexapi_engine.bounds import (
    MAX_BODY_BYTES,
    MAX_SESSIONS,
    PROGRESS_INTERVAL,
    SESSION_IDLE_TIMEOUT,
)

from .options import Options
from .runtime import LINE, ClientConnection
from .server import Server, create_server

if TYPE_CHECKING:
    from codexapi_engine import Codex


_SESSION = b"mcp-session-id"


class Endpoint:
    """An ASGI application that lives within `lifespan`."""

    path = "/mcp"

    def __init__(
        self,
        codex: Codex,
        options: Options | None = None,
        *,
        server: Server | None = None,
        heartbeat: float = PROGRESS_INTERVAL,
    ) -> None:
        made = server or create_server(codex, options=options, heartbeat=heartbeat)
        made.streamable_http_app(
            streamable_http_path=self.path,
            max_request_body_size=MAX_BODY_BYTES,
            session_idle_timeout=SESSION_IDLE_TIMEOUT,
            max_sessions=MAX_SESSIONS,
            transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
        )
        self._sessions = made.session_manager
        self._used: dict[bytes, int] = {}  # open requests by session, the latest used at the end
        self._opening = 0  # requests that may become a session
        self._lines: set[_Exchange] = set()

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        async with self._sessions.run():
            yield

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = _Exchange(scope, receive, send)
        named = dict(scope["headers"]).get(_SESSION)
        self._lines.add(exchange)
        try:
            if named is None:
                await self._make_room()
                self._opening += 1
            elif named in self._used:
                self._use(named, 1)
            await self._sessions.handle_request(
                {**scope, LINE: exchange.line}, exchange.receive, exchange.send
            )
        finally:
            self._opening -= named is None
            self._keep_count(named, exchange, scope["method"])
            self._lines.discard(exchange)
            exchange.line.hang_up()
        await exchange.complete()

    async def _make_room(self) -> None:
        """Ends sessions until one more is within the bound."""
        while len(self._used) + self._opening >= MAX_SESSIONS:
            oldest = next((session for session, busy in self._used.items() if not busy), None)
            if oldest is None:
                return  # then the SDK refuses
            del self._used[oldest]
            await self._close_session(oldest)

    async def _close_session(self, session: bytes) -> None:
        """Ends a session as its client would. For one that has ended, the 404 is dropped."""
        scope = {
            "type": "http", "method": "DELETE", "path": self.path, "query_string": b"",
            "headers": [(_SESSION, session)],
        }  # fmt: skip
        await self._sessions.handle_request(scope, _empty_body, _unheard)

    def _keep_count(self, named: bytes | None, exchange: _Exchange, method: str) -> None:
        if named is None and exchange.session is not None and exchange.status < 400:
            self._use(exchange.session, 0)
        elif named is not None and (exchange.status == 404 or method == "DELETE"):
            self._used.pop(named, None)
        elif named in self._used:
            self._use(named, -1)

    def _use(self, session: bytes, more: int) -> None:
        self._used[session] = self._used.pop(session, 0) + more

    def stop(self, now: bool) -> None:
        """Streams that wait for news end at once, and calls when the time to end is over."""
        for exchange in list(self._lines):
            if exchange.is_listening:
                exchange.end()
            elif now:
                exchange.line.shut_down()


class _Exchange:
    """One request and its answer."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.line = ClientConnection()
        self.status = 0
        self.session: bytes | None = None  # that the answer names
        self.is_listening = scope["method"] == "GET"
        self._receive = receive
        self._send = send
        self._ended = asyncio.Event()
        self._gone = False
        self._answering = False

    async def receive(self) -> Message:
        message = await self._next_message()
        if message["type"] == "http.disconnect":
            self.line.hang_up()
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._answering = True
            self.status = message["status"]
            self.session = dict(message.get("headers", ())).get(_SESSION)
        elif message["type"] == "http.response.body":
            self._answering = bool(message.get("more_body"))
        await self._send(message)

    def end(self) -> None:
        """The SDK takes it that the client has left."""
        self._ended.set()

    async def complete(self) -> None:
        """Ends in good order an answer that the SDK gave up."""
        if self._answering and not self._gone:
            await self._send({"type": "http.response.body", "body": b""})

    async def _next_message(self) -> Message:
        coming = asyncio.ensure_future(self._receive())
        ended = asyncio.ensure_future(self._ended.wait())
        try:
            await asyncio.wait({coming, ended}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ended.cancel()
            if not coming.done():
                coming.cancel()
        if self._ended.is_set():
            return {"type": "http.disconnect"}
        message: Message = coming.result()
        self._gone = message["type"] == "http.disconnect"
        return message


async def _empty_body() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _unheard(message: Message) -> None:
    pass
