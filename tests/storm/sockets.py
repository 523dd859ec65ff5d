"""A request over a WebSocket, read as if it had come over HTTP: the oracles know one form."""

from __future__ import annotations

import base64
import json
from typing import Any

from tests.http_server.raw import get, masked
from tests.http_server.sockets import ENDS
from websockets.frames import Frame, Opcode
from websockets.protocol import CLIENT, OPEN, Protocol

_SWITCHED = b"HTTP/1.1 101 "
_KEY = base64.b64encode(bytes(16)).decode()
_OFFER = ("Upgrade: websocket", "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {_KEY}")


def create(body: dict[str, Any], *headers: str) -> bytes:
    """An upgrade, and a create right behind it. A refusal closes, as `Connection` says."""
    offer = get("/v1/responses", "Connection: Upgrade, close", *_OFFER, *headers)
    return offer + masked(json.dumps({"type": "response.create", **body}).encode())


class Answer:
    """What comes on the connection, piece by piece."""

    def __init__(self) -> None:
        self.data = b""  # all of it
        self.events: list[dict[str, Any]] = []
        self._protocol: Protocol | None = None

    @property
    def is_socket(self) -> bool:
        return self.data.startswith(_SWITCHED)

    @property
    def has_ended(self) -> bool:
        return bool(self.events) and self.events[-1]["type"] in ENDS

    def feed(self, piece: bytes) -> None:
        self.data += piece
        if self._protocol is None:
            head, mark, piece = self.data.partition(b"\r\n\r\n")
            if not (mark and head.startswith(_SWITCHED)):
                return
            self._protocol = Protocol(CLIENT, state=OPEN, max_size=None)
        self._protocol.receive_data(piece)
        for frame in self._protocol.events_received():
            if isinstance(frame, Frame) and frame.opcode is Opcode.TEXT:
                self.events.append(json.loads(bytes(frame.data)))
