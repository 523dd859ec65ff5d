"""The fast way of plain deltas into chunks. The bytes are those of `ChatStream`, which
`chat/__init__.py` may name in place of `SplicingChatStream`.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..plain_deltas import TEXT_DELTA, Frame, Splicer
from ..responses import Part
from ..sse import DeltaBatch
from .reply import ChatStream


class SplicingChatStream(ChatStream, Splicer):
    """A ChatStream that parses no plain delta of a part that has begun."""

    def _feed_batch(self, deltas: DeltaBatch) -> Iterable[bytes]:
        return self._each(deltas) if self._form.stop else self._spliced(deltas)

    def _frame(self, kind: str, part: Part) -> Frame | None:
        index = part[0] or 0
        if kind == TEXT_DELTA:
            is_open = part in self._starts and self._message_of == index
            if not is_open or index in self._asides:
                return None
            return self._head() + b'{"content":', b"}" + self._behind
        order = self._calls.get(index)
        if order is None or self._form.legacy:
            return None
        before = b'{"tool_calls":[{"index":%d,"function":{"arguments":' % order
        return self._head() + before, b"}}]}" + self._behind

    def _record(self, part: Part, text: str) -> None:
        self._pieces.delta(part, text)
        if part in self._starts:
            self._length += len(text)
