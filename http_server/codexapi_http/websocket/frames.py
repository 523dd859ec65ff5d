"""Writes the events of a response as WebSocket text frames, one for each event."""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from functools import lru_cache
from typing import Protocol

from codexapi_engine.bounds import MAX_EVENT_BYTES
from codexapi_engine.errors import JsonObject
from codexapi_engine.protocol import json, sse
from codexapi_engine.protocol.responses import socket

_TEXT = 0x81  # a text message in one frame
_MIDDLE, _LARGE = struct.Struct("!BBH").pack, struct.Struct("!BBQ").pack
_EVENT = re.compile(rb"event: .+\ndata: (.*)\n\n")
_LINES = 3  # ends of such an event
_TYPE = b'{"type":'
_TYPED = b"\ndata: " + _TYPE
_LAST = b"[DONE]"


class FrameWriter(Protocol):
    """A WebSocket, as far as it is written to."""

    def write(self, frames: bytes) -> bool:
        """Returns False where the next write is to wait for `drain`."""

    async def drain(self) -> None: ...


def text_frame(payload: bytes) -> bytes:
    """A server's text frame."""
    return _frame_head(len(payload)) + payload


def _typed(event: sse.Event) -> bytes:
    """Its payload. A message has no other place for the type that an `event:` line has."""
    if event.data.startswith(_TYPE) or "type" in event.json:
        return event.data
    return json.dumps({"type": event.type, **event.json})


@lru_cache(1024)
def _frame_head(size: int) -> bytes:
    """What stands before a payload (RFC 6455, 5.2). It is not masked, and there are no extensions."""
    if 125 < size < 1 << 16:  # most events
        return _MIDDLE(_TEXT, 126, size)
    return bytes((_TEXT, size)) if size < 126 else _LARGE(_TEXT, 127, size)


class FrameSink:
    """The client of one response, on a lane of a WebSocket."""

    def __init__(self, writer: FrameWriter, lane: str, *, for_codex: bool) -> None:
        # set once
        self._writer = writer
        self._lane = lane
        self._for_codex = for_codex
        self._prefix = b'{"stream_id":"%b",' % lane.encode() if lane else b""
        # moves as the stream moves
        self._decoder = sse.Decoder(limit=2 * MAX_EVENT_BYTES)
        self._at_start = True  # of an event
        self.committed = False
        self.written = 0  # bytes

    def opened(self, headers: Mapping[str, str]) -> None:
        if self._for_codex:
            for event in socket.metadata_events(headers):
                self._writer.write(self.event_frame(event))

    def write(self, data: bytes) -> bool:
        return self._writer.write(self.frames(data))

    async def drain(self) -> None:
        await self._writer.drain()

    def frames(self, data: bytes) -> bytes:
        """The frames of the events that are complete."""
        events = data.removesuffix(sse.DONE)
        payloads = _EVENT.findall(events)
        plain = events.count(b"\n") == _LINES * len(payloads) == _LINES * events.count(_TYPED)
        if not (plain and self._at_start and (events.endswith(b"\n\n") or not events)):
            # A large event in pieces, or what the backend writes in another way.
            decoded = self._decoder.feed(data)
            payloads = [_typed(event) for event in decoded if event.data != _LAST]
            self._at_start = data.endswith(b"\n\n")
        return self._sent(payloads)

    def event_frame(self, event: JsonObject) -> bytes:
        return self._sent([json.dumps(event)])

    def _sent(self, payloads: list[bytes]) -> bytes:
        self.committed = self.committed or bool(payloads)
        if self._prefix:
            payloads = [self._prefix + payload[1:] for payload in payloads]
        pieces = [piece for payload in payloads for piece in (_frame_head(len(payload)), payload)]
        frames = b"".join(pieces)
        self.written += len(frames)
        return frames
