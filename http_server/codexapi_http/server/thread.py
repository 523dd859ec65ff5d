"""Runs a server in a thread of this process: for programs that test themselves against it."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any

from .process import Process, listen

App = Callable[[], AbstractAsyncContextManager[Any]]
"""Opens an application, and closes it, on the loop that serves it."""


class _Threaded(Process):
    """Signals belong to the main thread."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextmanager
def serving(open_app: App) -> Iterator[str]:
    """Serves on a free port of 127.0.0.1; its URL. Raises what the start raises."""
    ready = threading.Event()
    found: dict[str, Any] = {}

    async def serve() -> None:
        async def tell(url: str) -> None:
            found["url"] = url
            ready.set()

        async with open_app() as app:
            found["process"] = _Threaded(app, ready=tell)
            await found["process"].run_on(listening)

    def run() -> None:
        try:
            asyncio.run(serve())
        finally:
            ready.set()

    with listen("127.0.0.1", 0) as listening:
        thread = threading.Thread(target=run, name="codexapi server", daemon=True)
        thread.start()
        ready.wait()
        try:
            if "url" not in found:
                raise RuntimeError("the server did not start")
            yield str(found["url"])
        finally:
            if "process" in found:
                found["process"].should_exit = True
            thread.join()
