"""Jobs that outlive the call that started them.

A picture takes a minute or two, and many clients time out before that: at 60 s, at 240, at 300. It
costs quota all the same. So the job runs on, and the next call with equal arguments gets the
result.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from codexapi_engine.bounds import CALL_WAIT, RESULT_LIFETIME

T = TypeVar("T")


@dataclass(eq=False, slots=True)
class _Job(Generic[T]):
    task: asyncio.Task[T]
    started: float
    ended: float | None = None
    waiting: int = 0  # calls that want the result
    arrived: bool = False  # a call has had it
    recorded: bool = False

    @property
    def has_result(self) -> bool:
        task = self.task
        return task.done() and not task.cancelled() and task.exception() is None


class Jobs(Generic[T]):
    """Jobs by what they make. `record` hears of each result that no call has had, and whether one
    may have had it: the process may end before the next call comes."""

    def __init__(
        self,
        *,
        keep: float = RESULT_LIFETIME,
        wait: float = CALL_WAIT,
        clock: Callable[[], float] = time.monotonic,
        record: Callable[[str, T, bool], None] = lambda key, result, arrived: None,
    ) -> None:
        self._keep = keep
        self._wait = wait
        self._clock = clock
        self._record = record
        self._jobs: dict[str, _Job[T]] = {}
        self._is_ending = False

    @asynccontextmanager
    async def result(
        self, key: str, work: Callable[[], Coroutine[Any, Any, T]]
    ) -> AsyncIterator[tuple[T, bool]]:
        """What the work gives, and whether an earlier call had begun it. The block makes an answer
        of it: a call that is cancelled before or within leaves the work running, and its result
        for the next call."""
        self._forget()
        found = self._jobs.get(key)
        job = found or self._start(key, work)
        job.waiting += 1
        try:
            yield await asyncio.shield(job.task), found is not None
        except asyncio.CancelledError:
            if job.waiting == 1 and job.has_result:
                self._keep_record(key, job)
            raise
        finally:
            job.waiting -= 1
        if self._is_ending:  # the client may have stopped waiting
            return
        job.arrived = True
        if found is not None or self._clock() - job.started <= self._wait:
            self._drop(key, job)  # handed over: the same call again is a new wish

    def has(self, key: str) -> bool:
        self._forget()
        return key in self._jobs

    @property
    def running(self) -> list[str]:
        """The keys of those that have not ended."""
        return [key for key, job in self._jobs.items() if not job.task.done()]

    async def finish(self, seconds: float) -> None:
        """Waits so long for the jobs that are running, and records what no call has had before:
        the client has left."""
        self._is_ending = True
        tasks = {job.task for job in self._jobs.values() if not job.task.done()}
        if tasks and seconds:
            await asyncio.wait(tasks, timeout=seconds)
        for key, job in list(self._jobs.items()):
            if job.has_result:
                self._keep_record(key, job)

    async def aclose(self) -> None:
        """Cancels the jobs that are running."""
        tasks = [job.task for job in self._jobs.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _keep_record(self, key: str, job: _Job[T]) -> None:
        if not job.recorded:
            job.recorded = True
            self._record(key, job.task.result(), job.arrived)

    def _start(self, key: str, work: Callable[[], Coroutine[Any, Any, T]]) -> _Job[T]:
        job = _Job(asyncio.create_task(work()), self._clock())
        self._jobs[key] = job

        def ended(task: asyncio.Task[T]) -> None:
            job.ended = self._clock()
            if task.cancelled() or task.exception() is not None:
                self._drop(key, job)  # the next call tries anew
            else:
                task.get_loop().call_later(self._keep, self._drop, key, job)
                if not job.waiting:
                    self._keep_record(key, job)

        job.task.add_done_callback(ended)
        return job

    def _forget(self) -> None:
        now = self._clock()
        for key, job in list(self._jobs.items()):
            if job.ended is not None and now - job.ended > self._keep:
                self._drop(key, job)

    def _drop(self, key: str, job: _Job[T]) -> None:
        if self._jobs.get(key) is job:
            del self._jobs[key]
