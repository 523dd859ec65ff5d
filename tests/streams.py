"""Responses streams that a backend could send, made by hypothesis.

Items that carry text follow one another; calls run between and beside them. Models differ in what
they leave out, so an item may come unannounced, its parts too, and each part may lack its deltas, or
some of them, and its `done` event.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from hypothesis import strategies as st

JsonObject = dict[str, Any]
Step = tuple[str, JsonObject]

WORDS = st.text(
    st.characters(exclude_categories=["Cs"], include_characters="\u2028\u2029\x85\r\n🙂"),
    max_size=12,
)
NAMES = st.sampled_from(["get_weather", "now", "run-sql", "a"])
CUTS = st.lists(st.integers(0, 1 << 20), max_size=12)

_ADDED, _DONE = "response.output_item.added", "response.output_item.done"


@dataclass(frozen=True)
class Item:
    """An output item: its final form, and the events that lead to it (without their places)."""

    whole: JsonObject
    steps: tuple[Step, ...]

    @property
    def is_call(self) -> bool:
        return self.whole["type"] in ("function_call", "custom_tool_call")

    @property
    def groups(self) -> list[tuple[Step, ...]]:
        """The steps between which others may come. Of a call that was not announced, nobody knows
        its place before it is done."""
        if self.is_call and self.steps[0][0] != _ADDED:
            return [self.steps]
        return [(step,) for step in self.steps]


@dataclass(frozen=True)
class Part:
    """A part of an item, and the words of its events."""

    kind: str  # response.output_text
    field: str  # text
    place: JsonObject
    text: str


_FRAMES: dict[str, tuple[str, JsonObject]] = {
    "response.output_text": ("response.content_part", {"type": "output_text", "annotations": []}),
    "response.refusal": ("response.content_part", {"type": "refusal"}),
    "response.reasoning_text": ("response.content_part", {"type": "reasoning_text"}),
    "response.reasoning_summary_text": (
        "response.reasoning_summary_part",
        {"type": "summary_text"},
    ),
}
"""The events around a part, and the part without its text."""


@st.composite
def _told(draw: st.DrawFn, parts: list[Part]) -> list[Step]:
    """The delta and done events of an item's parts.

    A part of which something is kept back until the item is done ends the telling: a text cannot
    be told before the one that it follows.
    """
    steps: list[Step] = []
    framed = draw(st.booleans())
    for part in parts:
        frame, content = _FRAMES.get(part.kind, ("", {}))
        if framed and frame:
            content = {**content, part.field: ""}
            steps.append((f"{frame}.added", {**part.place, "part": content}))
        cuts = sorted(draw(st.lists(st.integers(0, len(part.text)), max_size=3)))
        pieces = [part.text[a:b] for a, b in pairwise([0, *cuts, len(part.text)])]
        deltas = pieces[: draw(st.sampled_from([len(pieces), len(pieces), 1, 0]))]
        steps += [(f"{part.kind}.delta", {**part.place, "delta": piece}) for piece in deltas]
        if draw(st.booleans()):
            steps.append((f"{part.kind}.done", {**part.place, part.field: part.text}))
            if framed and frame:
                whole = {**content, part.field: part.text}
                steps.append((f"{frame}.done", {**part.place, "part": whole}))
        elif "".join(deltas) != part.text or not (deltas or (framed and frame)):
            break
    return steps


@st.composite
def _annotation(draw: st.DrawFn, text: str) -> JsonObject:
    if draw(st.integers(0, 3)) == 0:
        return {"type": "file_citation", "file_id": "file_0000", "filename": "a.txt", "index": 0}
    start = draw(st.integers(0, len(text)))
    end = draw(st.integers(start, len(text)))
    url = "https://example.org/"
    return {
        "type": "url_citation",
        "start_index": start,
        "end_index": end,
        "title": "t",
        "url": url,
    }


@st.composite
def _message(draw: st.DrawFn, number: int) -> Item:
    content: list[JsonObject] = []
    parts: list[Part] = []
    for index in range(draw(st.integers(0, 3))):
        text, place = draw(WORDS), {"content_index": index}
        if draw(st.integers(0, 3)) == 0:
            content.append({"type": "refusal", "refusal": text})
            parts.append(Part("response.refusal", "refusal", place, text))
            continue
        annotations = draw(st.lists(_annotation(text), max_size=2))
        content.append({"type": "output_text", "text": text, "annotations": annotations})
        parts.append(Part("response.output_text", "text", place, text))
    phase = draw(st.sampled_from([None, None, "commentary", "final_answer"]))
    head: JsonObject = {"id": f"msg_{number:04}", "type": "message", "role": "assistant"}
    if phase:
        head["phase"] = phase
    return draw(_item({**head, "content": []}, {**head, "content": content}, parts))


@st.composite
def _reasoning(draw: st.DrawFn, number: int) -> Item:
    head: JsonObject = {"id": f"rs_{number:04}", "type": "reasoning"}
    parts: list[Part] = []
    summary: list[JsonObject] = []
    for index in range(draw(st.integers(0, 2))):
        text = draw(WORDS)
        summary.append({"type": "summary_text", "text": text})
        place = {"summary_index": index}
        parts.append(Part("response.reasoning_summary_text", "text", place, text))
    whole = {**head, "summary": summary, "encrypted_content": "gAAAAABfake"}
    if draw(st.integers(0, 3)) == 0:
        text = draw(WORDS)
        whole["content"] = [{"type": "reasoning_text", "text": text}]
        parts.append(Part("response.reasoning_text", "text", {"content_index": 0}, text))
    return draw(_item({**head, "summary": []}, whole, parts))


@st.composite
def _call(draw: st.DrawFn, number: int) -> Item:
    kind, prefix, field, word = draw(
        st.sampled_from(
            [
                ("function_call", "fc", "arguments", "function_call_arguments"),
                ("custom_tool_call", "ctc", "input", "custom_tool_call_input"),
            ]
        )
    )
    head = {
        "id": f"{prefix}_{number:04}",
        "type": kind,
        "call_id": f"call_{number:04}",
        "name": draw(NAMES),
    }
    text = draw(st.sampled_from(["", "{}", '{"city":"Oslo"}']) | WORDS)
    parts = [Part(f"response.{word}", field, {}, text)]
    return draw(_item({**head, field: ""}, {**head, field: text}, parts))


@st.composite
def _other(draw: st.DrawFn, number: int) -> Item:
    kind = draw(st.sampled_from(["web_search_call", "image_generation_call", "hologram_call"]))
    head = {"id": f"xx_{number:04}", "type": kind, "status": "in_progress"}
    whole = {**head, "status": "completed", "result": "AAAA"}
    going_on: Step = (f"response.{kind}.going_on", {"degrees": 90})
    return Item(whole, ((_ADDED, {"item": head}), going_on, (_DONE, {"item": whole})))


@st.composite
def _item(draw: st.DrawFn, begun: JsonObject, whole: JsonObject, parts: list[Part]) -> Item:
    if draw(st.integers(0, 5)) == 0:  # a model that tells an item only when it is done
        return Item(whole, ((_DONE, {"item": whole}),))
    told = draw(_told(parts))
    # Else its first word is the first that is heard of it. What is said aside has to be announced.
    if "phase" in begun or draw(st.integers(0, 5)) > 0:
        told.insert(0, (_ADDED, {"item": begun}))
    return Item(whole, (*told, (_DONE, {"item": whole})))


@st.composite
def _interleaved(draw: st.DrawFn, items: list[Item]) -> tuple[list[Step], list[JsonObject]]:
    """All steps in one order, with `output_index` as of each item's first, and the output."""
    spine = [(item, group) for item in items if not item.is_call for group in item.groups]
    calls = [[(item, group) for group in item.groups] for item in items if item.is_call]
    threads = [thread for thread in (spine, *calls) if thread]
    steps: list[Step] = []
    order: list[str] = []
    output: list[JsonObject] = []
    while threads:
        thread = draw(st.sampled_from(threads))
        item, group = thread.pop(0)
        if not thread:
            threads.remove(thread)
        if item.whole["id"] not in order:
            order.append(item.whole["id"])
            output.append(item.whole)
        place: JsonObject = {"output_index": order.index(item.whole["id"])}
        for kind, data in group:
            about = {} if kind in (_ADDED, _DONE) else {"item_id": item.whole["id"]}
            steps.append((kind, {**place, **about, **data}))
    return steps, output


