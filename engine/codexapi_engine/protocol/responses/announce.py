"""Adds the events that the official API sends around an item, where the backend omits them.

Some models send an item only when it is done (`tests/wires/items_only_when_done.sse`), deltas
without their item (`tests/wires/deltas_without_their_item.sse`), or a text without its deltas
(`tests/wires/no_text_deltas.sse`) or its part (`tests/wires/no_content_parts.sse`). A client that follows the official order
then shows nothing, or fails: it expects an item before its parts, a part before its deltas, and
the deltas before their end.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from ...errors import JsonObject, StreamInterrupted
from .. import json, sse
from ..shapes import get_dict, get_int, get_list, get_str
from ..sse import Event
from .texts import ARGUMENTS, DELTAS, ENDS, INPUT, OUTPUT_TEXT, PARTS, SUMMARY, TextForm

ADDED, DONE = "response.output_item.added", "response.output_item.done"

_OF_CALL = {"function_call": ARGUMENTS, "custom_tool_call": INPUT}
_DELTAS = {
    kind: PARTS.get(form.part, form)
    for kind, form in DELTAS.items()
    if form.part or form.role == "input"
}
_ENDS = {kind: form for kind, form in ENDS.items() if form in _DELTAS.values()}

_HOSTED = re.compile(r"response\.([a-z_]+_call)\.[a-z_]+")
_END = b"\n\n"
_SLACK = 24
"""Bytes by which the place of a member may differ from one delta to the next."""

_UNREAD = 64 * 1024
"""Bytes of deltas that are kept until their texts are read: many at a time cost least."""

_Mark = tuple[bytes, int, int | None]
"""Bytes of an event, and between which places they are."""

_DELTA = re.compile(rb'"delta":"([^"\\\n]*(?:\\.[^"\\\n]*)*)"')


class _Part:
    """A text of an item, as far as the client has it."""

    def __init__(self, form: TextForm, place: JsonObject) -> None:
        self.form = form
        self.place = place  # the members by which its events name it
        self.annotations = 0  # so many were sent
        self.ended = False  # the done event of the text was sent
        self.closed = False  # that of the part was
        self._chunks: list[bytes] = []  # its newest deltas, as they came
        self._count = 0  # so many they are
        self._size = 0  # and so many bytes
        self._literals: list[bytes] = []  # the texts of those before, in JSON
        self._unreadable = False  # one of them

    def add(self, chunk: bytes, count: int) -> None:
        self._chunks.append(chunk)
        self._count += count
        self._size += len(chunk)
        if self._size > _UNREAD:
            self._read_texts()

    def rest(self, whole: str) -> str:
        """What of the whole text was not streamed. Nothing where the two disagree: what is written
        cannot be taken back."""
        self._read_texts()
        literals, self._literals = self._literals, []
        if self._unreadable:
            return ""
        try:  # as one string: a pair of surrogates may be cut in two
            streamed = str(json.loads(b'"%b"' % b"".join(literals)))
        except ValueError:
            return ""
        return whole[len(streamed) :] if whole.startswith(streamed) else ""

    def _read_texts(self) -> None:
        """Takes the texts out of the newest deltas: an event is many times as long."""
        deltas, count = b"".join(self._chunks), self._count
        self._chunks, self._count, self._size = [], 0, 0
        found: list[bytes] = _DELTA.findall(deltas)
        if len(found) != count:
            try:
                texts = [get_str(event.json, "delta") for event in sse.Decoder().feed(deltas)]
            except StreamInterrupted:
                self._unreadable, texts = True, []
            found = [json.dumps(text)[1:-1] for text in texts]
        self._literals.append(b"".join(found))


class _Item:
    """An item that was announced."""

    def __init__(self, item: JsonObject, *, inferred: bool = False) -> None:
        self.id = get_str(item, "id")
        self.type = get_str(item, "type")
        self.inferred = inferred  # from an event of one of its parts
        self.done = False
        self.parts: dict[tuple[str, int], _Part] = {}


class Announcer:
    """Follows a stream, and makes up what is missing before each event.

    A delta like the one before it is not parsed: only `continues` looks at it.
    """

    def __init__(self) -> None:
        self._items: dict[int, _Item] = {}
        self._part: _Part | None = None  # that the newest delta belongs to
        self._kind = ""  # of that delta
        self._marks: tuple[_Mark, ...] = ()  # by which others of the part are known
        self._mixes = False  # deltas of other parts may come between

    def continues(self, kind: str, data: bytes, count: int) -> bool:
        """Whether these deltas belong to the part that the newest one belongs to, or are of no
        kind that matters here. `data` are `count` events as they came, blank lines included."""
        if kind != self._kind or (part := self._part) is None:
            return kind not in _DELTAS
        for mark, start, stop in self._marks:
            if data.find(mark, start, stop) < 0:
                return False
        if count > 1 and not self._are_alike(data, count):
            return False
        part.add(data, count)
        return True

    def _are_alike(self, data: bytes, count: int) -> bool:
        """Whether several deltas are of one part. Where others do not come between, the first and
        the last say so, in a tenth of the time."""
        if self._mixes:
            return all(data.count(mark) == count for mark, _, _ in self._marks)
        first, last = data[: data.index(_END) + 2], data[data.rindex(_END, 0, -2) + 2 :]
        return all(
            first.find(mark, start, stop) >= 0 and last.find(mark, start, stop) >= 0
            for mark, start, stop in self._marks
        )

    def _may_mix(self, part: _Part) -> bool:
        """Calls that are made in parallel may (`tests/wires/interleaved_tool_calls.sse`), whether
        they were announced or not; texts only where two are open."""
        form = part.form
        return form.role == "input" or any(
            other is not part and other.form is form and not other.ended
            for item in self._items.values()
            for other in item.parts.values()
        )

    def reads(self, kind: str) -> bool:
        """Whether an event of this kind has to be given to `feed`."""
        if kind in _HANDLERS or kind in _DELTAS or kind in _ENDS:
            return True
        return (hosted := _HOSTED.fullmatch(kind)) is not None and not any(
            item.type == hosted[1] and not item.done for item in self._items.values()
        )

    def feed(self, kind: str, event: Event) -> tuple[list[JsonObject], bool]:
        """What goes before an event, without sequence numbers, and whether the event passes."""
        self._part = None
        if form := _DELTAS.get(kind):
            return self._delta(form, kind, event)
        if form := _ENDS.get(kind):
            return self._text_end(form, event)
        if handler := _HANDLERS.get(kind):
            return handler(self, event)
        return self._hosted(kind, event)

    def finish(self, output: Iterable[JsonObject]) -> list[JsonObject]:
        """What is missing of the items that the last event lists: some have only been in deltas
        (`tests/wires/deltas_then_output_at_the_end.sse`)."""
        payloads: list[JsonObject] = []
        for position, item in enumerate(output):
            index = self._index_of(item, position)
            if (known := self._items.get(index)) is None or not known.done:
                payloads += self._close(index, item)
                payloads.append({"type": DONE, "output_index": index, "item": item})
        return payloads

    # Events, by their kind.

    def _begin_item(self, event: Event) -> tuple[list[JsonObject], bool]:
        item, index = (
            get_dict(event.parsed_lazily, "item"),
            get_int(event.parsed_lazily, "output_index"),
        )
        if index is None or not item:
            return [], True
        known = self._items.get(index)
        if known and (known.inferred or (known.id and known.id == get_str(item, "id"))):
            known.inferred = False
            return [], False  # it has been announced
        self._items[index] = _Item(item)
        return [], True

    def _end_item(self, event: Event) -> tuple[list[JsonObject], bool]:
        item, index = (
            get_dict(event.parsed_lazily, "item"),
            get_int(event.parsed_lazily, "output_index"),
        )
        if _has_parts(item):
            item = get_dict(event.json, "item")
        if index is not None:
            known = self._items.get(index)
            if known and known.done and known.id == get_str(item, "id"):
                return [], False  # it has been told
            return self._close(index, item), True
        index = self._next_index()
        end = {"type": DONE, "output_index": index, "item": item}
        return [*self._close(index, item), end], False

    def _part_added(self, event: Event) -> tuple[list[JsonObject], bool]:
        form = PARTS.get(get_str(get_dict(event.json, "part"), "type"))
        if form is None:
            return [], True
        payloads, item = self._announce(form, event.json)
        if item is None:
            return payloads, True
        key = _key(form, event.json)
        if key in item.parts:
            return payloads, False
        item.parts[key] = _Part(form, _position(form, event.json))
        return payloads, True

    def _part_done(self, event: Event) -> tuple[list[JsonObject], bool]:
        content = get_dict(event.json, "part")
        form = PARTS.get(get_str(content, "type"))
        payloads, part = self._open(form, event.json) if form else ([], None)
        if part is None:
            return payloads, True
        payloads += _text_end(part, content)
        part.closed = True
        return payloads, True

    def _delta(self, form: TextForm, kind: str, event: Event) -> tuple[list[JsonObject], bool]:
        data = event.json
        payloads, part = self._open(form, data)
        if part is None:
            return payloads, not _is_call_without_item(form, data)
        if not isinstance(data.get("delta"), str):
            return payloads, True
        part.add(event.encode(), 1)
        marks = _marks(form, event)
        if marks is not None:
            self._part, self._kind, self._marks = part, kind, marks
            self._mixes = self._may_mix(part)
        return payloads, True

    def _text_end(self, form: TextForm, event: Event) -> tuple[list[JsonObject], bool]:
        payloads, part = self._open(form, event.json)
        if part is None:
            return payloads, not _is_call_without_item(form, event.json)
        if not part.ended:
            payloads += _delta(part, part.rest(get_str(event.json, form.field)))
        part.ended = True
        return payloads, True

    def _annotation(self, event: Event) -> tuple[list[JsonObject], bool]:
        payloads, part = self._open(OUTPUT_TEXT, event.json)
        if part is not None:
            part.annotations += 1
        return payloads, True

    def _hosted(self, kind: str, event: Event) -> tuple[list[JsonObject], bool]:
        """An event of a hosted tool's call, such as `response.web_search_call.searching`."""
        index, hosted = get_int(event.json, "output_index"), _HOSTED.fullmatch(kind)
        if index is None or hosted is None or index in self._items:
            return [], True
        item = {"id": get_str(event.json, "item_id"), "type": hosted[1], "status": "in_progress"}
        self._items[index] = _Item(item, inferred=True)
        return [{"type": ADDED, "output_index": index, "item": item}], True

    # What is made up.

    def _announce(self, form: TextForm, data: JsonObject) -> tuple[list[JsonObject], _Item | None]:
        """The item of an event, after its announcement. None where it cannot be: of a call,
        the name is not known before the item is done."""
        index = get_int(data, "output_index")
        if index is None:
            return [], None
        if item := self._items.get(index):
            return [], item
        if form.role == "input":
            return [], None
        begun = _begun(form, get_str(data, "item_id"))
        self._items[index] = _Item(begun, inferred=True)
        return [{"type": ADDED, "output_index": index, "item": begun}], self._items[index]

    def _open(self, form: TextForm, data: JsonObject) -> tuple[list[JsonObject], _Part | None]:
        """The part of an event, after its announcement."""
        payloads, item = self._announce(form, data)
        if item is None:
            return payloads, None
        part, added = _add_part(item, form, _key(form, data), _position(form, data))
        return payloads + added, part

    def _close(self, index: int, item: JsonObject) -> list[JsonObject]:
        """All that is missing of an item but its own done event."""
        payloads: list[JsonObject] = []
        known = self._items.get(index)
        if known is None:
            known = self._items[index] = _Item(item)
            payloads.append({"type": ADDED, "output_index": index, "item": _empty(item)})
        for form, n, content in _item_texts(item):
            place: JsonObject = {"item_id": get_str(item, "id"), "output_index": index}
            if form.part_index:
                place[form.part_index] = n
            part, added = _add_part(known, form, (form.part_index, n), place)
            payloads += added + _text_end(part, content)
            if form.part and not part.closed:
                payloads.append({"type": _part_event(form, "done"), **part.place, "part": content})
            part.closed = True
        known.done = True
        return payloads

    def _index_of(self, item: JsonObject, position: int) -> int:
        """The index of an item of the last event's list: some lists leave items out, and some
        backends change an item's id."""
        name = get_str(item, "id")
        if name and (found := [i for i, known in self._items.items() if known.id == name]):
            return found[0]
        known = self._items.get(position)
        if known is None or not name or known.type == get_str(item, "type"):
            return position
        return self._next_index()

    def _next_index(self) -> int:
        return max(self._items, default=-1) + 1


