"""How much is done for one figure, and what a measure is given beside the server."""

from __future__ import annotations

import asyncio
import json
import math
import socket
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.plays import Play
from benchmarks.servers import Server

SHORT = Play("text", 20)
STREAMS = (1, 16, 256, 1000)
KILOBYTE = 1024
BODIES = (256 * KILOBYTE, 2048 * KILOBYTE, 16384 * KILOBYTE)
"""Bytes of large requests."""

NEVER = math.inf

Figures = dict[str, float]


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is done for one figure."""

    samples: int = 150  # of the time to the first token
    large: int = 60  # with a request of 256 KB; fewer with larger ones
    bodies: tuple[int, ...] = BODIES
    connections: int = 16
    requests: int = 800  # short ones
    paced_seconds: float = 3.0
    paced_streams: int = 20
    deltas: int = 500  # of a stream at saturation
    bursts: int = 12  # at the most, of `connections` streams each
    cpu_seconds: float = 0.6  # of the server, that end a saturation sooner
    image_megabytes: int = 8
    streams: tuple[int, ...] = STREAMS
    thinks: int = 1000  # milliseconds
    leavers: int = 20
    sockets: int = 1000  # that are idle
    stalled: int = 4
    long_deltas: int = 80_000  # 20 MB: what a reader leaves unread, or reads to its end
    stalls: float = 15.0  # seconds, if a server takes in more and more


QUICK = Sizes(
    samples=60, large=20, requests=200, paced_seconds=1.0, bursts=5, cpu_seconds=0.3,
    stalls=5.0,
)  # fmt: skip
TINY = Sizes(
    samples=5, large=5, requests=32, paced_seconds=0.2, paced_streams=4, deltas=50, bursts=1,
    bodies=BODIES[:2], image_megabytes=1, sockets=20, streams=(16,), thinks=50, leavers=3,
    stalled=1, long_deltas=4000,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Bench:
    """What a measure is given beside the server."""

    backend: int  # its plain port
    sizes: Sizes
    python: str = sys.executable  # of our server

    def counts(self) -> dict[str, Any]:
        """What the backend has counted. Blocks, for less than a millisecond."""
        with socket.create_connection(("127.0.0.1", self.backend)) as asking:
            asking.sendall(b"GET /counts HTTP/1.1\r\n\r\n")
            counts: dict[str, Any] = json.loads(asking.recv(4096).partition(b"\r\n\r\n")[2])
            return counts

    async def open_streams(self, *, within: float) -> int:
        """How many streams are open at the backend, when none is or the time is over."""
        deadline = time.monotonic() + within
        while (count := self.counts()["open"]) and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.002)
        return int(count)


Measure = Callable[[Server, str, Bench], Awaitable[Figures]]
