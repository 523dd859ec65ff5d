"""Another door's application under this one's roof: a path of its own, behind the same guard.

Knows no other door: whoever starts the server brings it along.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from starlette.types import Receive, Scope, Send

from codexapi_engine import Codex


class Annex(Protocol):
    """An ASGI application that is called within its `lifespan` alone."""

    path: str

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None: ...

    def lifespan(self) -> AbstractAsyncContextManager[None]: ...

    def stop(self, now: bool) -> None:
        """The server is going down: what only waits ends, and all the rest too if `now`."""


Builder = Callable[[Codex], Annex]
