"""Limits how many backend streams may be open at a time, where the user has set a limit.

A request over the limit waits in a queue, for some seconds.
"""

from __future__ import annotations

import asyncio
from collections import deque

from ..bounds import MAX_QUEUE_WAIT
from ..errors import InvalidRequest, Unavailable


class ConcurrencyLimit:
    """A limit, and the line before it. Each turn that was taken is given back once."""

    def __init__(self, limit: int | None, *, max_wait: float = MAX_QUEUE_WAIT) -> None:
        self._limit = limit
        self._max_wait = max_wait
        self._free = limit or 0
        self._line: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def take(self, count: int = 1) -> None:
        """Waits for so many turns at once: one by one, two requests could each hold what the other
        waits for. Raises Unavailable when that takes too long, InvalidRequest if it never can be.
        """
        if self._limit is None:
            return
        if count > self._limit:
            raise InvalidRequest(
                f"Invalid value for 'n': this server runs at most {self._limit} streams at a time "
                f"(--max-streams), and this request asks for {count}.",
                code="invalid_value",
                param="n",
            )
        if not self._line and count <= self._free:
            self._free -= count
            return
        place = (count, asyncio.get_running_loop().create_future())
        self._line.append(place)
        try:
            async with asyncio.timeout(self._max_wait):
                await place[1]
        except BaseException as error:
            self._leave(place)
            if isinstance(error, TimeoutError):
                raise Unavailable(
                    f"all {self._limit} streams of this server (--max-streams) are in use",
                    code="too_many_streams",
                    retry_after=5,
                ) from None
            raise

    def give(self) -> None:
        """Gives one turn back."""
        if self._limit is not None:
            self._free += 1
            self._next()

    def _leave(self, place: tuple[int, asyncio.Future[None]]) -> None:
        count, called = place
        if place in self._line:
            self._line.remove(place)
        elif called.done() and not called.cancelled():  # admitted, and cancelled before it ran
            self._free += count
        self._next()

    def _next(self) -> None:
        while self._line and self._line[0][0] <= self._free:
            count, called = self._line.popleft()
            if not called.done():
                self._free -= count
                called.set_result(None)
