"""Parses what the official client sent: HTTP requests, and the messages of a WebSocket."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import h11
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN, SERVER, Protocol

from codexapi_engine.errors import JsonObject
from codexapi_engine.protocol import json
from codexapi_engine.protocol.known import plain

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

UPGRADE, MESSAGE = "upgrade", "message"
KINDS = {
    "GET /models": "models",
    "POST /responses": "responses",
    "POST /alpha/search": "search",
    "POST /images/generations": "image",
    "GET /responses": UPGRADE,
}
"""Our names of the requests, by method and path behind the base URL."""


@dataclass(frozen=True)
class ClientRequest:
    """One request, or one message of a WebSocket, which has no headers."""

    kind: str  # of KINDS, MESSAGE, else method and path
    headers: list[tuple[str, str]]  # in the order of the wire, names in lower case
    body: JsonObject | None


def kind_of(method: str, target: str) -> str:
    path = urlsplit(target).path
    for prefix in ("/backend-api/codex", "/v1"):
        path = path.removeprefix(prefix)
    cleaned = "/".join(part and plain(part) for part in path.split("/"))
    return KINDS.get(f"{method} {path}", f"{plain(method)} {cleaned}")


def parse(connections: Iterable[list[bytes]]) -> list[ClientRequest]:
    """The requests on these connections, as far as they have come."""
    return [request for pieces in connections for request in _connection(b"".join(pieces))]


def _connection(data: bytes) -> Iterator[ClientRequest]:
    wire = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    wire.receive_data(data)
    while isinstance(head := _next(wire), h11.Request):
        kind = kind_of(head.method.decode(), head.target.decode())
        headers = [(name.decode(), value.decode("latin-1")) for name, value in head.headers]
        body = b""
        while isinstance(piece := _next(wire), h11.Data):
            body += bytes(piece.data)
        yield ClientRequest(kind, headers, to_object(_plain(body, dict(headers))))
        if kind == UPGRADE:
            yield from _socket_messages(data.partition(b"\r\n\r\n")[2])
            return
        if wire.their_state is not h11.DONE:
            return
        wire.send(h11.Response(status_code=200, headers=[("content-length", "0")]))
        wire.send(h11.EndOfMessage())
        wire.start_next_cycle()


def _next(wire: h11.Connection) -> object:
    try:
        return wire.next_event()
    except h11.RemoteProtocolError:  # not HTTP: the server has refused it already
        return None


def _socket_messages(frames: bytes) -> Iterator[ClientRequest]:
    protocol = Protocol(SERVER, state=OPEN, max_size=None)
    protocol.receive_data(frames)
    parts: list[bytes] = []
    for frame in protocol.events_received():
        if isinstance(frame, Frame) and frame.opcode in (Opcode.TEXT, Opcode.CONT):
            parts.append(bytes(frame.data))
            if frame.fin:
                yield ClientRequest(MESSAGE, [], to_object(b"".join(parts)))
                parts.clear()


def _plain(body: bytes, headers: dict[str, str]) -> bytes:
    if headers.get("content-encoding") != "zstd":
        return body
    try:
        return bytes(zstd.decompress(body))
    except zstd.ZstdError:
        return b""


def to_object(body: bytes) -> JsonObject | None:
    """The JSON object of a body; None where it is none."""
    try:
        value = json.loads(body)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