_Handler = Callable[[Announcer, Event], tuple[list[JsonObject], bool]]
_HANDLERS: dict[str, _Handler] = {
    ADDED: Announcer._begin_item,
    DONE: Announcer._end_item,
    "response.content_part.added": Announcer._part_added,
    "response.content_part.done": Announcer._part_done,
    "response.reasoning_summary_part.added": Announcer._part_added,
    "response.reasoning_summary_part.done": Announcer._part_done,
    "response.output_text.annotation.added": Announcer._annotation,
}


def announcement(items: Iterable[JsonObject]) -> list[JsonObject]:
    """All events of finished items, without sequence numbers."""
    return Announcer().finish(items)


def _begun(form: TextForm, name: str) -> JsonObject:
    """An item of which nothing is known but a part."""
    if form.role == "reasoning":
        return {"id": name, "type": "reasoning", "summary": []}
    head: JsonObject = {"id": name, "type": "message", "status": "in_progress"}
    return {**head, "role": "assistant", "content": []}


def _empty(item: JsonObject) -> JsonObject:
    """A finished item as it was announced. What has no text to be streamed is announced whole, but
    for a picture, which is not there yet."""
    kind, empty = get_str(item, "type"), dict(item)
    if "status" in item or kind in ("message", *_OF_CALL):
        empty["status"] = "in_progress"
    if kind == "message":
        empty["content"] = []
    elif kind == "reasoning":
        empty = {
            name: empty[name] for name in empty if name not in ("content", "encrypted_content")
        }
        empty["summary"] = []
    elif form := _OF_CALL.get(kind):
        empty[form.field] = ""
    elif kind == "image_generation_call":
        empty["result"] = None
    return empty


