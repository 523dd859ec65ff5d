"""The fast way of plain deltas into blocks. The bytes are those of `MessageStream`, which
`anthropic/__init__.py` may name in place of `SplicingMessageStream`.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..plain_deltas import TEXT_DELTA, Frame, Splicer
from ..responses import Part
from ..sse import DeltaBatch
from .content import rewrites
from .reply import INPUT_DELTA, TEXT_BLOCK_DELTA, MessageStream


class SplicingMessageStream(MessageStream, Splicer):
    """A MessageStream that parses no plain delta of a block that has begun."""

    def _feed_batch(self, deltas: DeltaBatch) -> Iterable[bytes]:
        return self._each(deltas) if self._options.stop else self._spliced(deltas)

    def _record(self, part: Part, text: str) -> None:
        self._pieces.delta(part, text)

    def _frame(self, kind: str, part: Part) -> Frame | None:
        if self._order.present != (part[0] or 0):
            return None
        if kind == TEXT_DELTA:
            return self._around(*TEXT_BLOCK_DELTA) if self._open == "text" else None
        streamed = self._call and not rewrites(self._call)
        return self._around(*INPUT_DELTA) if streamed and self._open == "tool_use" else None
