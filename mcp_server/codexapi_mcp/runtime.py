"""The objects that the tools use, and the progress, timeout and cancellation of a call.

The engine is loaded by the first call of a tool, not at the start of the server: editors measure
the time until a server answers, and some go on without a slow one.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from mcp.server.mcpserver import Context

from codexapi_engine.bounds import PROGRESS_INTERVAL
from codexapi_engine.errors import CodexError, Unavailable

from .jobs import Jobs
from .options import Options
from .unclaimed import Unclaimed

if TYPE_CHECKING:
    from codexapi_engine import Codex, Settings
    from codexapi_engine.storage import State

    from .images import ImageBatch

log = logging.getLogger("codexapi.mcp")


LINE = "codexapi.line"
"""Where an HTTP request's scope has the `Line` that it came by."""

T = TypeVar("T")


class ClientConnection:
    """The connection that a call came by. It ends when its client hangs up, and when the server is
    going down."""

    def __init__(self) -> None:
        self._end: asyncio.Future[CodexError | None] = asyncio.get_running_loop().create_future()

    def hang_up(self) -> None:
        if not self._end.done():
            self._end.set_result(None)

    def shut_down(self) -> None:
        if not self._end.done():
            self._end.set_result(Unavailable("codexapi is shutting down", code="shutting_down"))

    async def run_until_end(self, work: Coroutine[Any, Any, T]) -> T:
        """What the work gives; the end of the line is the end of the work."""
        task = asyncio.ensure_future(work)
        try:
            both: set[asyncio.Future[Any]] = {task, self._end}
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait({task})
            if not task.cancelled():
                task.exception()  # which asyncio would log if no task retrieves it
        if task.cancelled() and self._end.done() and (error := self._end.result()) is not None:
            raise error
        return task.result()


class Runtime:
    """As long as the server lives. A `codex` of the caller's own stays open at the end."""

    def __init__(
        self,
        codex: Codex | None = None,
        settings: Settings | None = None,
        *,
        options: Options | None = None,
        heartbeat: float = PROGRESS_INTERVAL,
    ) -> None:
        # set once
        self.options = options or Options()
        self.heartbeat = heartbeat
        self.jobs: Jobs[ImageBatch] = Jobs(record=self._record)
        self._callers_codex = codex
        self._settings = settings
        # opened at the first call
        self._own: Codex | None = None
        self._state: State | None = None
        # moves
        self.is_lingering = False  # only for pictures: the client has left
        self.pictures = 0  # that were made or are being made

    @property
    def codex(self) -> Codex:
        """The backend. Raises CodexError where the environment's settings are wrong."""
        if self._callers_codex is not None:
            return self._callers_codex
        if self._own is None:
            from codexapi_engine import Codex
            from codexapi_engine.hardening import harden

            harden()  # the login comes into this process now, and stays for days
            self._own = Codex(self._settings)
        return self._own

    @property
    def state(self) -> State:
        """Where conversations are kept, in memory and bounded."""
        if self._state is None:
            from codexapi_engine.storage import State

            self._state = State()
        return self._state

    @property
    def unclaimed(self) -> Unclaimed:
        return Unclaimed(self.codex.settings.state_dir / "mcp-pictures")

    def news(self) -> list[Path]:
        """The record of unreturned pictures."""
        opened = self._callers_codex is not None or self._own is not None
        return self.unclaimed.news() if opened else []

    async def settle(self, linger: float = 0.0) -> None:
        """Waits at most so many seconds for pictures that are being made, since they are paid for;
        and until a renewal of the login has reached the disk, if one is under way."""
        if linger and (running := self.jobs.running):
            if not self.is_lingering:
                self.is_lingering = True
                for key in running:
                    self.unclaimed.begin(key)
                count = len(running)
                log.warning(
                    "the client has left; waiting up to %d s for %s, to save what is paid for",
                    linger, f"{count} picture calls" if count > 1 else "a picture",
                )  # fmt: skip
            await self.jobs.finish(linger)
            left = len(self.jobs.running)
            log.warning("%s", f"gave up {left}" if left else "saved; the next call tells where")
        if self._own is not None:
            await self._own.login.aclose()

    def _record(self, key: str, drawn: ImageBatch, arrived: bool) -> None:
        self.unclaimed.keep(key, [path for _, path in drawn.saved], arrived=arrived)

    async def aclose(self, linger: float = 0.0) -> None:
        if linger:
            await self.settle(linger)
        await self.jobs.finish(0)
        await self.jobs.aclose()
        if self._state is not None:
            self._state.close()
        if self._own is not None:
            await self._own.aclose()


async def with_progress(
    ctx: Context[Runtime, Any], message: Callable[[float], str], work: Callable[[], Awaitable[T]]
) -> T:
    """The result of the work. Meanwhile each heartbeat sends the client `message` of the seconds so
    far; the work is cancelled when the client cancels, and when it disconnects."""

    async def whole() -> T:
        async with _signs_of_life(ctx, message):
            return await work()

    # The SDK ends a call of the newest protocol when its connection ends, and no older one. Those
    # could come back for the answer, if it were kept for them; here it is not.
    request = ctx.request_context.request
    line: ClientConnection = (
        request.scope.get(LINE) if request is not None else None
    ) or ClientConnection()
    # In a task of its own: the SDK's way to cancel would cancel every step of tidying up, too.
    return await line.run_until_end(whole())


@asynccontextmanager
async def _signs_of_life(
    ctx: Context[Runtime, Any], message: Callable[[float], str]
) -> AsyncIterator[None]:
    interval = ctx.request_context.lifespan_context.heartbeat

    async def report() -> None:
        for count in range(1, sys.maxsize):
            await asyncio.sleep(interval)
            await ctx.report_progress(count, None, message(count * interval))

    beating = asyncio.create_task(report())
    try:
        yield
    finally:
        beating.cancel()
        await asyncio.wait({beating})
