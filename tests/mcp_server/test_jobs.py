from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from tests.clock import Clock

from codexapi_engine.bounds import CALL_WAIT, RESULT_LIFETIME
from codexapi_mcp.jobs import Jobs


class Bench:
    """Work that ends when the test says so."""

    def __init__(self) -> None:
        self.clock = Clock(0.0)
        self.jobs: Jobs[int] = Jobs(clock=self.clock)
        self.begun = 0
        self.may_end = asyncio.Event()
        self.cancelled = 0

    def work(self) -> Callable[[], Coroutine[Any, Any, int]]:
        async def work() -> int:
            self.begun += 1
            number = self.begun
            try:
                await self.may_end.wait()
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
            return number

        return work

    async def run(self, key: str) -> tuple[int, bool]:
        """A call that has its answer."""
        async with self.jobs.result(key, self.work()) as made:
            return made

    async def abandoned(self, key: str = "a") -> None:
        """A call whose client has gone."""
        call = asyncio.create_task(self.run(key))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call


async def test_a_result_that_arrived_is_not_given_again() -> None:
    bench = Bench()
    bench.may_end.set()
    assert await bench.run("a") == (1, False)
    assert await bench.run("a") == (2, False)


async def test_a_job_outlives_its_call_and_the_same_call_gets_it_once() -> None:
    bench = Bench()
    await bench.abandoned()
    assert (bench.begun, bench.cancelled) == (1, 0)
    again = asyncio.create_task(bench.run("a"))
    await asyncio.sleep(0)
    bench.may_end.set()
    assert await again == (1, True)
    assert await bench.run("a") == (2, False)


async def test_a_call_that_is_cancelled_while_its_answer_is_made_leaves_the_result() -> None:
    bench, records = Bench(), list[tuple[str, int, bool]]()
    bench.jobs = Jobs(clock=bench.clock, record=lambda *record: records.append(record))
    bench.may_end.set()
    answering = asyncio.Event()

    async def call() -> None:
        async with bench.jobs.result("a", bench.work()):
            answering.set()
            await asyncio.Event().wait()

    for _ in range(2):
        answering.clear()
        task = asyncio.create_task(call())
        await answering.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert records == [("a", 1, False)]
    assert await bench.run("a") == (1, True)
    assert await bench.run("a") == (2, False)


async def test_another_call_gets_a_job_of_its_own() -> None:
    bench = Bench()
    await bench.abandoned()
    bench.may_end.set()
    assert await bench.run("b") == (2, False)


async def test_a_finished_job_waits_ten_minutes() -> None:
    bench = Bench()
    await bench.abandoned("a")
    await bench.abandoned("b")
    bench.may_end.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    bench.clock.now += RESULT_LIFETIME
    assert await bench.run("a") == (1, True)
    bench.clock.now += 1
    assert await bench.run("b") == (3, False)


async def test_a_result_that_took_long_may_not_have_arrived() -> None:
    bench = Bench()
    call = asyncio.create_task(bench.run("a"))
    await asyncio.sleep(0)
    bench.clock.now += CALL_WAIT + 1
    bench.may_end.set()
    assert await call == (1, False)
    assert await bench.run("a") == (1, True)
    assert await bench.run("a") == (2, False)


async def test_a_job_that_failed_is_tried_anew() -> None:
    jobs: Jobs[int] = Jobs()

    async def fail() -> int:
        raise ValueError("no")

    for _ in range(2):
        with pytest.raises(ValueError, match="no"):
            async with jobs.result("a", fail):
                pass


async def test_the_end_cancels_what_is_running() -> None:
    bench = Bench()
    await bench.abandoned()
    await bench.jobs.aclose()
    assert bench.cancelled == 1


class Heavy:
    """A result that one can see vanish."""


async def test_a_result_that_nobody_comes_for_is_let_go_without_another_call() -> None:
    jobs: Jobs[Heavy] = Jobs(keep=0.0)
    made: list[weakref.ref[Heavy]] = []

    async def work() -> Heavy:
        heavy = Heavy()
        made.append(weakref.ref(heavy))
        await asyncio.sleep(0)
        return heavy

    async def run() -> None:
        async with jobs.result("a", work):
            pass

    call = asyncio.create_task(run())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    call.cancel()
    await asyncio.wait({call})
    del call
    for _ in range(10):
        await asyncio.sleep(0)
    assert made
    assert made[0]() is None
