"""The events that the engine reports to observers, such as a log or a counter.

A backend stream is counted while it runs and reported once, at its end; there is no report for a
single event. Nothing here depends on logs, metrics or front ends.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from .errors import CodexError, JsonObject, from_event
from .protocol.shapes import get_dict, get_int, get_str


class FinishedRun(NamedTuple):
    """A backend stream that has ended: with success, with an error, or closed by its reader."""

    model: str  # the backend's name for it, where it sent one
    seconds: float
    first_after: float | None  # seconds until its first event
    events: int
    usage: JsonObject  # from its last event; may be empty
    code: str | None  # of the error, the backend's or ours before the first event
    backend_id: str | None  # what the backend calls the request
    output_after: float | None = None  # seconds until its first event with output


class Exchange(NamedTuple):
    """A request and the head of its answer, with all that is secret in them."""

    method: str
    url: object  # its text is `str` of it
    sent: Mapping[str, str]  # headers
    status: int
    received: Mapping[str, str]  # headers


class ProgramUse(NamedTuple):
    """The requests of one program that a server remembers, and their tokens."""

    program: str  # empty where it has not said who it is
    requests: int
    running: int
    input: int
    output: int


def use_by_program(
    requests: Iterable[tuple[str, bool, Mapping[str, object]]],
) -> list[ProgramUse]:
    """Sums requests up: the program of each, whether it runs, and its tokens by kind. The program
    with the most tokens comes first."""
    found: dict[str, ProgramUse] = {}
    for program, runs, tokens in requests:
        before = found.get(program) or ProgramUse(program, 0, 0, 0, 0)
        found[program] = ProgramUse(
            program,
            before.requests + 1,
            before.running + runs,
            before.input + (get_int(tokens, "input") or 0),
            before.output + (get_int(tokens, "output") or 0),
        )
    return sorted(found.values(), key=lambda one: (-one.input - one.output, one.program))


class Observer:
    """Receives the engine's events. A subclass overrides those that it needs.

    Called on the loop, in the context of the caller that caused the event: be quick, and raise
    nothing.
    """

    def began(self) -> None:
        """A run begins; exactly one `finished` follows."""

    def requested(self, run: RunMetrics) -> None:
        """The model and the effort of a run are known, and its request goes out."""

    def finished(self, run: FinishedRun) -> None:
        """A run has ended."""

    def exchanged(self, exchange: Exchange) -> None:
        """The backend has answered."""

    def retried(self, why: str) -> None:
        """A request is sent again: after a `server` fault, a `limit`, on the `connection`, with a
        new `login`, or without the `encrypted_content` that the backend could not read."""

    def refreshed(self, outcome: str) -> None:
        """A renewal of the login has ended: `ok`, or the code of its error."""

    def programs(self) -> Sequence[ProgramUse]:
        """What is remembered of the programs that use this process; nothing where no server is."""
        return ()

    def images_generated(self, pictures: int) -> None:
        """The backend has made pictures."""

    def unknown(self, kind: str, name: str, count: int) -> None:
        """The backend has sent what codexapi does not know: an event, an item, a part, a field, a
        header or an error code."""


@dataclass(slots=True)
class RunMetrics:
    """One run while it runs. `close` it at its end, as often as you like."""

    observer: Observer
    then: Callable[[], None] = lambda: None  # called when it has ended
    model: str = ""
    effort: str = ""  # of the request; empty where it names none
    headers: Mapping[str, str] = field(default_factory=dict)  # of the backend's answer
    events: int = 0
    _since: float = field(default_factory=time.monotonic)
    _first_after: float | None = None
    _output_after: float | None = None
    _usage: JsonObject = field(default_factory=dict)
    _code: str | None = None
    closed: bool = False

    def __post_init__(self) -> None:
        self.observer.began()

    def requested(self, request: JsonObject) -> None:
        """Its request is known: with the model that the backend gets, and not translated yet."""
        self.model = get_str(request, "model")
        self.effort = get_str(get_dict(request, "reasoning"), "effort")
        self.observer.requested(self)

    @property
    def awaits_output(self) -> bool:
        return self._output_after is None

    def output(self) -> None:
        """Its first event with output is here."""
        self._output_after = time.monotonic() - self._since

    def first(self) -> None:
        """Its first event is here."""
        self._first_after = time.monotonic() - self._since

    def last(self, payload: JsonObject) -> None:
        """What the last event, or a whole answer, says of the run."""
        response = payload.get("response", payload)
        if isinstance(response, dict):
            self._usage = get_dict(response, "usage")
            self.model = get_str(response, "model") or self.model
        if payload.get("type") in ("response.failed", "error"):
            self.failed(from_event(payload))

    def failed(self, error: CodexError) -> None:
        self._code = error.code or error.type

    def close(self) -> None:
        if self.closed:
            return
        self.closed = True
        self.then()
        self.observer.finished(
            FinishedRun(
                model=self.model,
                seconds=time.monotonic() - self._since,
                first_after=self._first_after,
                events=self.events,
                usage=self._usage,
                code=self._code,
                backend_id=self.headers.get("x-oai-request-id"),
                output_after=self._output_after,
            )
        )
