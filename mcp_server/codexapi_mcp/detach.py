"""Lets a picture outlive the process that an editor started, as a copy in a session of its own.

Many editors give a process a few seconds to end, then kill it and its group. Linux alone:
elsewhere open connections do not survive a copy.
"""

from __future__ import annotations

import asyncio
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Thread
from typing import Any

from codexapi_engine.aside import aside

THREAD_WAIT = 1.5
"""Seconds that the work of threads is waited for. The official SDKs kill two seconds after they
have asked."""


class Workers(ThreadPoolExecutor):
    """The threads of a loop. A copy of the process has none of them, nor what they are doing."""

    used = False

    def submit(self, *arguments: Any, **options: Any) -> Any:
        self.used = True
        return super().submit(*arguments, **options)


async def detach(workers: Workers, wire: int | None, code: int) -> None:
    """Ends the process with this exit code, and goes on in a copy of it that nobody waits for: it
    has no stream of the editor's. Where there can be no copy, this process goes on.

    Never within a signal's handler: that may have met the program where it holds a lock, and a
    copy does not.
    """
    with suppress(TimeoutError):
        async with asyncio.timeout(THREAD_WAIT):
            await _finish(workers)
    _copy(wire, code)


async def _finish(workers: Workers) -> None:
    """Returns when no thread has work: what one does may lead to more of it."""
    loop = asyncio.get_running_loop()
    await aside(True, lambda: None)  # behind all that it has to do: it has one thread
    while workers.used:
        before, workers = workers, Workers()
        loop.set_default_executor(workers)
        ended = asyncio.Event()

        def join(executor: Workers = before, ended: asyncio.Event = ended) -> None:
            executor.shutdown()
            loop.call_soon_threadsafe(ended.set)

        Thread(target=join, daemon=True).start()
        await ended.wait()
        await aside(True, lambda: None)


def _copy(wire: int | None, code: int) -> None:
    if sys.platform == "win32":  # copies no process
        return
    loop = asyncio.get_running_loop()
    ready, done = os.pipe()
    try:
        pid = os.fork()
    except OSError:  # no room for another process
        return
    if pid:
        os.close(done)
        os.read(ready, 1)  # it has left our process group, so a kill of the group does not reach it
        os._exit(code)
    with suppress(OSError):
        os.setsid()
    os.close(ready)
    os.close(done)
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2, *([] if wire is None else [wire])):
        os.dup2(nothing, descriptor)
    asyncio._set_running_loop(loop)  # which is forgotten in a copy
    loop.set_default_executor(Workers())
