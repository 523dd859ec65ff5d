"""The fast way of plain deltas into blocks. The bytes are those of `MessageStream`, which
`anthropic/stream.py` may name in place of `SplicingMessageStream`.
"""

from __future__ import annotations

from ..plain_deltas import PlainDeltas, Splice, Splicer
from .content import rewrites
from .reply import INPUT_DELTA, TEXT_BLOCK_DELTA, MessageStream


class SplicingMessageStream(Splicer, MessageStream):
    """A MessageStream that parses no plain delta of a block that has begun."""

    @property
    def may_splice(self) -> bool:
        return not self._options.stop

    def begin_splice(self, plain: PlainDeltas) -> Splice | None:
        if self._order.present != (plain.part[0] or 0):
            return None
        if plain.is_text:
            streams, delta = self._open == "text", TEXT_BLOCK_DELTA
        else:
            streams, delta = bool(self._call) and not rewrites(self._call), INPUT_DELTA
            streams = streams and self._open == "tool_use"
        return Splice(plain, *self._around(*delta)) if streams else None

    def end_splice(self, plain: PlainDeltas, text: str) -> None:
        (self._pieces if plain.is_text else self._inputs).delta(plain.part, text)
