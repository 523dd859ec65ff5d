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
        self.threads = 0  # calls that a store's own thread works on
        super().__init__(_Selector(self))

    def time(self) -> float:
        return self.now

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Any, *args: Any
    ) -> asyncio.Future[Any]:
        """The clock stands still for the thread of a store, as if its disk took no time. Threads of
        the default executor may be stuck on purpose: for them it goes on."""
        future: asyncio.Future[Any] = super().run_in_executor(executor, func, *args)
        if executor is not None:
            self.threads += 1
            future.add_done_callback(self._returned)
        return future

    def _returned(self, future: object) -> None:
        self.threads -= 1

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
        if self._loop.threads:
            return super().select(None)
        found = super().select(0)
        if not found:
            self._loop.now += timeout
        return found
