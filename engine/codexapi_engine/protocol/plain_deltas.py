"""Plain deltas: their texts go to a client as the backend wrote them, unparsed.

To parse a delta and to write its event costs five times as much. An optimisation alone: each dialect
that takes it has a `splice.py`, and gives the same bytes without.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ..errors import StreamInterrupted
from . import json
from .responses import Part
from .sse import DeltaBatch, Event, escape_line_ends

TEXT_DELTA = "response.output_text.delta"

Frame = tuple[bytes, bytes]
"""What stands before and behind a text in an event of the client."""

# All JSON that has this form is read alike: only strings and numbers vary, and a string ends at its
# first quote. The text has no escapes but those that we write too. Whatever else comes is parsed.
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
"""The orders in which backends write the members: the real one in alphabetical order, in each of
1,139 deltas of `tests/test_recorded_streams.py`; `tests/wires/` in that of the API's documentation.
"""


class PlainDeltas(NamedTuple):
    """Deltas of one part, none of which has to be parsed."""

    part: Part
    literals: list[bytes]  # the texts as JSON
    texts: list[str]

    @classmethod
    def of(cls, deltas: DeltaBatch) -> PlainDeltas | None:
        """None where one of them has another form, or is of another part."""
        data = deltas.encode()
        form = next((form for form in _FORMS if form.match(data)), None)
        if form is None:
            return None
        delta, output_index, content_index = (
            form.groupindex[name] - 1 for name in ("delta", "output_index", "content_index")
        )
        found = form.findall(data)
        places = {(groups[output_index], groups[content_index]) for groups in found}
        if len(found) != deltas.count or len(places) != 1:
            return None
        try:
            deltas.check()
        except StreamInterrupted:
            return None  # the good ones among them pass all the same
        literals = [groups[delta] for groups in found]
        ((index, content),) = places
        part = (int(index), None, int(content) if content else None)
        return cls(part, literals, json.loads(b"[%b]" % b",".join(literals)))

    @property
    def rest(self) -> PlainDeltas:
        """All but the first."""
        return self._replace(literals=self.literals[1:], texts=self.texts[1:])


class Splicer(ABC):
    """The part of a translator that takes plain deltas."""

    @abstractmethod
    def _frame(self, kind: str, part: Part) -> Frame | None:
        """None where a text of this part becomes more than one event, or none."""

    @abstractmethod
    def _record(self, part: Part, text: str) -> object: ...

    @abstractmethod
    def _each(self, deltas: Event) -> Iterable[bytes]:
        """The usual way, of one delta or several."""

    def _spliced(self, deltas: DeltaBatch) -> Iterable[bytes]:
        """The first of a part goes the usual way, which may begin something with it."""
        if (plain := PlainDeltas.of(deltas)) is None:
            return self._each(deltas)
        if (frame := self._frame(deltas.type, plain.part)) is not None:
            return self._splice(plain, frame)
        return self._begin_part(plain, deltas)

    def _begin_part(self, plain: PlainDeltas, deltas: DeltaBatch) -> Iterator[bytes]:
        first, rest = deltas.parted()
        yield from self._each(first)
        if rest is None:
            return
        if (frame := self._frame(deltas.type, plain.part)) is not None:
            yield from self._splice(plain.rest, frame)
        else:
            yield from self._each(rest)

    def _splice(self, plain: PlainDeltas, frame: Frame) -> Iterable[bytes]:
        self._record(plain.part, "".join(plain.texts))
        literals = plain.literals
        if "" in plain.texts:  # has no event
            literals = [literal for literal in literals if literal != b'""']
        if not literals:
            return ()
        before, behind = frame
        return (escape_line_ends(before + (behind + before).join(literals) + behind),)
