"""A client that sends exactly the bytes it is told, and reads what comes back, write by write."""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

JsonObject = dict[str, Any]
JSON_TYPE = "Content-Type: application/json"


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]  # names in lower case
    body: bytes = b""

    @property
    def json(self) -> JsonObject:
        assert self.headers["content-type"] == "application/json", self
        value: JsonObject = json.loads(self.body)
        return value

    @property
    def error(self) -> JsonObject:
        """The error object. Fails unless the body is one, whole and alone."""
        told = self.json
        assert list(told) == ["error"], told
        error: JsonObject = told["error"]
        assert list(error)[:4] == ["message", "type", "param", "code"], error
        assert isinstance(error["message"], str)
        assert error["message"]
        assert isinstance(error["type"], str)
        return error

    def refused(self, status: int, code: str | None) -> JsonObject:
        """The error object of an answer with just this status and code."""
        assert (self.status, self.error["code"]) == (status, code), self
        assert self.headers["x-request-id"].startswith("req_")
        return self.error


class Connection:
    """One connection. Each piece of a chunked body is one write of the server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def head(self) -> Reply:
        """Status and headers, as soon as they are there."""
        first, *lines = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in lines if line)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        return Reply(int(first.split()[1]), headers)

    async def piece(self) -> bytes:
        """The next piece of a chunked body; empty at its end."""
        size = int(await self._reader.readline(), 16)
        piece = await self._reader.readexactly(size)
        assert await self._reader.readline() == b"\r\n"
        return piece

    async def reply(self) -> Reply:
        """The next answer, whole."""
        told = await self.head()
        body = b"".join([piece async for piece in self.body(told)])
        return Reply(told.status, told.headers, body)

    async def body(self, told: Reply) -> AsyncIterator[bytes]:
        """What follows a head."""
        if "chunked" in told.headers.get("transfer-encoding", ""):
            async for piece in self.pieces():
                yield piece
        else:
            yield await self._reader.readexactly(int(told.headers["content-length"]))

    async def pieces(self) -> AsyncIterator[bytes]:
        while piece := await self.piece():
            yield piece

    async def ended(self) -> bool:
        """Whether nothing more came before the server closed."""
        try:
            return await self._reader.read(1) == b""
        except ConnectionResetError:
            return True

    async def until(self, data: bytes) -> bytes:
        """What comes up to these bytes, and they."""
        return await self._reader.readuntil(data)

    async def some(self) -> bytes:
        """Some of what has come."""
        return await self._reader.read(2**20)

    def end(self) -> None:
        """Sends nothing more, and goes on reading."""
        self._writer.write_eof()

    def leave(self) -> None:
        """Gone, without a word."""
        self._writer.transport.abort()


@asynccontextmanager
async def connect(port: int, *, limit: int = 2**16) -> AsyncIterator[Connection]:
    """`limit` bytes of an answer are taken in before they are asked for."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=limit)
    try:
        yield Connection(reader, writer)
    finally:
        writer.transport.abort()
        try:
            await writer.wait_closed()
        except OSError:
            pass


def head(line: str, *headers: str) -> bytes:
    """The head of a request, with just these headers."""
    return "\r\n".join([f"{line} HTTP/1.1", *headers, "", ""]).encode("latin-1")


def post(path: str, body: JsonObject | bytes, *headers: str, host: str = "127.0.0.1") -> bytes:
    """A POST of JSON, with further headers. One that names a media type is the only one."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    given = [line.partition(":")[0].lower() for line in headers]
    kind = () if "content-type" in given else (JSON_TYPE,)
    length = f"Content-Length: {len(data)}"
    return head(f"POST {path}", f"Host: {host}", *kind, length, *headers) + data


def get(path: str, *headers: str, host: str = "127.0.0.1") -> bytes:
    return head(f"GET {path}", f"Host: {host}", *headers)


def masked(payload: bytes, opcode: int = 0x81) -> bytes:
    """A frame of a WebSocket's client."""
    size = len(payload)
    if size < 126:
        head = struct.pack("!BB", opcode, 0x80 | size)
    elif size < 1 << 16:
        head = struct.pack("!BBH", opcode, 0x80 | 126, size)
    else:
        head = struct.pack("!BBQ", opcode, 0x80 | 127, size)
    return head + bytes(4) + payload  # a mask of zeros changes nothing
