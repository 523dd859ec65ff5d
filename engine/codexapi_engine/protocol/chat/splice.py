"""The fast way of plain deltas into chunks. The bytes are those of `ChatStream`, which
`chat/__init__.py` may name in place of `SplicingChatStream`.
"""

from __future__ import annotations

from ..plain_deltas import PlainDeltas, Splice, Splicer
from .reply import ChatStream


class SplicingChatStream(Splicer, ChatStream):
    """A ChatStream that parses no plain delta of a part that has begun."""

    @property
    def may_splice(self) -> bool:
        return not self._form.stop

    @property
    def _context(self) -> object:
        return self._shared.envelope

    def begin_splice(self, plain: PlainDeltas) -> Splice | None:
        part, index, before = plain.part, plain.part[0] or 0, self._head()
        if plain.is_text:
            if part not in self._starts or self._message_of != index or index in self._asides:
                return None
            before, behind = before + b'{"content":', b"}" + self._behind
        else:
            order = self._calls.get(index)
            if order is None or self._form.legacy:
                return None
            before += b'{"tool_calls":[{"index":%d,"function":{"arguments":' % order
            behind = b"}}]}" + self._behind
        return Splice(plain, before, behind, self._context)

    def end_splice(self, plain: PlainDeltas, text: str) -> None:
        (self._pieces if plain.is_text else self._inputs).delta(plain.part, text)
        if plain.is_text:
            self._length += len(text)
