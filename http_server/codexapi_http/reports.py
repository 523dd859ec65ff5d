"""An observer that passes the engine's events to the access log and to the metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from codexapi_engine.errors import JsonObject
from codexapi_engine.telemetry import FinishedRun, Observer

from .middleware.request_log import Entry, current, model_name

if TYPE_CHECKING:
    from .metrics import Metrics

_COUNTS = (
    ("input", "", "input_tokens"),
    ("output", "", "output_tokens"),
    ("cached", "input_tokens_details", "cached_tokens"),
    ("reasoning", "output_tokens_details", "reasoning_tokens"),
)
"""Kinds of tokens, and the member and name of each in the backend's usage object."""


class Reports(Observer):
    """Receives the engine's events, and each answered request."""

    def __init__(self, *, metrics: bool = False) -> None:
        self.metrics: Metrics | None = None
        if metrics:
            from .metrics import Metrics  # with the library, for --metrics alone

            self.metrics = Metrics()

    def answered(self, entry: Entry) -> None:
        entry.write()
        if self.metrics is not None:
            self.metrics.answered(entry)

    def began(self) -> None:
        if self.metrics is not None:
            self.metrics.began()

    def finished(self, run: FinishedRun) -> None:
        tokens = _tokens(run.usage)
        entry = current()
        entry.events += run.events
        entry.model = model_name(run.model) or entry.model
        entry.backend_id = run.backend_id or entry.backend_id
        for kind, count in tokens.items():
            entry.tokens[kind] = entry.tokens.get(kind, 0) + count
        if self.metrics is not None:
            self.metrics.finished(run, tokens)

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
