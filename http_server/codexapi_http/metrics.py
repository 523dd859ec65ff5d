"""`GET /metrics`, for Prometheus: available under `serve --metrics` alone.

Only then is its library loaded (12 ms, 0.6 MB in this process). Labels come from short lists, or
from the backend: no client can create time series at will.
"""

from __future__ import annotations

from collections.abc import Mapping

import prometheus_client as prometheus
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from codexapi_engine.bounds import MAX_PROGRAM_LABELS
from codexapi_engine.telemetry import FinishedRun

from .middleware.request_log import Entry, error_code, model_name
from .programs import OTHER

SECONDS = (0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800)
METHODS = frozenset({"GET", "HEAD", "POST", "DELETE", "OPTIONS", "WS"})


class Metrics:
    """The counts of one server."""

    def __init__(self) -> None:
        # A second series for each, which nobody uses.
        prometheus.disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = prometheus.CollectorRegistry()
        prometheus.ProcessCollector(registry=self._registry)
        self._requests = self._counter(
            "requests", "Requests that were answered.", "method", "route", "status"
        )
        self._programs: set[str] = set()
        self._by_program = self._counter(
            "program_requests", "Requests that were answered, by the program.", "program"
        )
        self._errors = self._counter(
            "errors", "Requests that failed, by the code of their error.", "code"
        )
        self._tokens = self._counter(
            "tokens", "Tokens that the backend has counted.", "kind", "model"
        )
        self._refreshes = self._counter(
            "refreshes", "Renewals of the login: ok, or the code of their error.", "outcome"
        )
        self._retries = self._counter("retries", "Requests to the backend tried again.", "why")
        self._images = self._counter("images", "Pictures that the backend has made.")
        self._unknown = self._counter(
            "unknown",
            "What the backend sent and codexapi does not know, by name.",
            "kind",
            "name",
        )
        self._open = prometheus.Gauge(
            "codexapi_streams_open", "Runs that are open at the backend.", registry=self._registry
        )
        self._seconds = self._histogram("stream_seconds", "How long runs at the backend took.")
        self._first = self._histogram("first_event_seconds", "How long their first event took.")

    def page(self) -> bytes:
        return prometheus.generate_latest(self._registry)

    def answered(self, entry: Entry) -> None:
        method = entry.method if entry.method in METHODS else OTHER
        self._requests.labels(method, entry.route or OTHER, str(entry.status)).inc()
        self._by_program.labels(self._program(entry.program)).inc()
        if entry.code is not None:
            self._errors.labels(error_code(entry.code)).inc()

    def _program(self, program: str) -> str:
        """The name without the version: a client chooses both, so only the first names count."""
        name = program.partition(" ")[0] or OTHER
        if len(self._programs) < MAX_PROGRAM_LABELS:
            self._programs.add(name)
        return name if name in self._programs else OTHER

    def began(self) -> None:
        self._open.inc()

    def finished(self, run: FinishedRun, tokens: Mapping[str, int]) -> None:
        self._open.dec()
        self._seconds.observe(run.seconds)
        if run.first_after is not None:
            self._first.observe(run.first_after)
        for kind, count in tokens.items():  # a model that counts tokens is one of the backend's
            self._tokens.labels(kind, model_name(run.model)).inc(count)

    def retried(self, why: str) -> None:
        self._retries.labels(why).inc()

    def refreshed(self, outcome: str) -> None:
        self._refreshes.labels(error_code(outcome)).inc()

    def images_generated(self, pictures: int) -> None:
        self._images.inc(pictures)

    def unknown(self, kind: str, name: str, count: int) -> None:
        self._unknown.labels(kind, name).inc(count)

    def _counter(self, name: str, description: str, *labels: str) -> prometheus.Counter:
        return prometheus.Counter(f"codexapi_{name}", description, labels, registry=self._registry)

    def _histogram(self, name: str, description: str) -> prometheus.Histogram:
        return prometheus.Histogram(
            f"codexapi_{name}", description, buckets=SECONDS, registry=self._registry
        )


async def metrics(request: Request) -> Response:
    """GET /metrics"""
    page: bytes = request.app.state.reports.metrics.page()
    return Response(page, headers={"content-type": prometheus.CONTENT_TYPE_PLAIN_0_0_4})


ROUTE = Route("/metrics", metrics)
