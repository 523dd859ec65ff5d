"""A hop on loopback between the official client and a server, which records what the client sends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

_READ = 1 << 16
_HEAD_END = b"\r\n\r\n"
_MAX_HEAD = 1 << 16
_REFUSAL = (
    b"HTTP/1.1 426 Upgrade Required\r\ncontent-type: application/json\r\n"
    b"content-length: 29\r\nconnection: close\r\n\r\n"
    b'{"detail":"Upgrade Required"}'
)


class Hop:
    """Relays each connection to `target`, and keeps the client's bytes.

    Without `sockets` it answers an upgrade with 426, after which the client takes plain HTTP.
    """

    def __init__(self, target: str, *, sockets: bool) -> None:
        parts = urlsplit(target)
        self._host, self._port = str(parts.hostname), int(parts.port or 80)
        self._sockets = sockets
        self._tasks: set[asyncio.Task[None]] = set()
        self.connections: list[list[bytes]] = []  # the client's bytes, in chunks
        self.url = ""

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Hop]:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            # A client that breaks off is judged by what it sent.
            with suppress(OSError, asyncio.CancelledError):
                await self._relay(reader, writer)
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        log: list[bytes] = []
        self.connections.append(log)
        head = await _read_head(reader)
        log.append(head)
        if not self._sockets and b"\r\nupgrade: websocket" in head.lower():
            writer.write(_REFUSAL)
            await writer.drain()
            return
        back, forth = await asyncio.open_connection(self._host, self._port)
        try:
            forth.write(head)
            async with asyncio.TaskGroup() as group:
                group.create_task(_pump(reader, forth, log))
                group.create_task(_pump(back, writer, []))
        finally:
            forth.close()


async def _read_head(reader: asyncio.StreamReader) -> bytes:
    """What comes first, with the whole head of the first request in it."""
    head = b""
    while _HEAD_END not in head and len(head) < _MAX_HEAD:
        piece = await reader.read(_READ)
        if not piece:
            break
        head += piece
    return head


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter, log: list[bytes]) -> None:
    with suppress(OSError):
        while piece := await source.read(_READ):
            log.append(piece)
            sink.write(piece)
            await sink.drain()
        sink.write_eof()
