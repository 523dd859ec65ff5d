"""Plain deltas: their texts go to a client as the backend wrote them, unparsed.

To parse a delta and to write its event costs five times as much. An optimisation alone: each dialect
that has it has a `splice.py`, and gives the same bytes without.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from operator import itemgetter
from typing import NamedTuple

from ..errors import StreamInterrupted
from . import json
from .responses import Part
from .sse import DeltaBatch, Event, escape_line_ends
from .translator import EventTranslator

TEXT_DELTA = b"response.output_text.delta"

# JSON of this form can be read in one way alone: only strings and numbers vary, and a string ends at
# its first quote. The text has no escapes but those that we write too. Anything else is parsed.
_STRING = rb'"[^"\\\x00-\x1f]*"'
_LITERAL = rb'"[^"\\\x00-\x1f]*(?:\\["\\nrt][^"\\\x00-\x1f]*)*"'
_NUMBER = rb"(?:0|[1-9][0-9]{0,11})"
_MEMBERS = {
    "delta": rb',"delta":(?P<delta>%b)' % _LITERAL,
    "item_id": rb',"item_id":%b' % _STRING,
    "output_index": rb',"output_index":(?P<output_index>%b)' % _NUMBER,
    "content_index": rb'(?:,"content_index":(?P<content_index>%b))?' % _NUMBER,
    "logprobs": rb'(?:,"logprobs":\[\])?',
    "obfuscation": rb',"obfuscation":%b' % _STRING,
    "sequence_number": rb',"sequence_number":%b' % _NUMBER,
}


Groups = tuple[bytes, ...]
"""The groups of a match; an absent one is empty."""

Place = tuple[bytes, ...]
"""Kind, output index and content index of a delta, as they are written."""


class _Order:
    """An order of the members, and where the groups are in a match."""

    def __init__(self, members: str) -> None:
        self.pattern = re.compile(
            rb"event: (?P<kind>response\.(?:output_text|function_call_arguments)\.delta)\n"
            rb'data: \{"type":"(?P=kind)"%b\}\n\n'
            % b"".join(map(_MEMBERS.__getitem__, members.split()))
        )
        groups = self.pattern.groupindex
        place = [groups[name] - 1 for name in ("kind", "output_index", "content_index")]
        self.place: Callable[[Groups], Place] = itemgetter(*place)
        self.literal: Callable[[Groups], bytes] = itemgetter(groups["delta"] - 1)


_ORDERS = (
    _Order("content_index delta item_id logprobs obfuscation output_index sequence_number"),
    _Order("sequence_number item_id output_index content_index delta logprobs obfuscation"),
)
"""The orders in which backends write the members: the real one by the alphabet, in each of 956 such
deltas of `tests/test_recorded_streams.py`, and `tests/wires/` as the API's documentation does."""


class PlainDeltas(NamedTuple):
    """Deltas of one part in one of the orders."""

    place: Place
    literals: list[bytes]  # the texts, in JSON

    @classmethod
    def of(cls, deltas: DeltaBatch) -> PlainDeltas | None:
        """None where one of them has another form, or is of another part."""
        data = deltas.encode()
        for order in _ORDERS:
            if order.pattern.match(data):
                break
        else:
            return None
        found: list[Groups] = order.pattern.findall(data)
        places = set(map(order.place, found))
        if len(found) != deltas.count or len(places) != 1:
            return None
        try:
            deltas.check()
        except StreamInterrupted:
            return None  # those before the unreadable one pass all the same
        return cls(places.pop(), list(map(order.literal, found)))

    @property
    def part(self) -> Part:
        _, index, content_index = self.place
        return int(index), None, int(content_index) if content_index else None


@dataclass(slots=True)
class Splice:
    """Deltas of one part with no other event between them: their events, but for the texts."""

    plain: PlainDeltas  # the first
    before: bytes
    behind: bytes
    context: object = None  # it holds as long as this is the translator's
    unread: list[bytes] = field(default_factory=list)  # literals the state machine has not seen

    def events(self, literals: list[bytes]) -> Iterable[bytes]:
        self.unread.append(b",".join(literals))
        texts = [literal for literal in literals if literal != b'""']  # an empty one has no event
        if not texts:
            return ()
        events = self.before + (self.behind + self.before).join(texts) + self.behind
        return (escape_line_ends(events),)


class Splicer(EventTranslator):
    """A translator that parses only the first of plain deltas that follow one another."""

    _splice: Splice | None = None

    @abstractmethod
    def _begin_splice(self, plain: PlainDeltas) -> Splice | None:
        """What events of this part have around their texts, once the first has been translated.
        None where a text of it becomes more than an event of its own, or less."""

    @abstractmethod
    def _end_splice(self, part: Part, text: str) -> object:
        """Another event comes, and the state must have these texts, all of one part."""

    @property
    def _context(self) -> object:
        """What else than the texts the events depend on."""
        return None

    @property
    @abstractmethod
    def _may_splice(self) -> bool:
        """False for a stream whose texts must be read, as for its stop sequences."""

    def feed(self, event: Event) -> Iterable[bytes]:
        if (
            isinstance(event, DeltaBatch)
            and self._may_splice
            and (plain := PlainDeltas.of(event)) is not None
        ):
            return self._feed_plain(event, plain)
        if self._splice is not None:
            self._parse_literals(self._splice)
        return super().feed(event)

    def _feed_plain(self, deltas: DeltaBatch, plain: PlainDeltas) -> Iterable[bytes]:
        splice = self._splice
        if (
            splice is not None
            and splice.plain.place == plain.place
            and splice.context is self._context
        ):
            return splice.events(plain.literals)
        if splice is not None:
            self._parse_literals(splice)
        return self._first(deltas, plain)

    def _first(self, deltas: DeltaBatch, plain: PlainDeltas) -> Iterator[bytes]:
        first, rest = deltas.parted()
        yield from super().feed(first)
        if not self.finished:
            self._splice = self._begin_splice(plain)
        if rest is None:
            return
        if self._splice is None:
            yield from super().feed(rest)
        else:
            yield from self._splice.events(plain.literals[1:])

    def _parse_literals(self, splice: Splice) -> None:
        self._splice = None
        if splice.unread:
            texts = json.loads(b"[%b]" % b",".join(splice.unread))
            self._end_splice(splice.plain.part, "".join(texts))
