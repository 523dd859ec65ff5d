"""Many deltas in one step: their words are cut out unparsed and put into events that are there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol

from ...errors import JsonObject
from ..chat.splice import DeltaPattern, Part
from ..shapes import number
from ..sse import DeltaBatch, Event, escape_line_ends

WORTHWHILE = 2
"""Deltas in a row, from which on it pays to learn what they have in common."""

Around = tuple[bytes, bytes]
"""What stands before and behind the words of a delta in its event."""


class _Run(NamedTuple):
    """Deltas of one part with nothing between them."""

    pattern: DeltaPattern
    part: Part
    around: Around

    def events(self, written: list[bytes]) -> bytes:
        before, behind = self.around
        return escape_line_ends(before + (behind + before).join(written) + behind)


class Source(Protocol):
    """The translator whose deltas they are."""

    def translate(self, event: Event) -> Iterable[bytes]:
        """The usual way of one event."""

    def frame(self, event: Event, out: list[bytes]) -> Around | None:
        """What stands around the words of a delta in what the usual way gave; None if that is more
        than they."""

    def record(self, part: Part, words: str) -> None:
        """Hears of words that did not take the usual way."""


class Splicer:
    """The deltas of one stream. Its source comes with each call: to keep it would make a cycle,
    which only the garbage collector ends."""

    def __init__(self) -> None:
        self._run: _Run | None = None  # that the newest event belongs to
        self._alike = 0  # deltas since something else came, or was learnt
        self._learn_after = WORTHWHILE

    def reset(self) -> None:
        """Something else came."""
        self._run, self._alike, self._learn_after = None, 0, WORTHWHILE

    def feed(self, deltas: DeltaBatch, source: Source) -> Iterable[bytes]:
        if (events := self._splice(deltas, source)) is not None:
            return events
        self._run, self._alike = None, self._alike + deltas.count
        if self._alike < self._learn_after:
            return _each(deltas, source)
        return self._learning(deltas, source)

    def _splice(self, deltas: DeltaBatch, source: Source) -> Iterable[bytes] | None:
        run = self._run
        if run is None or (words := run.pattern.words(deltas)) is None:
            return None
        written, meant = words
        source.record(run.part, "".join(meant))
        if "" in meant:  # says nothing, and so has no event
            written = [word for word, piece in zip(written, meant, strict=True) if piece]
        return (run.events(written),) if written else ()

    def _learning(self, deltas: DeltaBatch, source: Source) -> Iterator[bytes]:
        # What cannot be learnt, or is soon over, is not tried at every event.
        self._alike, self._learn_after = 0, 2 * self._learn_after
        first, rest = deltas.parted()
        out = list(source.translate(first))
        yield from out
        self._run = _learn(first, source.frame(first, out))
        if rest is None:
            return
        if (events := self._splice(rest, source)) is None:
            self._run, events = None, _each(rest, source)
        yield from events


def _learn(event: Event, around: Around | None) -> _Run | None:
    pattern = DeltaPattern.of(event)
    if pattern is None or around is None:
        return None
    return _Run(pattern, part_of(event.json), around)


def _each(deltas: DeltaBatch, source: Source) -> Iterator[bytes]:
    for event in deltas.each:
        yield from source.translate(event)


def part_of(data: JsonObject) -> Part:
    """Which part of which item an event is about."""
    return (
        number(data, "output_index"),
        number(data, "summary_index"),
        number(data, "content_index"),
    )
