"""Resolves names to addresses with the system's resolver, on daemon threads.

The resolver cannot be interrupted, and a name server that does not answer keeps it for half a
minute. On a thread of the loop's pool it would delay the loop's other work, and the end of the
process, which waits for such threads (with asyncio and uvloop alike). A daemon thread does not.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

Addresses = list[tuple[Any, ...]]
"""As `socket.getaddrinfo` returns them."""


class Resolver:
    """Looks names up, for one loop. Concurrent look-ups of a name share one call."""

    def __init__(self) -> None:
        self._pending: dict[tuple[str, int], asyncio.Future[Addresses]] = {}

    async def addresses(self, host: str, port: int) -> Addresses:
        """The TCP addresses of a name, as the system sorts them. Raises OSError, UnicodeError."""
        pending = self._pending.get((host, port)) or self._look_up(host, port)
        return await asyncio.shield(pending)

    def _look_up(self, host: str, port: int) -> asyncio.Future[Addresses]:
        loop = asyncio.get_running_loop()
        future = self._pending[host, port] = loop.create_future()
        future.add_done_callback(lambda done: self._forget((host, port), done))

        def look_up() -> None:
            try:
                found = socket.getaddrinfo(
                    host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP
                )
            except (OSError, UnicodeError) as error:
                tell(future.set_exception, error)
            else:
                tell(future.set_result, found)

        def tell(settle: Callable[[Any], None], result: Any) -> None:
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(_unless_done, future, settle, result)

        threading.Thread(target=look_up, name=f"resolver {host}", daemon=True).start()
        return future

    def _forget(self, key: tuple[str, int], future: asyncio.Future[Addresses]) -> None:
        del self._pending[key]
        if not future.cancelled():
            future.exception()  # retrieved, so that asyncio does not log it


def _unless_done(
    future: asyncio.Future[Addresses], settle: Callable[[Any], None], result: Any
) -> None:
    if not future.done():
        settle(result)
