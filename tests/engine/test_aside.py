"""Work on a thread: what it takes and makes is nobody's but its caller's."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Iterator

import pytest

from codexapi_engine.aside import aside


class Body:
    """Something large."""


@pytest.fixture
def slow_threads() -> Iterator[None]:
    """A thread that has told its result may go on only when the loop waits."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(60)
    yield
    sys.setswitchinterval(usual)


@pytest.mark.usefixtures("slow_threads")
async def test_a_thread_has_let_go_of_its_work_when_the_result_is_there() -> None:
    for _ in range(100):
        given = Body()
        made = await aside(True, lambda _: Body(), given)
        of_given, of_made = weakref.ref(given), weakref.ref(made)
        del given, made
        assert (of_given(), of_made()) == (None, None)


async def test_a_failure_is_its_callers_too() -> None:
    with pytest.raises(ZeroDivisionError):
        await aside(True, lambda: 1 // 0)
