"""The words of many deltas, cut out of them without parsing the rest.

To parse a delta and to write its chunk costs ten times what it costs to put its words, as they are
written, between the two halves of a chunk that is there. That may be done only where nothing else
could be meant: a `Likeness` is learnt from an event that was parsed, and proven by parsing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from ...errors import JsonObject, StreamInterrupted
from .. import json, sse
from ..sse import Deltas, Event

_WORDS = rb'"[^"\\\n]*(?:\\.[^"\\\n]*)*"'
_PLAIN = rb'"[^"\\\n]*"'
_NUMBER = rb"(?:0|[1-9][0-9]{0,11})"
_VARIES = {"delta": _WORDS, "item_id": _PLAIN, "obfuscation": _PLAIN, "sequence_number": _NUMBER}
"""What differs among the deltas of one part, and how it is written."""

_OTHER: JsonObject = {"delta": "x", "item_id": "x", "obfuscation": "x", "sequence_number": 7}
_PLACE = "\ue000codexapi\ue001"
_MEMBER = re.compile(
    b"|".join(b'"(%b)":(?=(%b)[,}])' % (name.encode(), how) for name, how in _VARIES.items())
)


class Likeness:
    """Events that mean the same as one that is known, but for what they say."""

    def __init__(self, pattern: re.Pattern[bytes]) -> None:
        self._pattern = pattern

    @classmethod
    def of(cls, event: Event) -> Likeness | None:
        """None where it is not certain what varies."""
        raw, data = event.raw, event.json
        pattern = other = b""
        changed: JsonObject = {}
        at = 0
        for member in _MEMBER.finditer(raw):
            name, value = (group for group in member.groups() if group is not None)
            kept = re.escape(raw[at : member.end()])
            pattern += kept + (b"(%b)" % _WORDS if name == b"delta" else _VARIES[name.decode()])
            changed[name.decode()] = told = _OTHER[name.decode()]
            other += raw[at : member.end()] + json.dumps(told)
            at = member.end() + len(value)
        pattern, other = pattern + re.escape(raw[at:]), other + raw[at:]
        try:
            proven = "delta" in changed and Event(other).json == {**data, **changed}
        except StreamInterrupted:
            return None
        found = re.compile(pattern + rb"\n\n")
        return cls(found) if proven and found.groups == 1 else None

    def words(self, deltas: Deltas) -> tuple[list[bytes], list[str]] | None:
        """What each says, as it is written and as it is meant; None if one is not alike."""
        written = self._pattern.findall(deltas.encode())
        if len(written) != deltas.count:
            return None
        # A line end between them: it stands in no string, so none can run into the next.
        listed = b"[%b]" % b",\n".join(written)
        if b"\\ud" in listed or b"\\uD" in listed:
            return None  # half of a pair may be alone
        try:
            deltas.check()
            meant = json.loads(listed)
        except (StreamInterrupted, ValueError):
            return None
        return written, meant


@dataclass(frozen=True, slots=True)
class Stretch:
    """Deltas of one part with nothing between them: what is the same for all."""

    likeness: Likeness
    before: bytes  # the words in a chunk
    behind: bytes
    part: tuple[int | None, int | None, int | None]
    is_content: bool
    envelope: JsonObject

    def chunks(self, written: list[bytes]) -> bytes:
        return self.before + (self.behind + self.before).join(written) + self.behind


def halves(chunk: bytes, piece: str) -> tuple[bytes, bytes] | None:
    """What stands before and behind the words in a chunk that says just this piece."""
    told: JsonObject = Event(chunk.removesuffix(b"\n\n")).json
    holder: Any = told["choices"][0]
    place: Any = "delta"
    while not isinstance(said := holder[place], str):  # the words are the innermost, and the last
        holder, place = said, (-1 if isinstance(said, list) else list(said)[-1])
    if said != piece:
        return None
    holder[place] = _PLACE
    before, _, behind = sse.encode(told).partition(json.dumps(_PLACE))
    return before, behind
