"""`--verbose`: an observer that prints the backend's events to stderr."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

from codexapi_engine.protocol.headers import masked
from codexapi_engine.protocol.shapes import get_dict
from codexapi_engine.telemetry import Exchange, FinishedRun, Observer

from .output import say_drawn


class VerboseObserver(Observer):
    """`headers`: those of every request and answer, too; what is secret in them is left out."""

    def __init__(self, *, headers: bool = False) -> None:
        self._headers = headers
        drawn = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self._clear = "\r\x1b[K" if drawn else ""  # a progress line, perhaps

    def finished(self, run: FinishedRun) -> None:
        self._say(f"codexapi: {', '.join(_facts(run))}")

    def retried(self, why: str) -> None:
        self._say(f"codexapi: tried again ({why})")

    def refreshed(self, outcome: str) -> None:
        self._say(f"codexapi: the login was renewed ({outcome})")

    def exchanged(self, exchange: Exchange) -> None:
        if not self._headers:
            return
        for mark, first, headers in (
            ("> ", f"{exchange.method} {exchange.url}", exchange.sent),
            ("< ", str(exchange.status), exchange.received),
        ):
            self._say(f"{mark}{first}")
            for name, value in masked(headers).items():
                self._say(f"{mark}{name}: {value}")

    def _say(self, line: str) -> None:
        say_drawn(self._clear + "".join(c if c.isprintable() else "?" for c in line))


def _facts(run: FinishedRun) -> Iterator[str]:
    yield run.model or "no model"
    yield f"{run.seconds:.2f} s"
    if run.first_after is not None:
        yield f"the first event after {run.first_after:.2f} s"
    if run.usage:
        cached = get_dict(run.usage, "input_tokens_details").get("cached_tokens", 0)
        thought = get_dict(run.usage, "output_tokens_details").get("reasoning_tokens", 0)
        yield f"{run.usage.get('input_tokens')} tokens in ({cached} cached)"
        yield f"{run.usage.get('output_tokens')} out ({thought} reasoning)"
    yield f"request {run.backend_id or 'without an id'}"
