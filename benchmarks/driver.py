"""The client that measures: raw connections that only scan bytes.

Cheap, so that what it sees late is the server's and not its own.
"""

from __future__ import annotations

import asyncio
import json
import re
import struct
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from benchmarks.plays import MARK, MODEL, Play

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
_CLOSING = re.compile(rb"^HTTP/1\.0|\r\nconnection: *close", re.IGNORECASE)
_END = b"0\r\n\r\n"
_FRAME = b"\x81"
_LAST_EVENT = b'"response.completed"'
UPGRADE = (
    b"GET /v1/responses HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\n"
    b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
"""Frames may follow at once: our server reads them when it has answered."""

_AT_ONCE = 50
"""Connections that are opened together; more would wait in a listener's queue, and not in it."""


class Failed(Exception):
    """A server did not do what was asked: told in the report, in place of a figure."""


def request(road: str, play: Play, *, padding: int = 0) -> bytes:
    """The bytes of a request. Roads: `direct` (to the backend), `responses`, `chat`, `whole`,
    `messages`, `ollama`, and `socket`: a frame."""
    prompt = f"{play} {'as it was said ' * (padding // 15)}"
    if road in ("direct", "responses", "socket"):
        part = {"type": "input_text", "text": prompt}
        body = {
            "model": MODEL, "instructions": "Be brief.", "stream": True, "store": False,
            "input": [{"type": "message", "role": "user", "content": [part]}],
        }  # fmt: skip
    else:
        message = {"role": "user", "content": prompt}
        body = {"model": MODEL, "stream": road != "whole", "messages": [message]}
        if road == "messages":
            body["max_tokens"] = 32_000
    if play.is_call:
        schema = {"type": "object", "properties": {"text": {"type": "string"}}}
        tool = {"name": "note", "description": "Takes a note."}
        body["tools"] = [
            {**tool, "input_schema": schema}
            if road == "messages"
            else {"type": "function", "function": {**tool, "parameters": schema}}
        ]
    if road == "socket":
        return frame(json.dumps({"type": "response.create", **body}).encode())
    paths = {
        "direct": "/responses", "responses": "/v1/responses", "messages": "/v1/messages",
        "ollama": "/api/chat",
    }  # fmt: skip
    return _post(paths.get(road, "/v1/chat/completions"), json.dumps(body).encode())


def frame(payload: bytes) -> bytes:
    """A client's text frame, with a mask of zeros."""
    return struct.pack("!BBQ", _FRAME[0], 0x80 | 127, len(payload)) + bytes(4) + payload


def count_request(size: int) -> bytes:
    """The bytes of a request to count the tokens of some tools, of so many bytes."""
    schema = {"type": "object", "properties": {"text": {"type": "string"}}}
    tools = [
        {"name": f"note{n}", "description": "Takes a note. " * 60, "input_schema": schema}
        for n in range(size // 1000)
    ]
    body = {"model": MODEL, "messages": [{"role": "user", "content": "foo"}], "tools": tools}
    return _post("/v1/messages/count_tokens", json.dumps(body).encode())


def turn_request(play: Play, size: int) -> bytes:
    """The bytes of an agent's turn in Messages, of so many bytes: a system prompt, tools, and calls
    with their results."""
    schema = {
        "type": "object", "required": ["path"], "additionalProperties": False,
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "properties": {
            name: {"type": "string", "description": "Of a file. " * 12, "pattern": "^[^\\0]+$"}
            for name in ("path", "content", "encoding", "mode")
        },
    }  # fmt: skip
    tools = [
        {"name": f"tool{n}", "description": "Does as it is told. " * 30, "input_schema": schema}
        for n in range(size // 5000)
    ]
    system = [
        {"type": "text", "text": "Be brief and right. " * (size // 100)},
        {"type": "text", "text": "Today.", "cache_control": {"type": "ephemeral"}},
    ]
    messages: list[dict[str, object]] = []
    for n in range(size // 5500):
        call = {"type": "tool_use", "id": f"toolu_{n}", "name": "tool0", "input": {"path": "/a"}}
        result = {"type": "tool_result", "tool_use_id": f"toolu_{n}", "content": "A line.\n" * 250}
        messages += [
            {"role": "user", "content": "Go on."},
            {"role": "assistant", "content": [{"type": "text", "text": "I look at it."}, call]},
            {"role": "user", "content": [result]},
        ]
    body = {
        "model": MODEL, "max_tokens": 32_000, "stream": True, "system": system, "tools": tools,
        "messages": [*messages, {"role": "user", "content": str(play)}],
    }  # fmt: skip
    return _post("/v1/messages", json.dumps(body).encode())


def _post(path: str, body: bytes) -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Accept: */*\r\nAuthorization: Bearer unused\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


@dataclass(slots=True)
class Answer:
    began: float  # when the request was written
    first: float = 0.0  # when the first mark came
    ended: float = 0.0
    marks: int = 0
    unmarked: bytes = b""  # the end of what came without a mark, as an error does

    @property
    def first_ms(self) -> float:
        return (self.first - self.began) * 1000


class Client(asyncio.Protocol):
    """One connection, opened when it is first used and again when the server has closed it."""

    def __init__(self, port: int) -> None:
        # set once
        self._port = port
        self._loop = asyncio.get_running_loop()
        # moves
        self._transport: asyncio.Transport | None = None
        self._answer = Answer(0.0)
        self._head = b""  # of the answer; empty until it is whole
        self._tail = b""  # the last bytes: of the head that arrives, or of the body
        self._missing = -1  # bytes of the body, if it has said
        self._chunked = self._closing = False
        self._stalls = False
        self._is_socket = self._is_last = False  # what is read: frames, and the last of an answer
        self.token: asyncio.Future[None] = self._loop.create_future()
        self._done: asyncio.Future[None] = self._loop.create_future()

    async def ask(self, data: bytes, *, stall: bool = False) -> Answer:
        """The answer, when it has ended; with `stall`, when it has begun: nothing more is read."""
        await self.send(data, stall=stall)
        await (self.token if stall else self._done)
        return self._answer

    async def send(self, data: bytes, *, stall: bool = False) -> None:
        self._is_socket, self._is_last = data.startswith(_FRAME), False
        upgrades = self._is_socket and self._transport is None
        if self._transport is None:
            await self._loop.create_connection(lambda: self, "127.0.0.1", self._port)
        assert self._transport is not None
        self._head = _FRAME if self._is_socket and not upgrades else b""
        self._tail = b""
        self._stalls = stall
        self.token, self._done = self._loop.create_future(), self._loop.create_future()
        self._answer = Answer(time.perf_counter())
        self._transport.write(UPGRADE + data if upgrades else data)

    @property
    def marks(self) -> int:
        """How many have come so far."""
        return self._answer.marks

    def leave(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._head and self._closing and not (self._chunked or self._missing > 0):
            self._end()
        else:
            self._fail("closed too early")

    def data_received(self, data: bytes) -> None:
        if not self._head:
            head, found, data = (self._tail + data).partition(b"\r\n\r\n")
            if not found:
                self._tail = head
                return
            if (b" 101" if self._is_socket else b" 200") not in head[:13]:
                self._fail(head.partition(b"\r\n")[0].decode("latin-1"))
            self._begin(head)
        marks = data.count(MARK)
        if marks:
            if not self._answer.marks:
                self._answer.first = time.perf_counter()
                self._see()
            self._answer.marks += marks
        else:
            self._answer.unmarked = data[-300:]
        if self._is_socket:
            self._is_last = self._is_last or _LAST_EVENT in self._tail + data
            self._tail = data[-len(_LAST_EVENT) :]
            if self._is_last and data.endswith(b"}}"):
                self._end()
        elif self._chunked:
            self._tail = data[-5:] if len(data) >= 5 else (self._tail + data)[-5:]
            if self._tail == _END:
                self._end()
        elif self._missing >= 0:
            self._missing -= len(data)
            if self._missing <= 0:
                self._end()

    def _begin(self, head: bytes) -> None:
        self._head, self._tail = head, b""
        length = _LENGTH.search(head)
        self._missing = int(length[1]) if length else -1
        self._chunked = _CHUNKED.search(head) is not None
        self._closing = _CLOSING.search(head) is not None

    def _see(self) -> None:
        if self._stalls and self._transport is not None:
            self._transport.pause_reading()
        if not self.token.done():
            self.token.set_result(None)

    def _end(self) -> None:
        self._answer.ended = time.perf_counter()
        self._see()
        if self._closing and self._transport is not None:
            self._transport.abort()
            self._transport = None
        if not self._done.done():
            self._done.set_result(None)

    def _fail(self, reason: str) -> None:
        for waiting in (self.token, self._done):
            if not waiting.done():
                waiting.set_exception(Failed(reason))
                waiting.exception()  # so that nobody complains where nobody waits


async def one(port: int, data: bytes) -> Answer:
    """One answer, on a connection of its own."""
    client = Client(port)
    try:
        return await client.ask(data)
    finally:
        client.leave()


@asynccontextmanager
async def connections(port: int, count: int) -> AsyncIterator[list[Client]]:
    """So many of them, left at the end: what fails must not go on beside the next measure."""
    clients = [Client(port) for _ in range(count)]
    try:
        yield clients
    finally:
        for client in clients:
            client.leave()


@asynccontextmanager
async def began(
    port: int, data: bytes, count: int, *, stall: bool = False
) -> AsyncIterator[list[Client]]:
    """So many streams, each after its first delta; left at the end."""
    async with connections(port, count) as clients:
        for start in range(0, count, _AT_ONCE):
            await asyncio.gather(
                *(client.send(data, stall=stall) for client in clients[start : start + _AT_ONCE])
            )
        await asyncio.gather(*(client.token for client in clients))
        yield clients


def check(answer: Answer, play: Play) -> Answer:
    """Raises Failed if a delta is missing. More is no fault: some say the whole text again."""
    if answer.marks < play.marks:
        missing = f"{play.marks - answer.marks} of {play.marks} deltas are missing"
        raise Failed(f"{missing}; without a delta came {answer.unmarked.decode(errors='replace')}")
    return answer
