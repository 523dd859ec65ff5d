"""Runs a command's coroutines, and cancels them in order at a signal."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Self, TypeVar

from codexapi_engine.ending import ending_signals

from .output import Terminated

T = TypeVar("T")


@contextmanager
def _later() -> Iterator[None]:
    """Signals wait: an exception in the midst of making a loop leaves half a loop, which complains
    on stderr when it is collected. Not on Windows."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ending_signals())
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Runner:
    """`asyncio.Runner`, that does with each signal that ends a program what Python does with
    Ctrl-C alone: what runs is cancelled, so that it can save what it has, and then the program
    ends. A login on its way to be renewed is saved so. Raises Terminated.

    SIGINT stays Python's. Its second one, and any second signal, does not wait.
    """

    def __init__(self) -> None:
        self._runner = asyncio.Runner()
        self._before: dict[signal.Signals, Any] = {}
        self._task: asyncio.Task[Any] | None = None
        self._number: int | None = None
        self._watched: Coroutine[Any, Any, Any] | None = None

    def __enter__(self) -> Self:
        with _later():
            for number in ending_signals():
                if number != signal.SIGINT:
                    self._before[number] = signal.signal(number, self._on_signal)
            self._runner.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        try:
            self._runner.__exit__(*error)
        finally:
            if self._watched is not None:
                self._watched.close()  # a signal may have come before its first step
            for number, handler in self._before.items():
                signal.signal(number, handler)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        watched: Coroutine[Any, Any, T] = self._track(work)
        self._watched = watched
        try:
            return self._runner.run(watched)
        except asyncio.CancelledError:
            if self._number is None:
                raise
            number, self._number = self._number, None
            raise Terminated(number) from None

    async def _track(self, work: Coroutine[Any, Any, T]) -> T:
        self._task = asyncio.current_task()
        try:
            return await work
        finally:
            self._task = None

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._task is None or self._number is not None:
            raise Terminated(number)  # nothing runs, or it is being cancelled already
        self._number = number
        task = self._task
        task.get_loop().call_soon_threadsafe(task.cancel)
