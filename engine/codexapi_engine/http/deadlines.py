"""Deadlines that allow for a process that was stopped.

A timer runs by the clock. When a process that was stopped (Ctrl-Z, SIGSTOP, a machine asleep) goes
on, all of its timers are due, while the data that arrived meanwhile is unread in its sockets. So a
timer that runs late gives the loop a moment to read before it counts.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

LATE = 0.1
"""Seconds after its time from which on a timer is late: the loop did not run."""

GRACE = 1.0
"""Seconds to read what has come meanwhile."""


@asynccontextmanager
async def deadline(seconds: float | None) -> AsyncIterator[None]:
    """`asyncio.timeout`, for a process that may be stopped. Raises TimeoutError."""
    async with asyncio.timeout(None) as limit:
        if seconds is None:
            yield
            return
        loop = asyncio.get_running_loop()

        timer: asyncio.TimerHandle

        def look(due: float) -> None:
            nonlocal timer
            now = loop.time()
            if now - due > LATE:
                timer = loop.call_at(now + GRACE, look, now + GRACE)
            else:
                limit.reschedule(now)

        due = loop.time() + seconds
        timer = loop.call_at(due, look, due)
        try:
            yield
        finally:
            timer.cancel()
