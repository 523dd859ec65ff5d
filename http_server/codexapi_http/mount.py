"""Mounts an application of another package at a path, behind the same guard.

Front ends do not know each other: the program that starts the server passes the application in.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from starlette.requests import Request
from starlette.types import Message, Receive, Scope, Send

from codexapi_engine import Codex, Unavailable
from codexapi_engine.bounds import MAX_BODY_BYTES

from .errors import codex_error
from .requests import content_length, reserve


class MountedApp(Protocol):
    """An ASGI application that is called within its `lifespan` alone."""

    path: str

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None: ...

    def lifespan(self) -> AbstractAsyncContextManager[None]: ...

    def stop(self, now: bool) -> None:
        """The server is going down: what only waits ends, and all the rest too if `now`."""


AppFactory = Callable[[Codex], MountedApp]


class Counted:
    """A mounted application whose large bodies count among the server's; it refuses those over
    MAX_BODY_BYTES itself."""

    def __init__(self, mount: MountedApp) -> None:
        self._mount = mount
        self.__name__, self.__doc__ = type(mount).__name__, type(mount).__doc__

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        size = 0

        async def counting() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            reserve(scope, size)
            return message

        request = Request(scope, receive)
        try:
            reserve(scope, content_length(request, MAX_BODY_BYTES))
            await self._mount(scope, counting, send)
        except Unavailable as error:
            response = await codex_error(request, error)
            await response(scope, receive, send)
        finally:
            scope["app"].state.bodies.release(scope)