_STRAY: list[Step] = [
    ("keepalive", {}),
    ("codex.rate_limits", {"plan_type": "pro", "rate_limits": None}),
    ("response.metadata", {"metadata": {"a": 1}}),
    ("response.hologram.ready", {"deep": [{"er": None}]}),
]
_USAGE = st.sampled_from(
    [
        None,
        {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10},
        {
            "input_tokens": 7,
            "input_tokens_details": {"cached_tokens": 5, "cache_write_tokens": 1},
            "output_tokens": 3,
            "output_tokens_details": {"reasoning_tokens": 2},
            "total_tokens": 10,
        },
    ]
)
_ENDS: list[tuple[str, JsonObject]] = [
    ("response.completed", {"status": "completed"}),
    ("response.completed", {"status": "completed"}),
    ("response.done", {}),
    ("response.incomplete", {"incomplete_details": {"reason": "max_output_tokens"}}),
    ("response.incomplete", {"incomplete_details": {"reason": "content_filter"}}),
    ("response.incomplete", {"status": "incomplete", "incomplete_details": None}),
]


@st.composite
def _framed(draw: st.DrawFn, steps: list[Step], numbered: bool) -> bytes:
    """The steps as server-sent events."""
    named, ascii_only = draw(st.booleans()), draw(st.booleans())
    out = []
    for number, (kind, data) in enumerate(steps):
        head: JsonObject = {"type": kind, "sequence_number": number} if numbered else {"type": kind}
        if kind.endswith(".delta") and number % 2:
            data = {**data, "obfuscation": "xYz"}
        text = json.dumps({**head, **data}, ensure_ascii=ascii_only, separators=(",", ":"))
        out.append((f"event: {kind}\n" if named else "") + f"data: {text}\n\n")
    return "".join(out).encode()


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """A whole stream, from `response.created` to a terminal event that tells no failure."""
    makers = st.sampled_from([_message, _message, _reasoning, _call, _call, _other])
    items = [draw(draw(makers)(number)) for number in range(draw(st.integers(0, 5)))]
    middle, output = draw(_interleaved(items))
    for step in draw(st.lists(st.sampled_from(_STRAY), max_size=3)):
        middle.insert(draw(st.integers(0, len(middle))), step)
    begun = {"id": "resp_0001", "created_at": 1795332000, "model": "gpt-6.1-sol", "output": []}
    kind, end = draw(st.sampled_from(_ENDS))
    ended: JsonObject = {**begun, **end, "usage": draw(_USAGE)}
    lean = {"id": "resp_0001", **end, "usage": ended["usage"]}
    ended = draw(st.sampled_from([ended, {**ended, "output": output}, lean]))
    first: list[Step] = [("response.created", {"response": begun})]
    steps = [*first, *middle, (kind, {"response": ended})]
    return draw(_framed(steps, draw(st.booleans())))


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=8,
)
"""Any JSON value."""


