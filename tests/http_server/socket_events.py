"""What a WebSocket's tests have in common."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.http_server.doors import Door, Stream, door
from tests.http_server.raw import JsonObject

KEY = base64.b64encode(bytes(16)).decode()
OFFER = (
    "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
    f"Sec-WebSocket-Key: {KEY}",
)  # fmt: skip
BEGINNING: list[JsonObject] = [
    {"type": "response.created", "sequence_number": 0, "response": {"id": "resp_1", "output": []}}
]
END = {
    "type": "response.completed", "sequence_number": 9,
    "response": {"id": "resp_1", "status": "completed", "output": []},
}  # fmt: skip


class Streams:
    """A backend whose answers are streams of the test, one for each request."""

    def __init__(self, count: int) -> None:
        self.streams = [Stream() for _ in range(count)]
        self.requests = 0

    async def handle(self, method: str, target: str, headers: Any, body: bytes) -> Any:
        if not target.endswith("/responses"):
            return 200, {}, nothing()
        self.requests += 1
        return await self.streams[self.requests - 1].handle(method, target, headers, body)


async def nothing() -> AsyncIterator[bytes]:
    yield b'{"models":[]}'


@asynccontextmanager
async def streaming(count: int = 1, **settings: Any) -> AsyncIterator[tuple[Door, list[Stream]]]:
    backend = Streams(count)
    async with door(backend, **settings) as opened:
        yield opened, backend.streams
