"""Many deltas in one step: their words are cut out unparsed and put into events that are there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from ...errors import JsonObject
from ..chat.splice import DeltaPattern, Part
from ..shapes import get_int
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


class Splicer:
    """`translate` is the usual way of one event, `frame` what stands around its words in what that
    way gave (None if it gave more than those), and `record` hears of the words of a part."""

    def __init__(
        self,
        translate: Callable[[Event], Iterable[bytes]],
        frame: Callable[[Event, list[bytes]], Around | None],
        record: Callable[[Part, str], object],
    ) -> None:
        # set once
        self._translate = translate
        self._frame = frame
        self._record = record
        # moves as the stream moves
        self._run: _Run | None = None  # that the newest event belongs to
        self._alike = 0  # deltas since something else came, or was learnt
        self._learn_after = WORTHWHILE

    def reset(self) -> None:
        """Something else came."""
        self._run, self._alike, self._learn_after = None, 0, WORTHWHILE

    def feed(self, deltas: DeltaBatch) -> Iterable[bytes]:
        if (events := self._splice(deltas)) is not None:
            return events
        self._run, self._alike = None, self._alike + deltas.count
        return self._each(deltas) if self._alike < self._learn_after else self._learning(deltas)

    def _splice(self, deltas: DeltaBatch) -> Iterable[bytes] | None:
        run = self._run
        if run is None or (words := run.pattern.words(deltas)) is None:
            return None
        written, meant = words
        self._record(run.part, "".join(meant))
        if "" in meant:  # says nothing, and so has no event
            written = [word for word, piece in zip(written, meant, strict=True) if piece]
        return (run.events(written),) if written else ()

    def _learning(self, deltas: DeltaBatch) -> Iterator[bytes]:
        # What cannot be learnt, or is soon over, is not tried at every event.
        self._alike, self._learn_after = 0, 2 * self._learn_after
        first, rest = deltas.parted()
        out = list(self._translate(first))
        yield from out
        self._run = self._learn(first, out)
        if rest is None:
            return
        if (events := self._splice(rest)) is None:
            self._run, events = None, self._each(rest)
        yield from events

    def _learn(self, event: Event, out: list[bytes]) -> _Run | None:
        pattern, around = DeltaPattern.of(event), self._frame(event, out)
        if pattern is None or around is None:
            return None
        return _Run(pattern, part_of(event.json), around)

    def _each(self, deltas: DeltaBatch) -> Iterator[bytes]:
        for event in deltas.each:
            yield from self._translate(event)


def part_of(data: JsonObject) -> Part:
    """Which part of which item an event is about."""
    return (
        get_int(data, "output_index"),
        get_int(data, "summary_index"),
        get_int(data, "content_index"),
    )
