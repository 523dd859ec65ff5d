"""The words of many deltas, cut out of them without parsing the rest.

To parse a delta and to write its chunk costs ten times what it costs to put its words, as they are
written, between the two halves of a chunk that is there. That may be done only where nothing else
could be meant: a `DeltaPattern` is learnt from an event that was parsed, and proven by parsing.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol

from ..errors import JsonObject, StreamInterrupted
from . import json
from .shapes import number
from .sse import DeltaBatch, Event, escape_line_ends

Part = tuple[int | None, int | None, int | None]
"""Which part of which item: the indices of the item, of the summary, of the content."""

_WORDS = rb'"[^"\\\n]*(?:\\.[^"\\\n]*)*"'
_PLAIN = rb'"[^"\\\n]*"'
_NUMBER = rb"(?:0|[1-9][0-9]{0,11})"
_VARIES = {"delta": _WORDS, "item_id": _PLAIN, "obfuscation": _PLAIN, "sequence_number": _NUMBER}
"""What differs among the deltas of one part, and how it is written."""

_FILLINGS: tuple[JsonObject, JsonObject] = (
    {"delta": "x", "item_id": "x", "obfuscation": "x", "sequence_number": 7},
    {"delta": "y", "item_id": "y", "obfuscation": "y", "sequence_number": 8},
)
_MEMBER = re.compile(
    b"|".join(b'"(%b)":(?=(%b)[,}])' % (name.encode(), how) for name, how in _VARIES.items())
)
WORTHWHILE = 2
"""Deltas in a row, from which on it pays to learn what they have in common."""

KNOWN = 64
"""Likenesses that are remembered. A backend's deltas have a handful, whoever they are for."""
MAX_SKELETON_BYTES = 4096

Around = tuple[bytes, bytes]
"""What stands before and behind the words of a delta in its event."""

Skeleton = tuple[bytes, ...]
"""An event without what varies in it: the pieces between, each but the last with its member's name.
"""


class DeltaPattern:
    """Events that mean the same as one that is known, but for what they say."""

    def __init__(self, pattern: re.Pattern[bytes]) -> None:
        self._pattern = pattern

    @classmethod
    def of(cls, event: Event) -> DeltaPattern | None:
        """None where it is not certain what varies."""
        raw, at = event.raw, 0
        pieces: list[bytes] = []
        for member in _MEMBER.finditer(raw):
            pieces.append(raw[at : member.end()])
            at = member.end(member.lastindex or 0)
        pieces.append(raw[at:])
        size = sum(map(len, pieces))
        return _pattern(tuple(pieces)) if size <= MAX_SKELETON_BYTES else None

    def words(self, deltas: DeltaBatch) -> tuple[list[bytes], list[str]] | None:
        """What each says, as it is written and as it is meant; None if one is not alike."""
        written = self._pattern.findall(deltas.encode())
        if len(written) != deltas.count:
            return None
        # A line end between them: it stands in no string, so none can run into the next.
        listed = b"[" + b",\n".join(written) + b"]"
        if b"\\" in listed and (b"\\ud" in listed or b"\\uD" in listed):
            return None  # half of a pair may be alone
        try:
            deltas.check()
            meant = json.loads(listed)
        except (StreamInterrupted, ValueError):
            return None
        return written, meant


@functools.lru_cache(KNOWN)
def _pattern(skeleton: Skeleton) -> DeltaPattern | None:
    """What all events of this skeleton have in common, whatever stream they are of.

    What varies is a whole string or number behind the name of a member. In JSON no string can begin
    or end elsewhere, whatever such a value is: so if two events of one skeleton that differ in every
    such value are read as JSON that differs in just those members of the object, all are.
    """
    names = [piece[piece.rindex(b'"', 0, -2) + 1 : -2].decode() for piece in skeleton[:-1]]
    pattern = b""
    for piece, name in zip(skeleton, names, strict=False):
        pattern += re.escape(piece) + (b"(%b)" % _WORDS if name == "delta" else _VARIES[name])
    try:
        one, other = (_filled(skeleton, names, filling) for filling in _FILLINGS)
    except StreamInterrupted:
        return None
    varies = [{name: filling[name] for name in names} for filling in _FILLINGS]
    proven = one == {**other, **varies[0]} and other == {**one, **varies[1]}
    if not proven or names.count("delta") != 1:
        return None
    return DeltaPattern(re.compile(pattern + re.escape(skeleton[-1]) + rb"\n\n"))


def _filled(skeleton: Skeleton, names: list[str], filling: JsonObject) -> JsonObject:
    """The JSON of an event of this skeleton."""
    values = [*(json.dumps(filling[name]) for name in names), b""]
    raw = b"".join(part for pair in zip(skeleton, values, strict=True) for part in pair)
    return Event(raw).json


class _Run(NamedTuple):
    """Deltas of one part with nothing between them."""

    pattern: DeltaPattern
    part: Part
    before: bytes  # the words of an event
    between: bytes  # those of one event and of the next
    behind: bytes

    def events(self, written: list[bytes]) -> bytes:
        return escape_line_ends(self.before + self.between.join(written) + self.behind)


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
    before, behind = around
    return _Run(pattern, part_of(event.json), before, behind + before, behind)


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


def around_text(delta: bytes, piece: str) -> Around | None:
    """What stands before and behind the words in the JSON of a chunk's delta that says just them.
    None if it does not."""
    # The words are the innermost member, and the last. A quote behind a colon is none of a string's
    # own, which would be escaped: so here a string begins, and ends where the words end.
    words = escape_line_ends(json.dumps(piece))
    text = delta.rstrip(b"]}")
    return (text[: -len(words)], delta[len(text) :]) if text.endswith(b":" + words) else None
