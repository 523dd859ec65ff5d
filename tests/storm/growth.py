"""What a process may have more of after the storm than before it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from tests.storm.processes import Process

MORE_MEMORY = 64 << 20
"""Bytes by which a process may have grown: it has drawn pictures by then."""

MORE_DESCRIPTORS = 4
"""Descriptors that it may have beside those of the beginning, when the backend has closed all
connections that waited for another request."""


@dataclass(frozen=True)
class Size:
    """Bytes and descriptors of a process at one moment."""

    process: Process
    memory: int
    descriptors: int

    @classmethod
    def of(cls, process: Process) -> Self:
        return cls(process, process.memory(), process.descriptors())

    async def growth(self) -> list[str]:
        """In words, what has grown too much; nothing where the process has ended."""
        process, problems = self.process, list[str]()
        if not process.is_alive:
            return problems
        if not await until(lambda: process.descriptors() <= self.descriptors + MORE_DESCRIPTORS):
            now = process.descriptors()
            problems.append(f"{process.name} had {self.descriptors} descriptors, and has {now}")
        if (size := process.memory()) > self.memory + MORE_MEMORY:
            problems.append(f"{process.name} had {self.memory} bytes, and has {size}")
        return problems


async def until(reached: Callable[[], bool], seconds: float = 15.0) -> bool:
    """Whether something becomes true in time. Nobody tells when."""
    end = time.monotonic() + seconds
    while not (now := reached()) and time.monotonic() < end:  # noqa: ASYNC110  (see above)
        await asyncio.sleep(0.05)
    return now
