"""Decides when a request to the backend is sent again."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from ..bounds import MAX_RETRY_WAIT, RETRY_WITHIN
from ..errors import (
    CodexError,
    RefreshUnavailable,
    StreamInterrupted,
    TransportError,
    UsageLimitReached,
)
from ..telemetry import Observer
from .errors import LARGE, connection_failed

_SERVER_FAULTS = (500, 502, 503, 504)


class Retry(NamedTuple):
    """Why a request is sent again, and the seconds until then."""

    why: str
    delay: float


class Attempts:
    """How often a request may be tried again. It is used before the first event alone.

    Its callers wait after the `except` that has caught the failure: within it, the next failure
    would have this one for its context. They store it in no variable: its traceback refers to their
    frames, and a frame that refers to it too would make a reference cycle, which keeps the request
    in memory until the garbage collector runs.
    """

    def __init__(self, observer: Observer, size: int) -> None:
        self._observer = observer
        self.request_size = size  # of the request
        self._started = asyncio.get_running_loop().time()
        self._left = {"server": 1, "limit": 1, "connection": 2}

    def next(self, error: CodexError) -> Retry | None:
        """The next try after this failure; None if that is the last."""
        retry = _retry(error)
        if isinstance(error, StreamInterrupted) and self.request_size > LARGE:
            self._left["connection"] = min(1, self._left["connection"])  # uploads, of so many bytes
        elapsed = asyncio.get_running_loop().time() - self._started
        if retry is None or not self._left[retry.why] or elapsed + retry.delay > RETRY_WITHIN:
            return None
        self._left[retry.why] -= 1
        return retry

    async def wait(self, retry: Retry) -> None:
        """Returns when it is due."""
        await asyncio.sleep(retry.delay)
        self._observer.retried(retry.why)


def _retry(error: CodexError) -> Retry | None:
    if error.backend_status is not None:
        after = error.retry_after
        if isinstance(error, UsageLimitReached) or (after or 0) > MAX_RETRY_WAIT:
            return None
        if error.backend_status in _SERVER_FAULTS:
            return Retry("server", after if after is not None else 0.5)
        if error.backend_status == 429 and after is not None:
            return Retry("limit", after)
    elif (
        isinstance(error, TransportError)
        and not isinstance(error, RefreshUnavailable)
        and connection_failed(error)
    ):
        return Retry("connection", 0.25)
    return None
