"""The fast way of plain deltas into lines. The bytes are those of `OllamaStream`, which
`ollama/__init__.py` may name in place of `SplicingOllamaStream`.
"""

from __future__ import annotations

from ..plain_deltas import TEXT_DELTA, PlainDeltas, Splice, Splicer
from ..responses import Part
from .reply import OllamaStream


class SplicingOllamaStream(Splicer, OllamaStream):
    """An OllamaStream that parses no plain delta of a message that has begun."""

    @property
    def may_splice(self) -> bool:
        return not self._options.stop

    def begin_splice(self, plain: PlainDeltas) -> Splice | None:
        index = plain.part[0] or 0
        streams = plain.place[0] == TEXT_DELTA and self._message_of == index
        return Splice(plain, *self._options.around) if streams else None

    def end_splice(self, part: Part, text: str) -> None:
        self._pieces.delta(part, text)
