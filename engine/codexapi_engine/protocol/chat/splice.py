"""The fast way of plain deltas: their texts go into the chunks as they are written, unparsed.

To parse a delta and to write its chunk costs five times as much. An optimisation alone: the bytes
are those of `ChatStream`, which `chat/__init__.py` may name in place of `SplicingChatStream`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from ...errors import JsonObject, StreamInterrupted
from .. import json
from ..sse import DeltaBatch, Event, escape_line_ends
from .reply import ChatStream, Part

_TEXT_DELTA = b"response.output_text.delta"

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


def _form(members: str) -> re.Pattern[bytes]:
    return re.compile(
        rb"event: (?P<kind>response\.(?:output_text|function_call_arguments)\.delta)\n"
        rb'data: \{"type":"(?P=kind)"%b\}\n\n'
        % b"".join(map(_MEMBERS.__getitem__, members.split()))
    )


_FORMS = (
    _form("content_index delta item_id logprobs obfuscation output_index sequence_number"),
    _form("sequence_number item_id output_index content_index delta logprobs obfuscation"),
)
"""The orders in which backends write the members: the real one by the alphabet, in each of 956 such
deltas of `tests/test_recorded_streams.py`, and `tests/wires/` as the API's documentation does."""

Place = tuple[bytes, ...]
"""Kind, output index and content index of a delta, as they are written."""


class PlainDeltas(NamedTuple):
    """Deltas of one part in one of the forms."""

    place: Place
    literals: list[bytes]  # the texts, in JSON

    @classmethod
    def of(cls, deltas: DeltaBatch) -> PlainDeltas | None:
        """None where one of them has another form, or is of another part."""
        data = deltas.encode()
        for form in _FORMS:
            if form.match(data):
                break
        else:
            return None
        found = list(form.finditer(data))
        places = {delta.group("kind", "output_index", "content_index") for delta in found}
        if len(found) != deltas.count or len(places) != 1:
            return None
        try:
            deltas.check()
        except StreamInterrupted:
            return None  # those before the unreadable one pass all the same
        return cls(places.pop(), [delta["delta"] for delta in found])

    @property
    def part(self) -> Part:
        _, index, content_index = self.place
        return int(index), None, int(content_index) if content_index else None


@dataclass(slots=True)
class _Splice:
    """Deltas of one part with no other event between them: their chunks, but for the texts."""

    place: Place
    part: Part
    envelope: JsonObject  # which the chunks have
    before: bytes
    behind: bytes
    unread: list[bytes] = field(default_factory=list)  # literals the state machine has not seen

    def chunks(self, literals: list[bytes]) -> Iterable[bytes]:
        self.unread.append(b",".join(literals))
        texts = [literal for literal in literals if literal != b'""']  # an empty one has no chunk
        if not texts:
            return ()
        chunks = self.before + (self.behind + self.before).join(texts) + self.behind
        return (escape_line_ends(chunks),)


class SplicingChatStream(ChatStream):
    """A ChatStream that parses only the first of plain deltas that follow one another."""

    _splice: _Splice | None = None

    def feed(self, event: Event) -> Iterable[bytes]:
        if isinstance(event, DeltaBatch) and (plain := PlainDeltas.of(event)) is not None:
            return self._feed_plain(event, plain)
        self._end_splice()
        return super().feed(event)

    def _feed_plain(self, deltas: DeltaBatch, plain: PlainDeltas) -> Iterable[bytes]:
        splice = self._splice
        if (
            splice is not None
            and splice.place == plain.place
            and splice.envelope is self._shared.envelope
        ):
            return splice.chunks(plain.literals)
        self._end_splice()
        if self.finished or self._form.stop:
            return super().feed(deltas)
        return self._begin_splice(deltas, plain)

    def _begin_splice(self, deltas: DeltaBatch, plain: PlainDeltas) -> Iterator[bytes]:
        first, rest = deltas.parted()
        yield from super().feed(first)
        self._splice = self._splice_at(plain)
        if rest is None:
            return
        if self._splice is None:
            yield from super().feed(rest)
        else:
            yield from self._splice.chunks(plain.literals[1:])

    def _splice_at(self, plain: PlainDeltas) -> _Splice | None:
        """None where a text of this part becomes more than a chunk of its own, or less."""
        part, index, before = plain.part, plain.part[0] or 0, self._head()
        if plain.place[0] == _TEXT_DELTA:
            if part not in self._starts or self._message_of != index or index in self._asides:
                return None
            before, behind = before + b'{"content":', b"}" + self._behind
        else:
            order = self._calls.get(index)
            if order is None or self._form.legacy:
                return None
            before += b'{"tool_calls":[{"index":%d,"function":{"arguments":' % order
            behind = b"}}]}" + self._behind
        return _Splice(plain.place, part, self._envelope, before, behind)

    def _end_splice(self) -> None:
        splice, self._splice = self._splice, None
        if splice is not None and splice.unread:
            texts = json.loads(b"[%b]" % b",".join(splice.unread))
            text = self._pieces.delta(splice.part, "".join(texts))
            if splice.part in self._starts:
                self._length += len(text)
