"""Graceful shutdown: running requests are notified, and have some seconds to end."""

from __future__ import annotations

from collections.abc import Callable

from codexapi_engine import Unavailable


class Shutdown:
    """Whether the server is going down, and who is still at work."""

    def __init__(self) -> None:
        self.begun = False
        self.ends_all = False  # running work too
        self._at_work: set[Callable[[], None]] = set()

    def begin(self) -> None:
        """From now on, new requests are turned away."""
        self.begun = True

    def end_all(self) -> None:
        """Cancels all running work."""
        self.ends_all = True
        for end in list(self._at_work):
            end()

    def watch(self, end: Callable[[], None]) -> None:
        """`end` is called when the work has to end."""
        self._at_work.add(end)

    def unwatch(self, end: Callable[[], None]) -> None:
        self._at_work.discard(end)

    @staticmethod
    def error() -> Unavailable:
        return Unavailable("codexapi is shutting down", code="shutting_down", retry_after=1)
