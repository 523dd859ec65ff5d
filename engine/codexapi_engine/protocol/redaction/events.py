"""Redacts a stream of server-sent events while it comes."""

from __future__ import annotations

import json
import re
from collections import deque
from typing import NamedTuple

from ...bounds import MAX_RECORDING_QUEUE_BYTES
from ...errors import JsonObject
from ..shapes import get_dict
from .byte_text import fit, redact_text
from .content import ContentDelta, DeltaText
from .filler import Filler
from .json_text import DeltaFiller, JsonRedaction
from .letters import blank, blank_literal
from .standins import Standins

_EVENT_END = re.compile(rb"\r\n\r\n|\n\n|\r\r|\n\r\n")
_EVENT_LINE = re.compile(r"(event|data|id|retry)(: ?)(.*)", re.DOTALL)
_LINES = re.compile(r"(\r\n|\n|\r)")
_COMMENT = re.compile(r":? ?(?:keep-?alive|ping)?")
_ENDS = (".done", ".completed", ".failed", ".incomplete")
"""Of the types of events behind which a text does not go on."""


class Events:
    """Each event is redacted when it is complete, and its content filled."""

    def __init__(self, standins: Standins, redaction: JsonRedaction) -> None:
        self._standins = standins
        self._redaction = redaction
        self._data = bytearray()
        self._searched = 0
        self._fillers: dict[str, Filler] = {}

    def feed(self, data: bytes) -> bytes:
        self._data += data
        done = []
        while found := _EVENT_END.search(self._data, max(0, self._searched - 3)):
            raw = bytes(self._data[: found.end()])
            del self._data[: found.end()]
            self._searched = 0
            done.append(self._take(raw))
        self._searched = len(self._data)
        return b"".join(done)

    def finish(self) -> bytes:
        raw = bytes(self._data)
        self._data.clear()
        return self._take(raw)

    def _take(self, raw: bytes) -> bytes:
        """Takes an event, and returns what can be written now."""
        event = _payload(raw) if b'"delta"' in raw else None
        filler = Filler(self._standins)
        if event is not None:
            filler = self._fillers.setdefault(_text_of(event), filler)
        return self._redacted(raw, filler)

    def _redacted(self, raw: bytes, delta: DeltaFiller | None) -> bytes:
        return fit(redact_text(raw, lambda text: self._event(text, delta)), raw)

    def _event(self, text: str, delta: DeltaFiller | None) -> str:
        lines = _LINES.split(text)
        single = sum(line.startswith("data:") for line in lines) < 2
        return "".join(self._line(line, delta, single=single) for line in lines)

    def _line(self, line: str, delta: DeltaFiller | None, *, single: bool) -> str:
        found = _EVENT_LINE.fullmatch(line)
        if found is None:
            return line if _COMMENT.fullmatch(line) or not line.strip() else blank(line)
        field, mark, value = found.groups()
        if field == "data":
            return field + mark + (self._data_line(value, delta) if single else blank(value))
        if field == "id":
            return field + mark + self._redaction.identifier(value)
        return field + mark + self._redaction.word(value)

    def _data_line(self, value: str, delta: DeltaFiller | None) -> str:
        if value == "[DONE]":
            return value
        if not value.lstrip().startswith(("{", "[")):
            return blank_literal(value)
        return self._redaction.redact(value, delta)


class _Place(NamedTuple):
    """What an event is of: an item, by all that names it, and a part of it."""

    item: frozenset[str]
    part: tuple[object, object]

    @classmethod
    def of(cls, event: JsonObject) -> _Place:
        names = event.get("item_id"), event.get("output_index"), get_dict(event, "item").get("id")
        item = frozenset(str(each) for each in names if each is not None)
        return cls(item, (event.get("content_index"), event.get("summary_index")))

    def holds(self, other: _Place) -> bool:
        """Whether the other is the same, or a part of it: no item is the whole response."""
        if not self.item:
            return True
        return bool(self.item & other.item) and self.part in ((None, None), other.part)


class ContentEvents(Events):
    """Content stays. An event waits while its delta may be a part of a token, and what is behind it
    waits too."""

    def __init__(self, standins: Standins, redaction: JsonRedaction) -> None:
        super().__init__(standins, redaction)
        self._texts: dict[str, tuple[_Place, DeltaText]] = {}
        self._waiting: deque[tuple[bytes, ContentDelta | None]] = deque()
        self._size = 0

    def finish(self) -> bytes:
        done = super().finish()
        self._close(_Place.of({}))
        return done + self._ready()

    def _take(self, raw: bytes) -> bytes:
        event = _payload(raw)
        if event is None and b'"delta"' in raw:  # it is cut off, and may go on with a token
            raw, event = fit(redact_text(raw, blank_literal), raw), {}
        event, delta = event or {}, None
        if isinstance(text := event.get("delta"), str):
            delta = ContentDelta(text, self._redaction.identifier)
            fresh = (_Place.of(event), DeltaText(self._redaction.identifier))
            self._texts.setdefault(_text_of(event), fresh)[1].feed(delta)
        elif str(event.get("type")).endswith(_ENDS):
            self._close(_Place.of(event))
        self._waiting.append((raw, delta))
        self._size += len(raw)
        if self._size > MAX_RECORDING_QUEUE_BYTES:
            for _, each in self._texts.values():
                each.overflow()
        return self._ready()

    def _close(self, ended: _Place) -> None:
        keys = [key for key, (place, _) in self._texts.items() if ended.holds(place)]
        for key in keys:
            self._texts.pop(key)[1].finish()

    def _ready(self) -> bytes:
        done = []
        while self._waiting:
            raw, delta = self._waiting[0]
            if delta is not None and delta.shown is None:
                break
            self._waiting.popleft()
            self._size -= len(raw)
            done.append(self._redacted(raw, delta))
        return b"".join(done)


def _payload(raw: bytes) -> JsonObject | None:
    """The JSON object of an event."""
    lines = _LINES.split(raw.decode("utf-8", "surrogateescape"))
    data = [line for line in lines if line.startswith("data:")]
    try:
        event = json.loads(data[0][5:]) if len(data) == 1 else None
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) else None


def _text_of(event: JsonObject) -> str:
    """The text that a delta goes on with."""
    item = event.get("item_id") or event.get("output_index")
    return str((event.get("type"), item, event.get("content_index"), event.get("summary_index")))
