"""Plain deltas: their texts go to a client as the backend wrote them, unparsed.

To parse a delta and to write its event costs five times as much. An optimisation alone: each dialect
that has it has a `splice.py`, and gives the same bytes without.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from ..errors import StreamInterrupted
from . import json
from .responses import Part
from .sse import DeltaBatch, Event, escape_line_ends
from .translator import EventTranslator

_TEXT_DELTA = b"response.output_text.delta"

# JSON of this form can be read in one way alone: only strings and numbers vary, and a string ends at
# its first quote. No half of a surrogate pair stands alone in the text. Anything else is parsed.
_STRING = rb'"[^"\\\x00-\x1f]*+"'
_UNIT = rb"u(?:[0-9a-ce-f][0-9a-f]{3}|d[0-7][0-9a-f]{2}|d[89ab][0-9a-f]{2}\\ud[c-f][0-9a-f]{2})"
_LITERAL = rb'"[^"\\\x00-\x1f]*+(?>(?:\\(?:["\\/bfnrt]|(?i:%b))[^"\\\x00-\x1f]*)*)"' % _UNIT
_FOREIGN = (rb"\u", rb"\/", rb"\b", rb"\f")  # escapes that we may write in another way
_NUMBER = rb"(?:0|[1-9][0-9]{0,11})"
_KIND = rb"(?P<kind>response\.(?:output_text|function_call_arguments)\.delta)"
_MEMBERS = {
    "delta": rb',"delta":(%b)' % _LITERAL,
    "item_id": rb',"item_id":%b' % _STRING,
    "output_index": rb',"output_index":(?P<output_index>%b)' % _NUMBER,
    "content_index": rb'(?:,"content_index":(?P<content_index>%b))?' % _NUMBER,
    "logprobs": rb'(?:,"logprobs":\[\])?',
    "obfuscation": rb',"obfuscation":%b' % _STRING,
    "sequence_number": rb',"sequence_number":%b' % _NUMBER,
}

_ORDERS = (
    "content_index delta item_id logprobs obfuscation output_index sequence_number",
    "sequence_number item_id output_index content_index delta logprobs obfuscation",
)
"""The orders in which backends write the members: the real one by the alphabet, in each of 956 such
deltas of `tests/test_recorded_streams.py`, and `tests/wires/` as the API's documentation does."""

Place = tuple[bytes, bytes, bytes | None]
"""Kind, output index and content index of a delta, as they are written."""


def _pattern(order: str, kind: bytes, again: bytes, **members: bytes) -> re.Pattern[bytes]:
    """Matches a delta. `kind` stands in its name, and `again` in its type."""
    body = b"".join(map({**_MEMBERS, **members}.__getitem__, order.split()))
    return re.compile(rb'event: %b\ndata: \{"type":"%b"%b\}\n\n' % (kind, again, body))


_ANY_PLACE = {order: _pattern(order, _KIND, b"(?P=kind)") for order in _ORDERS}


@lru_cache(64)
def _pattern_of_place(order: str, place: Place) -> re.Pattern[bytes]:
    """Matches the deltas of one place; its only group is the text."""
    kind, index, content_index = place
    return _pattern(
        order,
        re.escape(kind),
        re.escape(kind),
        output_index=b',"output_index":%b' % index,
        content_index=b"" if content_index is None else b',"content_index":%b' % content_index,
    )


class PlainDeltas(NamedTuple):
    """Deltas of one part in one of the orders."""

    place: Place
    literals: list[bytes]  # the texts, in JSON

    @classmethod
    def of(cls, deltas: DeltaBatch) -> PlainDeltas | None:
        """None where one of them is written otherwise, or is of another part."""
        data = deltas.encode()
        for order, pattern in _ANY_PLACE.items():
            if (first := pattern.match(data)) is not None:
                place = (first["kind"], first["output_index"], first["content_index"])
                literals = _pattern_of_place(order, place).findall(data)
                break
        else:
            return None
        if len(literals) != deltas.count:
            return None
        try:
            deltas.check()
        except StreamInterrupted:
            return None  # those before the unreadable one pass all the same
        joined = b",".join(literals)  # shorter by far than the events, where a search costs more
        if b"\\" in joined and any(escape in joined for escape in _FOREIGN):
            literals = [json.dumps(text) for text in json.loads(b"[%b]" % joined)]
        return cls(place, literals)

    @property
    def is_text(self) -> bool:
        """Of an answer, and not of a call's arguments."""
        return self.place[0] == _TEXT_DELTA

    @property
    def part(self) -> Part:
        _, index, content_index = self.place
        return int(index), None, None if content_index is None else int(content_index)


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
    def begin_splice(self, plain: PlainDeltas) -> Splice | None:
        """What events of this part have around their texts, once the first has been translated.
        None where a text of it becomes more than an event of its own, or less."""

    @abstractmethod
    def end_splice(self, plain: PlainDeltas, text: str) -> object:
        """Another event comes, and the state must have this text of the part of `plain`."""

    @property
    def _context(self) -> object:
        """What else than the texts the events depend on."""
        return None

    @property
    @abstractmethod
    def may_splice(self) -> bool:
        """False for a stream whose texts must be read, as for its stop sequences."""

    def feed(self, event: Event) -> Iterable[bytes]:
        if (
            isinstance(event, DeltaBatch)
            and self.may_splice
            and event.type in self.HANDLERS
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
            self._splice = self.begin_splice(plain)
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
            self.end_splice(splice.plain, "".join(texts))
