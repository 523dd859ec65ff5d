"""A transport before a backend that a script plays, and three ways of reading its stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from tests.faulty import (
    HOLD,
    LAST_CHUNK,
    FaultyBackend,
    Script,
    chunk,
    head,
    stream,
)
from tests.lines import Lines
from tests.signers import Unsigned

from codexapi_engine.errors import CodexError
from codexapi_engine.http.client import Transport
from codexapi_engine.http.event_stream import EventStream
from codexapi_engine.http.messages import HttpRequest, HttpResponse
from codexapi_engine.protocol.sse import Event
from codexapi_engine.settings import Settings
from codexapi_engine.telemetry import FinishedRun, Observer, RunMetrics

CREATED = b'event: response.created\ndata: {"type":"response.created","response":{}}\n\n'
DELTA = b'data: {"type":"response.output_text.delta","delta":"a\xe2\x80\xa8b"}\n\n'
COMPLETED = b'data: {"type":"response.completed","response":{"id":"resp_1","output":[]}}\n\n'
GOOD: Script = [stream(CREATED, DELTA, COMPLETED)]
SHORT = 0.3
"""Seconds of silence that some tests here have to sit out."""


def patience(script: Script) -> float:
    """Short only where the silence is the matter: elsewhere a slow machine must not decide."""
    return SHORT if HOLD in script else 60.0


@asynccontextmanager
async def to(backend: FaultyBackend, **settings: Any) -> AsyncIterator[Transport]:
    transport = Transport(Settings(base_url=backend.url, **settings), Unsigned())
    try:
        yield transport
    finally:
        await transport.aclose()


async def ask(transport: Transport) -> list[Event]:
    """All events of one request."""
    async with await transport.stream("/responses", {"model": "m"}) as events:
        return [event async for event in events]


Batch = list[Event]
Read = Callable[[EventStream, list[Batch]], Coroutine[Any, Any, None]]


async def asked_for(stream: EventStream, got: list[Batch]) -> None:
    """Reads a stream to its end, batch by batch."""
    while events := await stream.batch(coalesce=True):
        got.append(events)


async def pushed(stream: EventStream, got: list[Batch]) -> None:
    """The same, without asking for any."""

    def on_events(events: Batch) -> bool:
        assert events
        got.append(events)
        return True

    assert not await stream.push(on_events)
    assert await stream.batch() == []
    assert not await stream.push(on_events)


async def by_turns(stream: EventStream, got: list[Batch]) -> None:
    """Both, one after the other."""

    def on_events(events: Batch) -> bool:
        got.append(events)
        return len(got) % 3 != 1

    while await stream.push(on_events) and (events := await stream.batch(coalesce=True)):
        got.append(events)


READERS = pytest.mark.parametrize("read", [asked_for, pushed, by_turns])


async def outcome(
    *scripts: Script, otherwise: Script | None = None, read: Read = asked_for, **settings: Any
) -> tuple[list[Event], CodexError | None, int]:
    """What comes of one request: its events, the error that ended them, and how often it was sent."""
    got: list[Batch] = []
    error: CodexError | None = None
    async with (
        FaultyBackend(*scripts, otherwise=otherwise) as backend,
        to(backend, **settings) as t,
    ):
        try:
            async with await t.stream("/responses", {"model": "m"}) as events:
                await read(events, got)
        except CodexError as told:
            error = told
        return (
            [one for batch in got for event in batch for one in event.each],
            error,
            len(backend.requests),
        )


class Answering:
    """Gives one response to every request."""

    def __init__(self, response: HttpResponse) -> None:
        self._response = response

    async def send(self, request: HttpRequest) -> HttpResponse:
        return self._response

    async def aclose(self) -> None:
        """Nothing is open."""


@dataclass
class Told:
    """What a reader had of a stream."""

    batches: list[list[bytes]]
    error: type[Exception] | None
    counted: list[FinishedRun]


class Runs(Observer):
    def __init__(self) -> None:
        self.ended: list[FinishedRun] = []

    def finished(self, run: FinishedRun) -> None:
        self.ended.append(run._replace(seconds=0, first_after=None, output_after=None))


async def on_a_line() -> tuple[Lines, Transport, EventStream]:
    """A stream of which nothing has come yet."""
    network = Lines()
    transport = Transport(Settings(), Unsigned(), http=network)
    opening = asyncio.create_task(transport.stream("/responses", {}))
    await asyncio.sleep(0)
    network.receive(head())
    return network, transport, await opening


async def told(pieces: list[bytes], read: Read, *, whole: bool = True) -> Told:
    """What a reader has of these pieces, each of them a network read. The body ends with them, or
    only the connection does."""
    runs, got, error = Runs(), list[Batch](), None
    network, transport, stream = await on_a_line()
    async with stream:
        stream.watch = RunMetrics(runs)
        reading = asyncio.create_task(read(stream, got))
        for piece in pieces:
            await asyncio.sleep(0)
            network.receive(chunk(piece))
        await asyncio.sleep(0)
        if whole:
            network.receive(LAST_CHUNK)
        else:
            network.leave()
        try:
            await reading
        except CodexError as caught:
            error = type(caught)
    await transport.aclose()
    return Told([[event.raw for event in batch] for batch in got], error, runs.ended)
