"""A backend of ours as a pure ASGI application, for other processes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing, suppress
from functools import partial
from typing import NoReturn, Protocol

from ..errors import JsonObject
from .backend import Reply

Receive = Callable[[], Awaitable[JsonObject]]
Send = Callable[[JsonObject], Awaitable[None]]
App = Callable[[JsonObject, Receive, Send], Awaitable[None]]


class Backend(Protocol):
    """What stands for a backend: the simulator, or a recording that is played."""

    @property
    def max_body(self) -> int: ...

    def drop(self) -> NoReturn: ...

    async def handle(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> Reply: ...


def app(backend: Backend) -> App:
    """An ASGI application. A client that leaves ends its run."""

    async def serve(scope: JsonObject, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await _http(backend, scope, receive, send)
        elif scope["type"] == "websocket":
            await _websocket(scope, send)
        else:
            await _lifespan(receive, send)

    return serve


async def _http(backend: Backend, scope: JsonObject, receive: Receive, send: Send) -> None:
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    try:
        body = await _request_body(backend, headers, receive)
    except ConnectionResetError:
        await _break(send)
        return
    if body is None:
        return
    query = scope["query_string"].decode("latin-1")
    target = scope["path"] + (f"?{query}" if query else "")
    answer = partial(backend.handle, scope["method"], target, headers, body)
    writing = asyncio.ensure_future(_send_reply(answer, send))
    leaving = asyncio.ensure_future(_gone(receive))
    try:
        await asyncio.wait({writing, leaving}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        writing.cancel()
        leaving.cancel()
        await asyncio.wait({writing, leaving})
    with suppress(asyncio.CancelledError, ConnectionResetError):
        # Without a last message the server breaks the connection: what `[[drop]]` asks for.
        writing.result()


async def _send_reply(answer: Callable[[], Awaitable[Reply]], send: Send) -> None:
    status, head, chunks = await answer()
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in head.items()]
    async with aclosing(chunks):
        await send({"type": "http.response.start", "status": status, "headers": headers})
        async for chunk in chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _break(send: Send) -> None:
    """Breaks the connection before there is a status. ASGI has no word for that: a head that no
    server writes, and no end of the answer."""
    impossible = [(b"simulated break", b"")]
    with suppress(RuntimeError):
        await send({"type": "http.response.start", "status": 500, "headers": impossible})


async def _request_body(
    backend: Backend, headers: Mapping[str, str], receive: Receive
) -> bytes | None:
    """The request's body; None if the client left. Raises ConnectionResetError for one that is
    too large, as soon as that is known."""
    if int(headers.get("content-length") or 0) > backend.max_body:
        backend.drop()
    pieces, size = [], 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        pieces.append(message.get("body", b""))
        size += len(pieces[-1])
        if size > backend.max_body:
            backend.drop()
        if not message.get("more_body"):
            return b"".join(pieces)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _websocket(scope: JsonObject, send: Send) -> None:
    """426, where the server can say it: official clients then take plain HTTP."""
    if "websocket.http.response" not in (scope.get("extensions") or {}):
        await send({"type": "websocket.close", "code": 1000})
        return
    headers = [(b"content-type", b"application/json")]
    body = json.dumps({"detail": "Upgrade Required"}).encode()
    await send({"type": "websocket.http.response.start", "status": 426, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": body})


async def _lifespan(receive: Receive, send: Send) -> None:
    while (await receive())["type"] == "lifespan.startup":
        await send({"type": "lifespan.startup.complete"})
    await send({"type": "lifespan.shutdown.complete"})
