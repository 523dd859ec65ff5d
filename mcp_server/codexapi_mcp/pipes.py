"""Reads and writes the messages on stdin and stdout.

Both belong to the protocol alone: while it is served, other readers of stdin get end of file, and
other writers to stdout write to stderr.
"""

from __future__ import annotations

import asyncio
import os
import select
import sys
from collections.abc import AsyncIterator, Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import asynccontextmanager, suppress
from threading import Thread
from typing import TypeAlias

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.os.win32.utilities import rebind_std_handle_to_fd
from mcp.shared.message import SessionMessage
from mcp.types import JSONRPCMessage

from codexapi_engine.bounds import MAX_BODY_BYTES

from .messages import EDGE, InvalidMessage, LongLine, parse, serialized

READ_SIZE = 64 * 1024

RawLine: TypeAlias = bytes | LongLine
Incoming: TypeAlias = MemoryObjectReceiveStream[SessionMessage | Exception]
Outgoing: TypeAlias = MemoryObjectSendStream[SessionMessage]


@asynccontextmanager
async def pipes() -> AsyncIterator[tuple[Incoming, Outgoing, Sink]]:
    """The two streams that the SDK serves, and where the one leads. The incoming one ends with
    stdin, and when nobody reads stdout any more."""
    source, sink = _private(0), Sink(_private(1))
    incoming, read = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    write, outgoing = anyio.create_memory_object_stream[SessionMessage](0)
    async with anyio.create_task_group() as tasks:
        reading = anyio.CancelScope()

        async def receive() -> None:
            with reading, suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
                async with incoming:
                    async for message in _messages(source, sink):
                        await incoming.send(SessionMessage(message))

        async def send() -> None:
            async with outgoing:
                async for item in outgoing:
                    await sink.put(serialized(item.message))
                    if sink.is_gone:
                        reading.cancel()

        tasks.start_soon(receive)
        tasks.start_soon(send)
        yield read, write, sink


class Sink:
    """Writes complete lines in order, to a pipe that may be closed."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._turn = anyio.Lock()
        self.is_gone = False

    async def put(self, line: bytes) -> None:
        async with self._turn:
            if self.is_gone:
                return
            try:
                await anyio.to_thread.run_sync(self._write, line)
            except OSError:  # the editor closed the pipe
                self.is_gone = True

    def _write(self, line: bytes) -> None:
        rest = memoryview(line)
        while rest:
            try:
                rest = rest[os.write(self.descriptor, rest) :]
            except BlockingIOError:
                select.select([], [self.descriptor], [])


async def _messages(source: int, sink: Sink) -> AsyncIterator[JSONRPCMessage]:
    """Reads messages; invalid ones are answered here."""
    async for line in _lines(source):
        try:
            message = parse(line)
        except InvalidMessage as error:
            for answer in error.answers():
                await sink.put(answer)
            if sink.is_gone:
                return
        else:
            if message is not None:
                yield message


async def _lines(source: int) -> AsyncIterator[RawLine]:
    """Read by a thread of our own: none of a pool may be left blocked when the process ends."""
    loop = asyncio.get_running_loop()
    put, get = anyio.create_memory_object_stream[RawLine](0)

    def read() -> None:
        with suppress(RuntimeError, CancelledError, anyio.BrokenResourceError):  # stdout is closed
            for line in split(_read_pieces(source)):
                asyncio.run_coroutine_threadsafe(put.send(line), loop).result()
            loop.call_soon_threadsafe(put.close)

    Thread(target=read, name="stdin", daemon=True).start()
    async with get:
        async for line in get:
            yield line


def _read_pieces(descriptor: int) -> Iterator[bytes]:
    while True:
        try:
            piece = os.read(descriptor, READ_SIZE)
        except BlockingIOError:
            select.select([descriptor], [], [])
            continue
        except OSError:  # a terminal that is gone
            return
        if not piece:
            return
        yield piece


def split(pieces: Iterable[bytes], most: int = MAX_BODY_BYTES) -> Iterator[RawLine]:
    """The lines of a text that comes in pieces."""
    line = _Collector(most)
    for piece in pieces:
        *ended, rest = piece.split(b"\n")
        for end in ended:
            line.add(end)
            yield line.whole()
            line = _Collector(most)
        line.add(rest)
    if line.size:
        yield line.whole()


class _Collector:
    """A line as far as it has come; of one that is too long no more is kept than its ends."""

    def __init__(self, most: int) -> None:
        self.size = 0
        self._most = most
        self._parts: list[bytes] = []
        self._head: bytes | None = None

    def add(self, part: bytes) -> None:
        self.size += len(part)
        self._parts.append(part)
        if self.size <= self._most:
            return
        kept = b"".join(self._parts)
        if self._head is None:
            self._head = kept[:EDGE]
        self._parts = [kept[-EDGE:]]

    def whole(self) -> RawLine:
        if self._head is not None:
            return LongLine(self._head, b"".join(self._parts))
        try:
            return b"".join(self._parts)
        except MemoryError:
            head, tail = self._parts[0], b"".join(self._parts[-EDGE // READ_SIZE - 1 :])
        return LongLine(head[:EDGE], tail[-EDGE:], fits=False)


def _private(descriptor: int) -> int:
    """A copy of stdin or stdout for us alone; the number itself leads elsewhere from now on."""
    nothing, low = os.open(os.devnull, os.O_RDWR), list[int]()
    while nothing <= 2:  # a standard stream that is closed: its number must not lead to the wire
        low.append(nothing)
        nothing = os.dup(nothing)
    copy = os.dup(descriptor)
    os.dup2(nothing if descriptor == 0 else 2, descriptor)
    os.close(nothing)
    if sys.platform == "win32":
        with suppress(OSError):
            rebind_std_handle_to_fd(descriptor)
    return copy
