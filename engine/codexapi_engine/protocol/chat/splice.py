"""The fast way of plain deltas: their text goes into the chunks as it is written, unparsed.

To parse a delta and to write its chunk costs five times as much. An optimisation alone: the bytes
are those of `ChatStream`, which `chat/__init__.py` may name in place of `SplicingChatStream`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ...errors import StreamInterrupted
from .. import json
from ..sse import DeltaBatch, escape_line_ends
from .reply import ChatStream, Handler, Part

_TEXT_DELTA = "response.output_text.delta"

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


class SplicingChatStream(ChatStream):
    """A ChatStream that parses no plain delta of a part that has begun."""

    def _feed_batch(self, deltas: DeltaBatch, handler: Handler) -> Iterable[bytes]:
        plain = None if self._form.stop else PlainDeltas.of(deltas)
        if plain is None:
            return super()._feed_batch(deltas, handler)
        if (frame := self._frame(deltas.type, plain.part)) is not None:
            return self._splice(plain, *frame)
        return self._begin_part(plain, deltas, handler)

    def _begin_part(
        self, plain: PlainDeltas, deltas: DeltaBatch, handler: Handler
    ) -> Iterator[bytes]:
        first, rest = deltas.parted()
        yield from handler(self, first.json)
        if rest is None:
            return
        if (frame := self._frame(deltas.type, plain.part)) is not None:
            yield from self._splice(plain.rest, *frame)
        else:
            yield from super()._feed_batch(rest, handler)

    def _frame(self, kind: str, part: Part) -> tuple[bytes, bytes] | None:
        """What a chunk has around a text of this part. None where the text becomes more than that
        chunk, or none."""
        index = part[0] or 0
        if kind == _TEXT_DELTA:
            is_open = part in self._starts and self._message_of == index
            return (b'{"content":', b"}") if is_open and index not in self._asides else None
        order = self._calls.get(index)
        if order is None or self._form.legacy:
            return None
        return b'{"tool_calls":[{"index":%d,"function":{"arguments":' % order, b"}}]}"

    def _splice(self, plain: PlainDeltas, before: bytes, behind: bytes) -> Iterable[bytes]:
        text, literals = self._pieces.delta(plain.part, "".join(plain.texts)), plain.literals
        if plain.part in self._starts:
            self._length += len(text)
        if "" in plain.texts:  # has no chunk
            literals = [literal for literal in literals if literal != b'""']
        if not literals:
            return ()
        before, behind = self._head() + before, behind + self._behind
        return (escape_line_ends(before + (behind + before).join(literals) + behind),)
