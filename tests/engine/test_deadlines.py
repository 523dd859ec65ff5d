"""A deadline counts the time in which the process ran."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.virtual_time import hurried

from codexapi_engine.http.deadlines import GRACE, deadline


@pytest.mark.parametrize("seconds", [5.0, None])
def test_what_comes_while_the_process_is_stopped_is_read_first(seconds: float | None) -> None:
    async def story() -> str:
        loop: Any = asyncio.get_running_loop()
        answer = loop.create_future()

        def stopped() -> None:
            loop.now += 60
            loop.call_soon(answer.set_result, "here")

        loop.call_later(1, stopped)
        async with deadline(seconds):
            return str(await answer)

    assert hurried(story()) == "here"


@pytest.mark.parametrize(("stopped", "ends"), [(0.0, 5.0), (60.0, 61.0 + GRACE)])
def test_what_does_not_come_ends_at_its_time(stopped: float, ends: float) -> None:
    async def story() -> float:
        loop: Any = asyncio.get_running_loop()
        loop.call_later(1, lambda: setattr(loop, "now", loop.now + stopped))
        with pytest.raises(TimeoutError):
            async with deadline(5):
                await asyncio.Event().wait()
        return float(loop.time())

    assert hurried(story()) == pytest.approx(ends)
