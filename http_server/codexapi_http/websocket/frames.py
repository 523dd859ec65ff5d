"""Writes the events of a response as WebSocket text frames, one for each event."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Protocol

from codexapi_engine.bounds import MAX_EVENT_BYTES
from codexapi_engine.errors import JsonObject
from codexapi_engine.protocol import json, sse
from codexapi_engine.protocol.responses import socket

_TEXT = 0x81  # a text message in one frame
_LAST = b"[DONE]"


class Wire(Protocol):
    """A WebSocket, as far as it is written to."""

    def write(self, frames: bytes) -> bool:
        """Returns False where the next write is to wait for `drain`."""

    async def drain(self) -> None: ...


def text_frame(payload: bytes) -> bytes:
    """A server's text frame (RFC 6455, 5.2). It is not masked, and there are no extensions."""
    size = len(payload)
    if size < 126:
        return bytes((_TEXT, size)) + payload
    if size < 1 << 16:
        return struct.pack("!BBH", _TEXT, 126, size) + payload
    return struct.pack("!BBQ", _TEXT, 127, size) + payload


class FrameSink:
    """The client of one response, on a lane of a WebSocket."""

    def __init__(self, wire: Wire, lane: str, *, for_codex: bool) -> None:
        # set once
        self._wire = wire
        self._lane = lane
        self._for_codex = for_codex
        self._prefix = b'{"stream_id":"%b",' % lane.encode() if lane else b""
        # moves as the stream moves
        self._decoder = sse.Decoder(limit=2 * MAX_EVENT_BYTES)
        self.committed = False
        self.written = 0  # bytes

    def opened(self, headers: Mapping[str, str]) -> None:
        if self._for_codex:
            for event in socket.metadata_events(headers):
                self._wire.write(self.event_frame(event))

    def write(self, data: bytes) -> bool:
        return self._wire.write(self.frames(data))

    async def drain(self) -> None:
        await self._wire.drain()

    def frames(self, data: bytes) -> bytes:
        """The frames of the events that are complete."""
        payloads = [event.data for event in self._decoder.feed(data)]
        return self._sent([self._with_lane(payload) for payload in payloads if payload != _LAST])

    def event_frame(self, event: JsonObject) -> bytes:
        return self._sent([self._with_lane(json.dumps(event))])

    def _with_lane(self, payload: bytes) -> bytes:
        return self._prefix + payload[1:] if self._prefix else payload

    def _sent(self, payloads: list[bytes]) -> bytes:
        self.committed = self.committed or bool(payloads)
        frames = b"".join(map(text_frame, payloads))
        self.written += len(frames)
        return frames
