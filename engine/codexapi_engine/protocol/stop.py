"""Stop sequences, which the backend does not know: text passes up to the first of them."""

from __future__ import annotations

from collections.abc import Sequence


class Stop:
    """Cuts a streamed text at its first stop sequence. `hit`: the sequence was found."""

    def __init__(self, sequences: Sequence[str]) -> None:
        self._sequences = [sequence for sequence in sequences if sequence]
        self._pending = ""
        self.hit = False

    def feed(self, text: str) -> str:
        """All but what could be the beginning of a sequence, or what follows one."""
        if self.hit:
            return ""
        if not self._sequences:
            return text
        text, self._pending = self._pending + text, ""
        # The one that ends first, however the text is split; of two that end there, the longer.
        found = [
            (at + len(sequence), at)
            for sequence in self._sequences
            if (at := text.find(sequence)) >= 0
        ]
        if found:
            self.hit = True
            return text[: min(found)[1]]
        overlap = max((_overlap(text, sequence) for sequence in self._sequences), default=0)
        end = len(text) - overlap
        self._pending = text[end:]
        return text[:end]

    def rest(self) -> str:
        """What was held back for a sequence that did not come."""
        text, self._pending = self._pending, ""
        return text


def cut(text: str, sequences: Sequence[str]) -> tuple[str, bool]:
    """The text before the first sequence, and whether there was one."""
    stop = Stop(sequences)
    before = stop.feed(text)
    return before + stop.rest(), stop.hit


def _overlap(text: str, sequence: str) -> int:
    """How much of the end of `text` is a beginning of `sequence`."""
    for size in range(min(len(sequence) - 1, len(text)), 0, -1):
        if text.endswith(sequence[:size]):
            return size
    return 0
