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

IS_POSSIBLE = sys.platform == "linux"


def detach(wire: int | None, code: int) -> None:
    """Ends the process with this exit code, and goes on in a detached copy of it: it
    has no stream of the editor's. Where there can be no copy, this process goes on."""
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
    loop.set_default_executor(ThreadPoolExecutor())  # threads are not copied
