"""Runs a server in a thread of this process: for programs that test themselves against it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, contextmanager
from functools import partial
from typing import Any

from . import beside

App = Callable[[], AbstractAsyncContextManager[Any]]
"""Opens an application, and closes it, on the loop that serves it."""


@contextmanager
def serving(open_app: App) -> Iterator[str]:
    """Serves on a free port of 127.0.0.1; its URL. Raises what the start raises."""
    started: Future[tuple[str, Callable[[], object]]] = Future()

    async def serve() -> None:
        ended, loop = asyncio.Event(), asyncio.get_running_loop()
        async with open_app() as app, beside.serving(app) as url:
            started.set_result((url, partial(loop.call_soon_threadsafe, ended.set)))
            await ended.wait()

    def run() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:
            if started.done():
                raise
            started.set_exception(error)

    thread = threading.Thread(target=run, name="codexapi server", daemon=True)
    thread.start()
    url, end = started.result()
    try:
        yield url
    finally:
        end()
        thread.join()
