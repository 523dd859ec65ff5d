"""A backend that costs next to nothing: `python -m benchmarks.backend FOLDER` prints its ports.

The first is plain; the second is TLS, by the name NAME and an authority whose certificate is
written to FOLDER. Speaks just as much HTTP as its clients send, plays what the prompt asks for
(`plays`), and counts: `GET /counts` tells connections, requests and the streams that are still open.
"""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import sys
import time
from pathlib import Path

from tests.certificates import Authority

from benchmarks.plays import Play, events

CATALOGUE = Path(__file__).parents[1] / "tests" / "wires" / "models.json"
NAME = "localhost"
"""A name that every system resolves to this machine."""

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
_STREAM = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
    b"Cache-Control: no-cache\r\nx-request-id: req_0a1b2c3d4e5f\r\n"
    b"x-codex-primary-used-percent: 12\r\nx-codex-primary-window-minutes: 300\r\n"
    b"x-codex-secondary-used-percent: 34\r\nx-codex-secondary-window-minutes: 10080\r\n"
    b"Transfer-Encoding: chunked\r\n"
)
_END = b"0\r\n\r\n"
_GOLDEN = 0.618034


class Counts:
    """What the driver asks for. A connection counts once it has carried a play."""

    def __init__(self) -> None:
        self.connects = self.requests = self.open = 0
        self.closed = 0.0  # when the last stream that was left had ended

    def told(self) -> bytes:
        return json.dumps(vars(self)).encode()


class Connection(asyncio.Protocol):
    def __init__(self, counts: Counts, catalogue: bytes) -> None:
        # set once
        self._counts = counts
        self._catalogue = catalogue
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        # moves
        self._pieces: list[bytes] = []
        self._head = b""  # of the request that is still arriving
        self._missing = 0  # bytes of its body; of a chunked one, unknown: -1
        self._used = False
        self._timer: asyncio.TimerHandle | None = None  # a stream is open

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._ended()

    def data_received(self, data: bytes) -> None:
        self._pieces.append(data)
        if not self._head:
            whole = b"".join(self._pieces)
            head, found, body = whole.partition(b"\r\n\r\n")
            if not found:
                return
            length = _LENGTH.search(head)
            self._head, self._pieces = head, [body]
            self._missing = -1 if _CHUNKED.search(head) else int(length[1]) if length else 0
            data = body
        if self._missing >= 0:
            self._missing -= len(data)
            whole_body = self._missing <= 0
        else:
            whole_body = b"".join(self._pieces[-2:]).endswith(_END)
        if whole_body:
            target, body = self._head.split(b" ", 2)[1], b"".join(self._pieces)
            self._head, self._pieces, self._missing = b"", [], 0
            self._answer(target, body)

    def _answer(self, target: bytes, body: bytes) -> None:
        if target.endswith(b"/responses"):
            self._counts.requests += 1
            self._counts.connects += not self._used
            self._used = True
            self._play(Play.asked(body))
        elif target == b"/counts":
            self._json(self._counts.told())
        else:
            self._json(self._catalogue)

    def _json(self, content: bytes) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        self._transport.write(head % len(content) + content)

    def _play(self, play: Play) -> None:
        opening, deltas, closing = events(play.kind, play.count)
        head = _STREAM + (b"Connection: close\r\n\r\n" if play.closes else b"\r\n")
        if not play.rate and not play.wait:
            self._transport.write(b"".join([head, opening, *deltas, closing, _END]))
            if play.closes:
                self._transport.close()
            return
        self._counts.open += 1
        self._transport.write(head + opening)
        # Streams that began together would wake the server once for all of them: life spreads them.
        period = 1 / play.rate if play.rate else 0.0
        spread = self._counts.requests * _GOLDEN % 1 * period
        start, each = self._loop.time() + play.wait / 1000 + spread, iter(deltas)

        def step(number: int) -> None:
            delta = next(each, None)
            if delta is None:
                self._timer = None
                self._ended()
                self._transport.write(closing + _END)
                return
            self._transport.write(delta)
            self._timer = self._loop.call_at(start + (number + 1) * period, step, number + 1)

        self._timer = self._loop.call_at(start, step, 0)

    def _ended(self) -> None:
        self._counts.open -= 1
        self._counts.closed = time.monotonic()


async def main(folder: Path) -> None:
    counts, catalogue = Counts(), CATALOGUE.read_bytes()
    loop = asyncio.get_running_loop()

    async def listening(context: ssl.SSLContext | None) -> int:
        server = await loop.create_server(
            lambda: Connection(counts, catalogue), "127.0.0.1", 0, backlog=2048, ssl=context
        )
        port: int = server.sockets[0].getsockname()[1]
        return port

    secure = Authority(folder).server(NAME)
    print(await listening(None), await listening(secure), flush=True)
    await loop.create_future()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
