"""A stream whose events are pushed: each batch is taken within the network's own call."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from itertools import pairwise

import pytest
from tests.engine.transports import (
    COMPLETED,
    CREATED,
    DELTA,
    READERS,
    Batch,
    Read,
    asked_for,
    by_turns,
    on_a_line,
    pushed,
    told,
)
from tests.faulty import chunk
from tests.lines import cut
from tests.signers import Unsigned
from tests.wire_files import wire

from codexapi_engine.http.client import Transport
from codexapi_engine.http.in_process import in_process
from codexapi_engine.settings import Settings

NAMED = b'event: response.output_text.delta\ndata: {"delta":"a"}\n\n'
LITTLE = CREATED + NAMED + NAMED + COMPLETED
ENDS = {
    "terminal": LITTLE,
    "more behind it": LITTLE + DELTA,
    "no terminal": CREATED + NAMED,
    "a terminal without its blank line": LITTLE[:-2],
    "half an event": LITTLE[:-20],
    "not UTF-8": CREATED + b"data: \xff\xfe\n\n" + COMPLETED,
}


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("name", ENDS)
async def test_what_is_pushed_is_what_is_asked_for_wherever_it_is_cut(
    name: str, whole: bool
) -> None:
    data = ENDS[name]
    for at in range(1, len(data)):
        pieces = [data[:at], data[at:]]
        asked = await told(pieces, asked_for, whole=whole)
        assert await told(pieces, pushed, whole=whole) == asked
        assert await told(pieces, by_turns, whole=whole) == asked


@pytest.mark.parametrize("name", ["reasoning_summary", "failed_server_error", "unnamed_events"])
async def test_a_recorded_stream_is_pushed_as_it_is_asked_for(name: str) -> None:
    recorded = wire(name)
    chance = random.Random(name)
    ways = [cut(recorded, size) for size in (1, 2, 7, 100, 4096)]
    for _ in range(20):
        places = sorted(chance.sample(range(len(recorded)), 12))
        ways.append([recorded[a:b] for a, b in pairwise([0, *places, len(recorded)])])
    for pieces in ways:
        asked = await told(pieces, asked_for)
        assert asked.counted[0].events >= 3
        assert asked.counted[0].model, "as its last event told it"
        assert await told(pieces, pushed) == asked
        assert await told(pieces, by_turns) == asked


async def test_a_batch_is_pushed_before_any_task_has_run() -> None:
    network, transport, stream = await on_a_line()
    async with stream:
        got: list[Batch] = []

        def on_events(events: Batch) -> bool:
            got.append(events)
            return len(got) < 3

        pushing = asyncio.create_task(stream.push(on_events))
        await asyncio.sleep(0)
        network.receive(chunk(CREATED), chunk(DELTA), chunk(DELTA[:9]), chunk(DELTA[9:] + CREATED))
        network.receive(chunk(DELTA))
        assert [len(batch) for batch in got] == [1, 1, 2], "and no more when it has enough"
        assert await pushing
        assert [event.raw + b"\n\n" for event in await stream.batch()] == [DELTA]
    await transport.aclose()


async def test_what_the_callback_raises_is_raised_by_push() -> None:
    def on_events(events: Batch) -> bool:
        raise KeyError(len(events))

    network, transport, stream = await on_a_line()
    async with stream:
        network.receive(chunk(CREATED))
        await stream.batch()
        pushing = asyncio.create_task(stream.push(on_events))
        await asyncio.sleep(0)
        network.receive(chunk(DELTA + DELTA), chunk(COMPLETED))
        with pytest.raises(KeyError, match="2"):
            await pushing
        assert [event.type for event in await stream.batch()] == ["response.completed"]
    await transport.aclose()


@READERS
async def test_a_transport_that_cannot_push_is_read_all_the_same(read: Read) -> None:
    async def body() -> AsyncIterator[bytes]:
        for piece in cut(LITTLE + DELTA, 50):
            yield piece

    async def handle(*_: object) -> tuple[int, Mapping[str, str], AsyncIterator[bytes]]:
        return 200, {}, body()

    got: list[Batch] = []
    transport = Transport(Settings(), Unsigned(), http=in_process(handle))
    async with await transport.stream("/responses", {}) as stream:
        await read(stream, got)
    assert [event.type for batch in got for event in batch] == [
        "response.created", *["response.output_text.delta"] * 2, "response.completed",
    ]  # fmt: skip
    await transport.aclose()
