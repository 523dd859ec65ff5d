"""What the engine tells of its work, to whoever counts it or writes it down.

Nothing is told for an event: a run is counted while it runs, and told once, when it has ended.
Knows nothing of logs, metrics or doors.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from .errors import CodexError, JsonObject, from_event


class Finished(NamedTuple):
    """A run at the backend that has ended: well or not, or left by its reader."""

    model: str  # as the backend calls it, where it said so
    seconds: float
    first_after: float | None  # seconds until its first event
    events: int
    usage: JsonObject  # as its last event told it; may be empty
    code: str | None  # of the error that the backend told, or that kept the run from beginning
    backend_id: str | None  # what the backend calls the request


class Observer:
    """Hears what the engine does. What a subclass leaves out is not heard.

    Called on the loop, in the context of whoever caused it: be quick, and raise nothing.
    """

    def began(self) -> None:
        """A run begins; exactly one `finished` follows."""

    def finished(self, run: Finished) -> None:
        """A run has ended."""

    def exchanged(
        self,
        method: str,
        url: object,
        sent: Mapping[str, str],
        status: int,
        received: Mapping[str, str],
    ) -> None:
        """The backend has answered: the request's method and its URL, whose text is `str` of it, and
        the headers of both, with all that is secret in them."""

    def retried(self, why: str) -> None:
        """A request is tried again: after a `server` fault, a `limit`, on the `connection`, or
        without the `encrypted_content` that the backend could not read."""

    def refreshed(self, outcome: str) -> None:
        """A renewal of the login has ended: `ok`, or the code of its error."""

    def images_generated(self, pictures: int) -> None:
        """The backend has made pictures."""


@dataclass(slots=True)
class RunMetrics:
    """One run while it runs. `close` it at its end, as often as you like."""

    observer: Observer
    then: Callable[[], None] = lambda: None  # called when it has ended
    model: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)  # of the backend's answer
    events: int = 0
    _since: float = field(default_factory=time.monotonic)
    _first_after: float | None = None
    _usage: JsonObject = field(default_factory=dict)
    _code: str | None = None
    _closed: bool = False

    def __post_init__(self) -> None:
        self.observer.began()

    def first(self) -> None:
        """Its first event is here."""
        self._first_after = time.monotonic() - self._since

    def last(self, payload: JsonObject) -> None:
        """What the last event, or a whole answer, says of the run."""
        response = payload.get("response", payload)
        if isinstance(response, dict):
            usage, model = response.get("usage"), response.get("model")
            self._usage = usage if isinstance(usage, dict) else {}
            self.model = model if isinstance(model, str) and model else self.model
        if payload.get("type") in ("response.failed", "error"):
            self.failed(from_event(payload))

    def failed(self, error: CodexError) -> None:
        self._code = error.code or error.type

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self.then()
        self.observer.finished(
            Finished(
                model=self.model,
                seconds=time.monotonic() - self._since,
                first_after=self._first_after,
                events=self.events,
                usage=self._usage,
                code=self._code,
                backend_id=self.headers.get("x-oai-request-id"),
            )
        )
