"""Clients of the server, on raw sockets: quick, slow, and such as leave in the middle."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from dataclasses import dataclass, field
from typing import Any

from tests.http_server.raw import get, post
from tests.http_server.sockets import over_http
from tests.storm import sockets

PATIENCE = 45.0
"""Seconds in which a request must have an answer or an end: some are tried again for 12 s, behind
a renewal that may take 10, on a busy machine."""

KEY = "canary-api-key"
SIGNED = (f"Authorization: Bearer {KEY}", "Connection: close")


@dataclass
class Reply:
    """What a client got, to the last byte, and whether that was all."""

    label: str
    mark: bytes = b""
    door: str = ""
    stream: bool = False
    store: bool = False
    background: bool = False
    conversation: str = ""  # the id of the one that it is a part of
    client: str = "normal"
    socket: bool = False  # over a WebSocket
    status: int | None = None  # None: there was no answer
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    is_complete: bool = False
    is_late: bool = False

    @property
    def json(self) -> Any:
        return json.loads(self.body)


async def fetch(reply: Reply, port: int, request: bytes) -> Reply:
    """Sends the request as this client does, and fills in the reply."""
    try:
        async with asyncio.timeout(PATIENCE):
            await _fetch(reply, port, request)
    except TimeoutError:
        reply.is_late = True
    except OSError:
        pass
    return reply


async def _fetch(reply: Reply, port: int, request: bytes) -> None:
    connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    connection.setblocking(False)
    if reply.client == "slow":
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    try:
        await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", port))
    except BaseException:
        connection.close()
        raise
    limit = 1024 if reply.client == "slow" else 2**16
    reader, writer = await asyncio.open_connection(sock=connection, limit=limit)
    try:
        cut = len(request) // 2 if reply.client in ("half", "idle") else len(request)
        writer.write(request[:cut])
        await writer.drain()
        if reply.client == "half":
            return
        if reply.client == "idle":  # half a request, and no more for a while
            await asyncio.sleep(0.5)
            writer.write(request[cut:])
        answer = await _read(reader, reply)
    finally:
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    if reply.client == "vanish":
        return
    if not answer.is_socket:
        _parse(reply, answer.data)
    elif answer.events:
        got = over_http(answer.events)
        reply.status, reply.headers, reply.body = got.status, got.headers, got.body
        reply.is_complete = answer.has_ended


async def _read(reader: asyncio.StreamReader, reply: Reply) -> sockets.Answer:
    answer, client = sockets.Answer(), reply.client
    with contextlib.suppress(ConnectionError):
        while piece := await reader.read(700 if client in ("slow", "vanish") else 2**16):
            answer.feed(piece)
            if client == "vanish" or answer.has_ended:
                break
            if client == "slow" and len(answer.data) < 40_000:
                await asyncio.sleep(0.005)
    return answer


def _parse(reply: Reply, data: bytes) -> None:
    """Leaves the reply as it is where no complete head has come."""
    head, mark, rest = data.partition(b"\r\n\r\n")
    if not mark:
        return
    first, *lines = head.decode("latin-1").split("\r\n")
    reply.status = int(first.split()[1])
    pairs = (line.partition(":") for line in lines)
    reply.headers = {name.lower(): value.strip() for name, _, value in pairs}
    if "chunked" in reply.headers.get("transfer-encoding", ""):
        reply.body, reply.is_complete = _chunks(rest)
    else:
        length = int(reply.headers.get("content-length", "0"))
        reply.body, reply.is_complete = rest[:length], len(rest) == length


def _chunks(data: bytes) -> tuple[bytes, bool]:
    """The pieces of a chunked body that have come whole, and whether its end has."""
    body = b""
    while True:
        size, mark, rest = data.partition(b"\r\n")
        if not mark:
            return body, False
        count = int(size, 16)
        if count == 0:
            return body, True
        if len(rest) < count + 2:
            return body + rest[:count], False
        body, data = body + rest[:count], rest[count + 2 :]


def question(reply: Reply, model: str, prompt: str, previous: str | None) -> bytes:
    """The request that this reply is to."""
    body: dict[str, Any] = {"model": model, "stream": reply.stream}
    if reply.door == "chat":
        body |= {"messages": [{"role": "user", "content": prompt}], "store": reply.store}
        return post("/v1/chat/completions", body, *SIGNED)
    if reply.door == "completions":
        return post("/v1/completions", {**body, "prompt": prompt}, *SIGNED)
    body |= {"input": prompt, "store": reply.store}
    if reply.background:
        body["background"] = True
    if reply.conversation:
        body["conversation"] = reply.conversation
    elif previous:
        body["previous_response_id"] = previous
    if reply.socket:
        return sockets.create(body, SIGNED[0])
    return post("/v1/responses", body, *SIGNED)


def beginning() -> bytes:
    """The request for a conversation."""
    return post("/v1/conversations", {}, *SIGNED)


def page(path: str) -> bytes:
    return get(path, *SIGNED)
