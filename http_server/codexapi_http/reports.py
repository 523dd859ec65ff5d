"""An observer that passes the engine's events to the access log and to the metrics."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from codexapi_engine.errors import JsonObject
from codexapi_engine.telemetry import (
    Exchange,
    FinishedRun,
    Observer,
    ProgramUse,
    RunMetrics,
    use_by_program,
)

from .middleware.request_log import Entry, current, effort_name, error_code, model_name
from .request_record import RequestRecord

if TYPE_CHECKING:
    from .metrics import Metrics

_COUNTS = (
    ("input", "", "input_tokens"),
    ("output", "", "output_tokens"),
    ("cached", "input_tokens_details", "cached_tokens"),
    ("reasoning", "output_tokens_details", "reasoning_tokens"),
)
"""Kinds of tokens, and the member and name of each in the backend's usage object."""


@dataclass(slots=True)
class BackendState:
    """How the backend answered the last time."""

    status: int | None = None
    answered_at: float | None = None  # epoch seconds
    code: str | None = None  # of the error of the last run
    failed: Entry | None = None  # the request of that run


class Reports(Observer):
    """Receives the engine's events, and each answered request."""

    def __init__(self, *, metrics: bool = False) -> None:
        self.record = RequestRecord()
        self.backend = BackendState()
        self.metrics: Metrics | None = None
        if metrics:
            from .metrics import Metrics  # with the library, for --metrics alone

            self.metrics = Metrics()

    def received(self, entry: Entry) -> None:
        self.record.begin(entry)

    def answered(self, entry: Entry) -> None:
        entry.took = entry.seconds
        entry.write()
        if not entry.runs:  # else of a response in the background, which goes on
            self.record.end(entry)
        if self.metrics is not None:
            self.metrics.answered(entry)

    def began(self) -> None:
        if self.metrics is not None:
            self.metrics.began()

    def requested(self, run: RunMetrics) -> None:
        entry = current()
        entry.runs.append(run)
        if entry.took is not None:
            self.record.resume(entry)
        entry.model = model_name(run.model) or entry.model
        entry.effort = effort_name(run.effort) or entry.effort

    def exchanged(self, exchange: Exchange) -> None:
        self.backend.status, self.backend.answered_at = exchange.status, time.time()

    def finished(self, run: FinishedRun) -> None:
        tokens = _tokens(run.usage)
        entry = current()
        entry.runs = [one for one in entry.runs if not one.closed]
        self.backend.code = error_code(run.code) if run.code else None
        self.backend.failed = entry if run.code else None
        if entry.first is None and run.output_after is not None:
            entry.first = time.monotonic() - entry.since - run.seconds + run.output_after
        entry.events += run.events
        entry.model = model_name(run.model) or entry.model
        entry.backend_id = run.backend_id or entry.backend_id
        for kind, count in tokens.items():
            entry.tokens[kind] = entry.tokens.get(kind, 0) + count
        if entry.took is not None and not entry.runs:
            entry.took = time.monotonic() - entry.since
            self.record.end(entry)
        if self.metrics is not None:
            self.metrics.finished(run, tokens)

    def programs(self) -> Sequence[ProgramUse]:
        running = [(one.program, True, one.tokens) for one in self.record.running()]
        recent = [(one.program, False, one.tokens) for one in self.record.recent()]
        return use_by_program([*running, *recent])

    def retried(self, why: str) -> None:
        if self.metrics is not None:
            self.metrics.retried(why)

    def refreshed(self, outcome: str) -> None:
        if self.metrics is not None:
            self.metrics.refreshed(outcome)

    def images_generated(self, pictures: int) -> None:
        if self.metrics is not None:
            self.metrics.images_generated(pictures)

    def unknown(self, kind: str, name: str, count: int) -> None:
        if self.metrics is not None:
            self.metrics.unknown(kind, name, count)


def _tokens(usage: JsonObject) -> dict[str, int]:
    """The counts of a backend's usage object, by kind."""
    found: dict[str, int] = {}
    for kind, inner, name in _COUNTS:
        holder = usage.get(inner) if inner else usage
        count = holder.get(name) if isinstance(holder, dict) else None
        if type(count) is int and count > 0:
            found[kind] = count
    return found
