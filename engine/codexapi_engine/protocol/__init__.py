"""The wire formats and their translations, as pure functions and state machines.

Nothing here does I/O: no await, no clock, no files, no random numbers.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from ..errors import CodexError, JsonObject
from .sse import Event

__all__ = ["Event", "JsonObject", "Translator"]


class Translator(Protocol):
    """Turns a Responses stream into a client's stream, one event at a time.

    `feed` is called for each event in order (or for `DeltaBatch`, which are several), then exactly one
    of `close` (the backend's stream ended) or `fail` (it broke). What they return is written to the
    client as is. `feed` and `close` raise CodexError when the stream reports a failure, or lacks
    its last event; the caller then decides: an HTTP error while nothing has been written,
    `fail(error)` after that. When it is `finished`, `feed` and `close` return nothing more.
    """

    @property
    def finished(self) -> bool: ...
    def feed(self, event: Event) -> Iterable[bytes]: ...
    def close(self) -> Iterable[bytes]: ...
    def fail(self, error: CodexError) -> Iterable[bytes]: ...
