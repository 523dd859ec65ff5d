"""The line before the backend, in virtual time."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.virtual_time import hurried

from codexapi_engine.bounds import MAX_QUEUE_WAIT
from codexapi_engine.errors import InvalidRequest, Unavailable
from codexapi_engine.http.concurrency import ConcurrencyLimit


def test_without_a_limit_nobody_waits() -> None:
    async def story() -> None:
        turns = ConcurrencyLimit(None)
        for _ in range(1000):
            await turns.take(8)
        turns.give()
        assert asyncio.get_running_loop().time() == 0

    hurried(story())


def test_who_comes_too_late_waits_and_is_called_in_order() -> None:
    async def story() -> list[str]:
        turns, seen = ConcurrencyLimit(2), list[str]()

        async def one(name: str, seconds: float) -> None:
            await turns.take()
            seen.append(name)
            await asyncio.sleep(seconds)
            turns.give()

        await asyncio.gather(one("a", 5), one("b", 3), one("c", 1), one("d", 1))
        assert asyncio.get_running_loop().time() == 5
        return seen

    assert hurried(story()) == ["a", "b", "c", "d"]


def test_patience_ends() -> None:
    async def story() -> None:
        turns = ConcurrencyLimit(1)
        await turns.take()
        with pytest.raises(Unavailable) as caught:
            await turns.take()
        assert asyncio.get_running_loop().time() == MAX_QUEUE_WAIT
        assert (caught.value.status, caught.value.code) == (503, "too_many_streams")
        assert caught.value.retry_after
        turns.give()
        await turns.take()  # at once: the line is empty again

    hurried(story())


def test_several_turns_are_taken_together_or_not_at_all() -> None:
    """Else two requests of three runs each could wait for one another, with two turns each."""

    async def story() -> float:
        turns = ConcurrencyLimit(4)

        async def three() -> None:
            await turns.take(3)
            await asyncio.sleep(1)
            for _ in range(3):
                turns.give()

        await asyncio.gather(three(), three(), three())
        return asyncio.get_running_loop().time()

    assert hurried(story()) == 3


def test_large_request_is_not_overtaken_for_ever() -> None:
    async def story() -> list[str]:
        turns, seen = ConcurrencyLimit(2), list[str]()
        await turns.take()

        async def take(name: str, count: int) -> None:
            await turns.take(count)
            seen.append(name)

        waiting = [asyncio.create_task(take("two", 2)), asyncio.create_task(take("one", 1))]
        await asyncio.sleep(1)
        assert seen == []  # one would have its turn, but it came later
        turns.give()
        await asyncio.sleep(1)
        assert seen == ["two"]
        turns.give()
        await asyncio.gather(*waiting)
        return seen

    assert hurried(story()) == ["two", "one"]


def test_turn_of_someone_who_leaves_as_it_is_called_is_not_lost() -> None:
    async def story() -> None:
        turns = ConcurrencyLimit(1)
        await turns.take()
        waiting = asyncio.create_task(turns.take())
        await asyncio.sleep(1)
        turns.give()
        waiting.cancel()  # it has been called, and has not heard it yet
        await asyncio.wait({waiting})
        assert waiting.cancelled()
        await asyncio.wait_for(turns.take(), timeout=1)

    hurried(story())


def test_more_than_there_are_is_refused_at_once() -> None:
    async def story() -> None:
        with pytest.raises(InvalidRequest, match="--max-streams") as caught:
            await ConcurrencyLimit(4).take(5)
        assert caught.value.param == "n"
        assert asyncio.get_running_loop().time() == 0

    hurried(story())


@given(
    limit=st.integers(1, 4),
    comers=st.lists(
        st.tuples(
            st.integers(1, 4),  # turns
            st.integers(0, 50),  # seconds before it comes
            st.integers(0, 40),  # that it keeps them
            st.one_of(st.none(), st.integers(0, 40)),  # after which it leaves, wherever it is
        ),
        max_size=12,
    ),
)
def test_no_turn_is_lost_or_made_whoever_leaves_when(
    limit: int, comers: list[tuple[int, int, int, int | None]]
) -> None:
    async def story() -> None:
        turns, in_use = ConcurrencyLimit(limit), 0

        async def comer(count: int, comes: int, keeps: int) -> None:
            nonlocal in_use
            await asyncio.sleep(comes)
            try:
                await turns.take(count)
            except (Unavailable, InvalidRequest):
                return
            in_use += count
            assert in_use <= limit
            try:
                await asyncio.sleep(keeps)
            finally:
                in_use -= count
                for _ in range(count):
                    turns.give()

        tasks = []
        for count, comes, keeps, leaves in comers:
            task = asyncio.create_task(comer(count, comes, keeps))
            if leaves is not None:
                asyncio.get_running_loop().call_later(comes + leaves, task.cancel)
            tasks.append(task)
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            assert outcome is None or isinstance(outcome, asyncio.CancelledError)
        await asyncio.wait_for(turns.take(limit), timeout=0.001)  # all of them are there

    hurried(story())