@st.composite
def bent(draw: st.DrawFn, value: Any) -> Any:
    """A JSON value with one of its members replaced by any other, or taken out."""
    if isinstance(value, dict) and value and draw(st.integers(0, 5)):
        name = draw(st.sampled_from(sorted(value)))
        if draw(st.integers(0, 4)) == 0:
            return {key: member for key, member in value.items() if key != name}
        return {**value, name: draw(bent(value[name]))}
    if isinstance(value, list) and value and draw(st.integers(0, 5)):
        index = draw(st.integers(0, len(value) - 1))
        return [*value[:index], draw(bent(value[index])), *value[index + 1 :]]
    return draw(JSON)


ODD: tuple[object, ...] = (None, True, -1, 0.5, 1e308, "", "odd", [], ["odd"], {}, {"odd": []})


def bends(value: Any) -> Iterator[Any]:
    """Every JSON value that differs from this one in a single member: odd, or missing."""
    yield from ODD
    if isinstance(value, dict):
        for name, member in value.items():
            yield {key: other for key, other in value.items() if key != name}
            yield from ({**value, name: odd} for odd in bends(member))
    elif isinstance(value, list):
        for index, member in enumerate(value):
            yield from ([*value[:index], odd, *value[index + 1 :]] for odd in bends(member))
