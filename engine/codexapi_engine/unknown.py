"""Counts what the backend sends and codexapi does not know, by name and never by content.

What is known costs nothing: an event of a known type is looked at once in the life of a process,
and then passes by one look-up. Its item and its last event are parsed for other reasons, and
looked at each time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from .bounds import MAX_UNKNOWN_NAMES
from .errors import OTHER_CODE, CodexError, JsonObject, StreamInterrupted, from_event
from .protocol import known
from .protocol.responses import TERMINAL
from .protocol.sse import DeltaBatch, Event
from .telemetry import Observer

OTHER_NAMES = "(other names)"
DONE = "response.output_item.done"
_MOST_HEADERS = 500
_FAILURES = frozenset({"response.failed", "error"})


class UnknownNames:
    """The counts since the start, and the event types that need no look any more."""

    def __init__(self, observer: Observer | None = None) -> None:
        self._observer = observer or Observer()
        self._counts: dict[str, Counter[str]] = {}
        self.settled: set[str] = {""}
        self._settled_headers = set(known.HEADERS)
        self.looks = 0  # events that were parsed for this

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """By kind and name: the most frequent first."""
        return {kind: dict(names.most_common()) for kind, names in sorted(self._counts.items())}

    def event(self, event: Event, *, has_items: bool = False) -> None:
        """Looks at an event whose type is not settled. `has_items`: items of its stream have come
        as events of their own."""
        kind = event.type
        if kind not in known.EVENTS:
            self._add("event", known.plain(kind), event.count)
            return
        if kind != DONE and kind not in TERMINAL:
            self.settled.add(kind)
        self.looks += 1
        try:
            one = event.parted()[0] if isinstance(event, DeltaBatch) else event
            data = one.parsed_lazily
        except StreamInterrupted:  # its reader reports it
            return
        for unknown in known.unknown_names(kind, data, output=not has_items):
            self._add(*unknown)
        if kind in _FAILURES:
            self.error(from_event(data))

    def headers(self, names: Iterable[str]) -> None:
        """Those of one answer, in lower case."""
        if self._settled_headers.issuperset(names):
            return
        for name in names:
            unknown = known.unknown_headers([name])
            for one in unknown:
                self._add("header", one)
            if not unknown and len(self._settled_headers) < _MOST_HEADERS:
                self._settled_headers.add(name)

    def catalogue(self, listing: JsonObject) -> None:
        """The model list, as it came."""
        for name in sorted(known.catalogue_differences(listing)[0]):
            self._add("field", f"model: {name}")

    def error(self, error: CodexError) -> None:
        if error.known_code == OTHER_CODE:
            self._add("error", known.plain(error.code or error.type))

    def _add(self, kind: str, name: str, count: int = 1) -> None:
        names = self._counts.setdefault(kind, Counter())
        if name not in names and len(names) >= MAX_UNKNOWN_NAMES:
            name = OTHER_NAMES
        names[name] += count
        self._observer.unknown(kind, name, count)


def described(counts: Mapping[str, Mapping[str, int]]) -> list[str]:
    """The counts for a person: "event `response.x` 12 ×"."""
    return [
        f"{kind} `{name}` {count} ×"
        for kind, names in counts.items()
        for name, count in names.items()
    ]
