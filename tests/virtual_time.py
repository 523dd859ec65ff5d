"""Hours in no time: an event loop whose clock jumps whenever nothing is left to do.

For stories without a network: a byte on its way is nothing to do, and would come too late.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def hurried(story: Coroutine[Any, Any, T]) -> T:
    """Runs a story to its end. Its sleeps and time limits pass at once, in their order."""
    with runner() as one:
        return one.run(story)


def runner() -> asyncio.Runner:
    """For stories that go on: its loop lives from one `run` to the next."""
    return asyncio.Runner(loop_factory=_Loop)


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.now = 0.0
        super().__init__(_Selector(self))

    def time(self) -> float:
        return self.now

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """Without a limit: threads live in true time."""
        await super().shutdown_default_executor()


class _Selector(selectors.DefaultSelector):
    def __init__(self, loop: _Loop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        found = super().select(0)
        if not found:
            self._loop.now += timeout
        return found
