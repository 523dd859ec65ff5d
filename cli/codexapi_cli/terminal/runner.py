"""Runs a command's coroutines, and cancels them in order at a signal."""

from __future__ import annotations

import asyncio
import signal
import sys
import warnings
from collections.abc import Coroutine, Iterator
from contextlib import ExitStack, contextmanager, suppress
from types import FrameType
from typing import Any, Self, TypeVar

from codexapi_engine.ending import ending_signals, signals_later, signals_wake

from .output import Terminated

T = TypeVar("T")


def _end_by(number: int) -> BaseException:
    return KeyboardInterrupt() if number == signal.SIGINT else Terminated(number)


def _say_nothing(*_: object) -> None:
    pass


class Runner:
    """`asyncio.Runner`, that does with each signal that ends a program what Python does with
    Ctrl-C alone: what runs is cancelled, so that it can save what it has, and then the program
    ends. A login on its way to be renewed is saved so. Raises KeyboardInterrupt or Terminated.

    While asyncio has control, a signal raises nothing: an exception in the midst of asyncio breaks
    it, and then it complains on stderr, or waits for ever. The second signal stops the loop, which
    waits for nobody then. The third one raises: the loop does not turn, since a write is blocked.
    """

    def __init__(self) -> None:
        self._runner = asyncio.Runner()
        self._exits = ExitStack()
        self._before: dict[signal.Signals, Any] = {}
        self._task: asyncio.Task[Any] | None = None
        self._signals: list[int] = []  # since asyncio got control
        self._is_inside = False  # whether it has control

    def __enter__(self) -> Self:
        with signals_later():
            for number in ending_signals():
                if (
                    number != signal.SIGINT
                    or signal.getsignal(number) is signal.default_int_handler
                ):
                    self._before[number] = signal.signal(number, self._on_signal)
            self._loop = self._runner.__enter__().get_loop()
            self._exits.enter_context(signals_wake(self._loop))
        return self

    def __exit__(self, *_: object) -> None:
        try:
            with self._control():
                self._runner.close()
        finally:
            self._exits.close()
            for number, handler in self._before.items():
                signal.signal(number, handler)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        watched = self._track(work)
        try:
            with self._control():
                return self._runner.run(watched)
        finally:
            for coroutine in (watched, work):  # a signal may have come before its first step
                with suppress(RuntimeError):  # it waits once more, and the loop has stopped
                    coroutine.close()

    @contextmanager
    def _control(self) -> Iterator[None]:
        """asyncio has control."""
        if self._must_end:
            self._loop.call_soon(self._loop.stop)
        else:
            self._signals.clear()
        self._is_inside = True
        try:
            yield
        finally:
            self._is_inside = False
            if self._signals:
                raise _end_by(self._signals[0]) from None

    @property
    def _must_end(self) -> bool:
        """Whether nothing is waited for. Ctrl-C ends what runs, and maybe not the program."""
        return len(self._signals) > 1 and self._signals[-1] != signal.SIGINT

    async def _track(self, work: Coroutine[Any, Any, T]) -> T:
        self._task = task = asyncio.current_task()
        try:
            if self._signals:
                raise asyncio.CancelledError
            result = await work
        finally:
            self._task = None
        if self._signals == [signal.SIGINT] and task is not None and task.cancelling():
            self._signals.clear()  # the work has taken the cancellation for its own end
        return result

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if not self._is_inside:
            raise _end_by(number)
        self._signals.append(number)
        self._loop.set_exception_handler(_say_nothing)
        if len(self._signals) == 1:
            if self._task is not None:
                self._loop.call_soon_threadsafe(self._task.cancel)
            return
        warnings.simplefilter("ignore")
        sys.unraisablehook = _say_nothing
        with suppress(RuntimeError):  # it is closed by now
            self._loop.call_soon_threadsafe(self._loop.stop)
        if len(self._signals) > 2:
            raise _end_by(number)
