"""Serves an application beside other work of the same event loop, which keeps the signals."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager

from starlette.types import ASGIApp

from codexapi_engine import Codex

from ..app import create_app
from .process import Process, listen


class _Guest(Process):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def serving(app: ASGIApp) -> AsyncIterator[str]:
    """Its URL, on a free port of loopback. Raises OSError."""
    ready = asyncio.get_running_loop().create_future()

    async def tell(url: str) -> None:
        ready.set_result(url)

    server = _Guest(app, ready=tell)
    task = asyncio.create_task(server.run_on(listen("127.0.0.1", 0)))
    try:
        await asyncio.wait({task, ready}, return_when=asyncio.FIRST_COMPLETED)
        yield ready.result()
    finally:
        server.should_exit = True
        await task


def serving_api(codex: Codex) -> AbstractAsyncContextManager[str]:
    """Likewise, of the API."""
    return serving(create_app(codex))