def _has_parts(item: JsonObject) -> bool:
    kind = get_str(item, "type")
    return kind in ("message", "reasoning") or kind in _OF_CALL


def _item_texts(item: JsonObject) -> list[tuple[TextForm, int, JsonObject]]:
    """The texts of an item: which they are, and what has them whole."""
    if form := _OF_CALL.get(get_str(item, "type")):
        return [(form, 0, item)]
    if not _has_parts(item):
        return []
    parts = [*enumerate(get_list(item, "summary")), *enumerate(get_list(item, "content"))]
    return [(form, n, part) for n, part in parts if (form := PARTS.get(get_str(part, "type")))]


def _add_part(
    item: _Item, form: TextForm, key: tuple[str, int], place: JsonObject
) -> tuple[_Part, list[JsonObject]]:
    """The part of an item, and the event that adds it if it is new."""
    if part := item.parts.get(key):
        return part, []
    part = item.parts[key] = _Part(form, place)
    if not form.part:
        return part, []
    content: JsonObject = {"type": form.part, form.field: ""}
    if form is OUTPUT_TEXT:
        content = {"type": form.part, "annotations": [], "logprobs": [], "text": ""}
    return part, [{"type": _part_event(form, "added"), **place, "part": content}]


def _text_end(part: _Part, content: JsonObject) -> list[JsonObject]:
    """What is missing of a text up to its done event. `content` has it whole."""
    if part.ended:
        return []
    part.ended = True
    form, whole = part.form, get_str(content, part.form.field)
    payloads = _delta(part, part.rest(whole))
    for n, annotation in enumerate(get_list(content, "annotations")[part.annotations :]):
        at = {"annotation_index": part.annotations + n, "annotation": annotation}
        payloads.append({"type": f"{form.name}.annotation.added", **part.place, **at})
    return [*payloads, _text_event(part, "done", form.field, whole)]


