"""The server over HTTP, as a part of another door's application: streamable HTTP, at `/mcp`.

Whose requests may come in is for whatever stands in front to say: the SDK looks at no Host and no
Origin, since it would turn away the web pages that the user has let in. Answers are event streams, and older clients have sessions: without the one or the other
a call could not be cancelled.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from mcp.server.transport_security import TransportSecuritySettings
from starlette.types import Message, Receive, Scope, Send

from .options import Options
from .server import Server, create_server
from .workshop import HEARTBEAT, LINE, Line

if TYPE_CHECKING:
    from codexapi_engine import Codex

MAX_BODY = 32 * 1024 * 1024
"""Bytes of a request, as the rest of the server takes them."""


class Endpoint:
    """An ASGI application that lives within `lifespan`."""

    path = "/mcp"

    def __init__(
        self,
        codex: Codex,
        options: Options | None = None,
        *,
        server: Server | None = None,
        heartbeat: float = HEARTBEAT,
    ) -> None:
        made = server or create_server(codex, options=options, heartbeat=heartbeat)
        made.streamable_http_app(
            streamable_http_path=self.path,
            max_request_body_size=MAX_BODY,
            transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
        )
        self._sessions = made.session_manager
        self._lines: set[_Exchange] = set()

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        async with self._sessions.run():
            yield

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = _Exchange(scope, receive, send)
        self._lines.add(exchange)
        try:
            await self._sessions.handle_request(
                {**scope, LINE: exchange.line}, exchange.receive, exchange.send
            )
        finally:
            self._lines.discard(exchange)
            exchange.line.hang_up()
        await exchange.complete()

    def stop(self, now: bool) -> None:
        """Streams that wait for news end at once, and calls when there is no more patience."""
        for exchange in list(self._lines):
            if exchange.is_listening:
                exchange.end()
            elif now:
                exchange.line.shut_down()


class _Exchange:
    """One request and its answer."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.line = Line()
        self.is_listening = scope["method"] == "GET"
        self._receive = receive
        self._send = send
        self._ended = asyncio.Event()
        self._gone = False
        self._answering = False

    async def receive(self) -> Message:
        message = await self._next()
        if message["type"] == "http.disconnect":
            self.line.hang_up()
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._answering = True
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

    async def _next(self) -> Message:
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
