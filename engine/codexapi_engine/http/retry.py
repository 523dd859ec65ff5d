"""Decides when a request to the backend is sent again."""

from __future__ import annotations

import asyncio

from ..bounds import MAX_RETRY_WAIT, RETRY_WITHIN
from ..errors import (
    RefreshUnavailable,
    StreamInterrupted,
    UsageLimitReached,
)
from ..telemetry import Observer
from .errors import (
    LARGE,
    BackendRefusal,
    connection_failed,
)

_SERVER_FAULTS = (500, 502, 503, 504)


class Attempts:
    """How often a request may be tried again. It is used before the first event alone."""

    def __init__(self, observer: Observer, size: int) -> None:
        self._observer = observer
        self.request_size = size  # of the request
        self._started = asyncio.get_running_loop().time()
        self._left = {"server": 1, "limit": 1, "connection": 2}

    async def another(self, error: Exception) -> None:
        """Waits until the next try, or raises the error that ends them."""
        final = error.error if isinstance(error, BackendRefusal) else error
        why, delay = self._why(error)
        if isinstance(error, StreamInterrupted) and self.request_size > LARGE:
            self._left["connection"] = min(1, self._left["connection"])  # uploads, of so many bytes
        elapsed = asyncio.get_running_loop().time() - self._started
        if why is None or not self._left[why] or elapsed + delay > RETRY_WITHIN:
            raise final
        self._left[why] -= 1
        await asyncio.sleep(delay)
        self._observer.retried(why)

    def _why(self, error: Exception) -> tuple[str | None, float]:
        if isinstance(error, BackendRefusal):
            after = error.error.retry_after
            if isinstance(error.error, UsageLimitReached) or (after or 0) > MAX_RETRY_WAIT:
                return None, 0
            if error.status in _SERVER_FAULTS:
                return "server", after if after is not None else 0.5
            if error.status == 429 and after is not None:
                return "limit", after
        elif not isinstance(error, RefreshUnavailable) and connection_failed(error):
            return "connection", 0.25
        return None, 0
