"""The fast way of plain deltas into lines. The bytes are those of `OllamaStream`, which
`ollama/__init__.py` may name in place of `SplicingOllamaStream`.
"""

from __future__ import annotations

from ..plain_deltas import PlainDeltas, Splice, Splicer
from .reply import OllamaStream


class SplicingOllamaStream(Splicer, OllamaStream):
    """An OllamaStream that parses no plain delta of a message that has begun."""

    @property
    def may_splice(self) -> bool:
        return not self._options.stop

    def begin_splice(self, plain: PlainDeltas) -> Splice | None:
        index = plain.part[0] or 0
        streams = plain.is_text and self._message_of == index
        return Splice(plain, *self._options.around) if streams else None

    def end_splice(self, plain: PlainDeltas, text: str) -> None:
        self._pieces.delta(plain.part, text)
