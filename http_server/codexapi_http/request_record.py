"""The requests that run, and the newest of those that have ended, without their content.

The page, `codexapi status`, `codexapi top` and MCP show these. To remember one costs two changes of
a set and one append: the entry is the log's own, and is made into JSON only when somebody looks.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator

from codexapi_engine.bounds import MAX_RECENT_REQUESTS
from codexapi_engine.errors import JsonObject

from .middleware.request_log import Entry

UNRECORDED = frozenset({"/", "/healthz", "/metrics", "/openapi.json", "/status.json"})
"""Paths that watchers ask again and again: they would push out what is worth seeing."""

UNRECORDED_UNDER = ("/page/", "/status/")


class RequestRecord:
    def __init__(self, size: int = MAX_RECENT_REQUESTS) -> None:
        self._running: set[Entry] = set()
        self._recent: deque[Entry] = deque(maxlen=size)

    def begin(self, entry: Entry) -> None:
        self._running.add(entry)

    def end(self, entry: Entry) -> None:
        if entry in self._running:
            self._running.remove(entry)
            if _is_recorded(entry):
                self._recent.append(entry)

    def resume(self, entry: Entry) -> None:
        """A request that has been answered runs on: a response in the background."""
        if entry in self._recent:
            self._recent.remove(entry)
        self._running.add(entry)

    def running(self) -> list[Entry]:
        """The oldest first."""
        return sorted(filter(_is_recorded, self._running), key=lambda entry: entry.since)

    def recent(self) -> Iterator[Entry]:
        """The newest first."""
        return reversed(self._recent)

    def stop(self, request_id: str) -> bool:
        """Ends the work on a running request. False where none of this id can be stopped."""
        for entry in self.running():
            if entry.request_id == request_id and entry.stop is not None:
                entry.stopped = True
                entry.stop()
                return True
        return False


def _is_recorded(entry: Entry) -> bool:
    return entry.path not in UNRECORDED and not entry.path.startswith(UNRECORDED_UNDER)


def running_json(entry: Entry) -> JsonObject:
    return {
        **_shared_fields(entry),
        "seconds": round(time.monotonic() - entry.since, 3),
        "events": entry.events + sum(run.events for run in entry.runs),
        "stoppable": entry.stop is not None,
    }


def ended_json(entry: Entry) -> JsonObject:
    return {
        **_shared_fields(entry),
        "tokens": {kind: entry.tokens.get(kind) for kind in ("input", "cached", "output")},
        "first": None if entry.first is None else round(entry.first, 3),
        "seconds": round(entry.seconds, 3),
        "status": entry.status,
        "code": entry.code,
        "ignored": entry.ignored or None,
    }


def _shared_fields(entry: Entry) -> JsonObject:
    return {
        "request_id": entry.request_id,
        "at": entry.at,
        "program": entry.program or None,
        "method": entry.method,
        "route": entry.route or entry.path,
        "model": entry.model or None,
        "effort": entry.effort or None,
    }
