"""The order of a Responses stream, as the official API keeps it: a state machine that knows nothing
of ours. A client that follows it may count on everything that is asserted here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

JsonObject = dict[str, Any]

PARTS = {  # the type of a part -> the beginning of its events, the text's field, the index
    "output_text": ("response.output_text", "text", "content_index"),
    "refusal": ("response.refusal", "refusal", "content_index"),
    "reasoning_text": ("response.reasoning_text", "text", "content_index"),
    "summary_text": ("response.reasoning_summary_text", "text", "summary_index"),
}
CALLS = {
    "function_call": ("response.function_call_arguments", "arguments"),
    "custom_tool_call": ("response.custom_tool_call_input", "input"),
}
TEXTS = {name: kind for kind, (name, _, _) in PARTS.items()}
INPUTS = {name: kind for kind, (name, _) in CALLS.items()}
LISTS = {"summary_index": "summary", "content_index": "content"}
ENDS = {"response.completed", "response.incomplete", "response.failed", "error"}


@dataclass
class Text:
    """A part of an item, or the input of a call."""

    kind: str
    text: str = ""
    annotations: list[JsonObject] = field(default_factory=list)
    ended: bool = False
    closed: bool = False


@dataclass
class Item:
    name: str
    type: str
    parts: dict[tuple[str, int], Text] = field(default_factory=dict)
    done: JsonObject | None = None


class Grammar:
    """Takes each event's JSON in order; `output` are the items that it makes of them."""

    def __init__(self) -> None:
        self.items: list[Item] = []
        self.ended = ""
        self._numbers = 0

    @property
    def output(self) -> list[JsonObject]:
        """The items that are done."""
        return [item.done for item in self.items if item.done is not None]

    def take(self, data: JsonObject) -> None:
        kind = data["type"]
        assert not self.ended, f"{kind} follows {self.ended}"
        if "sequence_number" in data:
            assert data["sequence_number"] == self._numbers, kind
            self._numbers += 1
        name, _, verb = kind.rpartition(".")
        if kind == "response.output_item.added":
            self._item_added(data)
        elif kind == "response.output_item.done":
            self._item_done(data)
        elif name in ("response.content_part", "response.reasoning_summary_part"):
            (self._part_added if verb == "added" else self._part_done)(data)
        elif name in TEXTS or name in INPUTS:
            self._text(name, verb, data)
        elif kind == "response.output_text.annotation.added":
            part = self._part("output_text", data)
            assert not part.ended
            assert data["annotation_index"] == len(part.annotations)
            part.annotations.append(data["annotation"])
        elif name.endswith("_call") and "output_index" in data:
            item = self._open(data)
            assert item.type == name.removeprefix("response."), kind
        elif kind in ENDS:
            self._end(kind, data)

    def _item_added(self, data: JsonObject) -> None:
        item = data["item"]
        assert data["output_index"] == len(self.items), "items are in order"
        assert item.get("status", "in_progress") == "in_progress"
        for name in ("content", "summary", "arguments", "input", "result"):
            if item["type"] != "hologram_call":
                assert not item.get(name), f"{item['type']} begins with {name}"
        made = Item(item.get("id", ""), item["type"])
        if made.type in CALLS:
            made.parts["", 0] = Text(made.type)
        self.items.append(made)

    def _item_done(self, data: JsonObject) -> None:
        item, given = self._open(data), data["item"]
        assert given["type"] == item.type
        assert given.get("status", "completed") in ("completed", "incomplete", "failed")
        wholes = [("", 0, given)] if item.type in CALLS else []
        if item.type in ("message", "reasoning"):
            wholes += [
                ("summary_index", n, part) for n, part in enumerate(given.get("summary", ()))
            ]
            wholes += [
                ("content_index", n, part) for n, part in enumerate(given.get("content", ()))
            ]
        assert set(item.parts) == {(index, n) for index, n, _ in wholes}
        for index, n, whole in wholes:
            part = item.parts[index, n]
            assert part.ended
            assert part.closed or not index
            self._same(part, whole)
        item.done = given

    def _part_added(self, data: JsonObject) -> None:
        item, kind = self._open(data), data["part"]["type"]
        _, text, index = PARTS[kind]
        assert data["part"][text] == ""
        before = [n for name, n in item.parts if name == index]
        assert data[index] == len(before), "parts are in order"
        item.parts[index, data[index]] = Text(kind)

    def _part_done(self, data: JsonObject) -> None:
        part = self._part(data["part"]["type"], data)
        assert part.ended
        assert not part.closed
        part.closed = True
        self._same(part, data["part"])

    def _text(self, name: str, verb: str, data: JsonObject) -> None:
        part = self._part(TEXTS.get(name) or INPUTS[name], data)
        assert not part.ended, f"{name}.{verb} follows the text's end"
        if verb == "delta":
            part.text += data["delta"]
        else:
            part.ended = True
            whole = data[CALLS[part.kind][1] if part.kind in CALLS else PARTS[part.kind][1]]
            assert part.text == whole

    def _same(self, part: Text, whole: JsonObject) -> None:
        kind = whole["type"]
        assert kind == part.kind
        assert part.text == whole[CALLS[kind][1] if kind in CALLS else PARTS[kind][1]]
        if part.annotations:
            assert part.annotations == whole["annotations"]

    def _open(self, data: JsonObject) -> Item:
        item = self.items[data["output_index"]]
        assert item.done is None, f"{data['type']} follows the item's end"
        if "item_id" in data:
            assert data["item_id"] == item.name
        return item

    def _part(self, kind: str, data: JsonObject) -> Text:
        index = PARTS[kind][2] if kind in PARTS else ""
        part = self._open(data).parts[index, data[index] if index else 0]
        assert part.kind == kind
        assert not part.closed
        return part

    def _end(self, kind: str, data: JsonObject) -> None:
        self.ended = kind
        if kind in ("response.completed", "response.incomplete"):
            assert all(item.done is not None for item in self.items)
            assert data["response"]["output"] == self.output


def assert_official(stream: list[JsonObject]) -> list[JsonObject]:
    """The items of a stream, which keeps the order of the official API to its end."""
    grammar = Grammar()
    for data in stream:
        grammar.take(data)
    assert grammar.ended
    return grammar.output
