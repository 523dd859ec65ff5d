"""Which connections the transport keeps, and which it closes."""

from __future__ import annotations

import asyncio

import pytest
from tests.engine.transports import COMPLETED, CREATED, DELTA, GOOD, ask, on_a_line, to
from tests.faulty import (
    HOLD,
    LAST_CHUNK,
    FaultyBackend,
    Script,
    chunk,
    endless,
    head,
)

from codexapi_engine.http.client import Transport
from codexapi_engine.http.network import Network


async def test_a_connection_is_used_again_after_a_stream_that_was_read_to_its_end() -> None:
    async with FaultyBackend(otherwise=GOOD) as backend, to(backend) as transport:
        for _ in range(5):
            assert len(await ask(transport)) == 3
            await drained(transport)
        assert (len(backend.requests), backend.opened) == (5, 1)


async def drained(transport: Transport) -> None:
    await asyncio.gather(*transport._drains)


async def test_for_a_stream_that_came_whole_nothing_is_drained() -> None:
    network, transport, events = await on_a_line()
    async with events:
        network.receive(chunk(COMPLETED) + LAST_CHUNK)
        assert len(await events.batch()) == 1
    assert not transport._drains
    assert not network.line.aborted
    await transport.aclose()


async def test_a_connection_is_used_again_when_its_end_comes_a_little_later() -> None:
    later = asyncio.Event()
    script: Script = [head(), chunk(CREATED + COMPLETED), later, LAST_CHUNK]
    async with FaultyBackend(script, GOOD) as backend, to(backend) as transport:
        assert len(await ask(transport)) == 2
        later.set()
        await drained(transport)
        await ask(transport)
        assert backend.opened == 1


async def test_leaving_a_stream_midway_ends_it_at_the_backend() -> None:
    async with FaultyBackend([head(), chunk(CREATED), HOLD]) as backend, to(backend) as transport:
        async with await transport.stream("/responses", {}) as events:
            await events.batch()
            await events.aclose()
            await backend.until(lambda: not backend.open)


@pytest.mark.parametrize(
    "script",
    [[HOLD], [head()[:30], HOLD], [head(), HOLD], [head(), chunk(CREATED), HOLD],
     [head(), chunk(CREATED), endless(chunk(DELTA))]],
)  # fmt: skip
async def test_a_cancelled_request_ends_at_the_backend(script: Script) -> None:
    async with FaultyBackend(script) as backend, to(backend) as transport:
        asking = asyncio.create_task(ask(transport))
        await backend.until(lambda: len(backend.requests) == 1)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await backend.until(lambda: not backend.open)


async def test_two_hundred_cancelled_requests_leave_nothing_behind() -> None:
    scripts: list[Script] = [[HOLD], [head(), HOLD], [head(), chunk(CREATED), HOLD]]
    storm = [scripts[number % 3] for number in range(200)]
    async with FaultyBackend(*storm, otherwise=GOOD) as backend, to(backend) as transport:
        asking = [asyncio.create_task(ask(transport)) for _ in storm]
        await backend.until(lambda: len(backend.requests) == 200)
        for number, task in enumerate(asking):
            task.cancel()
            if number % 7 == 0:
                await asyncio.sleep(0)
        await asyncio.gather(*asking, return_exceptions=True)
        await backend.until(lambda: not backend.open)
        assert len(await ask(transport)) == 3
        await drained(transport)
        assert len(backend.open) == 1
        assert (len(pool(transport)._open), idle(transport)) == (1, 1), "a ghost in the pool"


def pool(transport: Transport) -> Network:
    assert isinstance(transport._http, Network)
    return transport._http


def idle(transport: Transport) -> int:
    return sum(map(len, pool(transport)._idle.values()))


async def test_requests_cancelled_at_any_step_leave_nothing_behind() -> None:
    for steps in range(40):
        async with FaultyBackend(otherwise=GOOD) as backend, to(backend) as transport:
            asking = [asyncio.create_task(ask(transport)) for _ in range(4)]
            for _ in range(steps):
                await asyncio.sleep(0)
            for task in asking:
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)
            assert len(await ask(transport)) == 3
            await drained(transport)
            assert len(pool(transport)._open) == idle(transport), steps
            await backend.until(lambda: len(backend.open) == idle(transport))


async def test_more_streams_than_a_pool_of_a_hundred_run_at_once() -> None:
    go = asyncio.Event()
    script: Script = [head(), go, chunk(COMPLETED), LAST_CHUNK]
    async with FaultyBackend(otherwise=script) as backend, to(backend) as transport:
        asking = [asyncio.create_task(ask(transport)) for _ in range(150)]
        await backend.until(lambda: len(backend.requests) == 150)
        go.set()
        assert {len(events) for events in await asyncio.gather(*asking)} == {1}


async def test_closing_the_transport_ends_what_is_still_drained() -> None:
    async with FaultyBackend([head(), chunk(COMPLETED), HOLD]) as backend:
        async with to(backend) as transport:
            await ask(transport)
        await backend.until(lambda: not backend.open)
