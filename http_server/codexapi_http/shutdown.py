"""Going down without cutting anyone off: running work is told, and gets some seconds."""

from __future__ import annotations

import asyncio

from codexapi_engine import Unavailable


class Shutdown:
    """Whether the server is going down, and who is still at work."""

    def __init__(self) -> None:
        self.begun = False
        self._at_work: set[asyncio.Future[None]] = set()

    def begin(self) -> None:
        """From now on, new requests are turned away."""
        self.begun = True

    def end_all(self) -> None:
        """Tells all running work to end now."""
        for told in self._at_work:
            if not told.done():
                told.set_result(None)

    def register(self) -> asyncio.Future[None]:
        """A future that is done when the work has to end. Dropped by `release`."""
        told: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._at_work.add(told)
        return told

    def release(self, told: asyncio.Future[None]) -> None:
        self._at_work.discard(told)

    @staticmethod
    def error() -> Unavailable:
        return Unavailable("codexapi is shutting down", code="shutting_down", retry_after=1)