def _delta(part: _Part, text: str) -> list[JsonObject]:
    return [_text_event(part, "delta", "delta", text)] if text else []


def _text_event(part: _Part, verb: str, field: str, text: str) -> JsonObject:
    payload = {"type": f"{part.form.name}.{verb}", **part.place, field: text}
    return {**payload, "logprobs": []} if part.form is OUTPUT_TEXT else payload


def _part_event(form: TextForm, verb: str) -> str:
    of = "reasoning_summary" if form.part_index == SUMMARY.part_index else "content"
    return f"response.{of}_part.{verb}"


def _key(form: TextForm, data: JsonObject) -> tuple[str, int]:
    return form.part_index, get_int(data, form.part_index) or 0


def _position(form: TextForm, data: JsonObject) -> JsonObject:
    place: JsonObject = {
        "item_id": get_str(data, "item_id"),
        "output_index": get_int(data, "output_index") or 0,
    }
    if form.part_index:
        place[form.part_index] = get_int(data, form.part_index) or 0
    return place


def _is_call_without_item(form: TextForm, data: JsonObject) -> bool:
    return form.role == "input" and get_int(data, "output_index") is not None


def _marks(form: TextForm, event: Event) -> tuple[_Mark, ...] | None:
    """Bytes that only events of the same part have: its indices, as this event writes them. None
    where that is not certain. In a string the quotes would be escaped, so they are members."""
    marks: list[_Mark] = []
    raw = event.raw
    for name in filter(None, ("output_index", form.part_index)):
        member = b'"%b":' % name.encode()
        mark = re.search(rb"%b%d[,}]" % (member, _value(event, name)), raw)
        if mark is None or raw.count(member) != 1:
            return None
        # Numbers and noise differ in length, so the place is not exact. To search all of an event
        # would cost ten times as much.
        at, stop = mark.start(), raw.find(b'"delta":')
        if at < stop:
            marks.append((mark[0], max(at - _SLACK, 0), mark.end() + _SLACK))
        else:
            marks.append((mark[0], at - len(raw) - len(_END) - _SLACK, None))
    return tuple(marks)


def _value(event: Event, name: str) -> int:
    value = get_int(event.json, name)
    return -1 if value is None else value
