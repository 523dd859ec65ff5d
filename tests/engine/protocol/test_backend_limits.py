"""Whatever ids, names and schemas a client sends, what goes up satisfies the backend's limits.

The limits stand here once more, as several clients report them, and not as the code has them.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.engine.protocol.dialects import DIALECTS, HI, chat_call, from_responses, responses_call

from codexapi_engine.errors import InvalidRequest
from codexapi_engine.protocol import JsonObject
from codexapi_engine.protocol.responses import to_backend

BEGINS = {
    "message": "msg", "reasoning": "rs", "function_call": "fc", "function_call_output": "fc",
    "custom_tool_call": "ctc", "custom_tool_call_output": "ctc", "web_search_call": "ws",
}  # fmt: skip
ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
NAME = re.compile(r"[A-Za-z0-9_-]{1,128}")
FORWARD = ("responses", "chat", "mixed")

begins = st.sampled_from(["", "call_", "fc_", "msg_", "rs_", "ctc_", "ctco_", "fco_", "ig_"])
ids = st.one_of(
    st.text(max_size=80),
    st.builds("{}{}".format, begins, st.text("ab_-.|:9", max_size=4)),
    st.builds(lambda start, count: start + "x" * count, begins, st.integers(55, 70)),
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(ids, inside, max_size=3),
    max_leaves=5,
)
words = st.sampled_from(["type", "items", "properties", "enum", "anyOf", "a", "default", "$defs"])


def holding(inside: st.SearchStrategy[Any]) -> st.SearchStrategy[JsonObject]:
    named = st.dictionaries(words, inside, max_size=3)
    return st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(["object", "array", "string", ["object", "null"], ["array"], None]),
            "properties": named | st.none(),
            "items": inside | st.lists(inside, max_size=2) | st.booleans() | st.none(),
            "anyOf": st.lists(inside, max_size=2),
            "$defs": named,
            "additionalProperties": inside | st.booleans(),
            "enum": st.lists(json_values | st.just({"type": "object"}), max_size=2),
            "default": json_values | st.just({"type": "array"}),
            "x-vendor": json_values,
        },
    )  # fmt: skip


schemas = st.recursive(holding(st.just({"type": "object"})), holding, max_leaves=6)


def subschemas(schema: Any) -> Iterator[JsonObject]:
    """The schema and all that are in it, by the places where JSON Schema has them."""
    if not isinstance(schema, dict):
        return
    yield schema
    for keyword in ("properties", "$defs"):
        for inside in (schema.get(keyword) or {}).values():
            yield from subschemas(inside)
    for keyword in ("items", "additionalProperties"):
        several = schema.get(keyword)
        for inside in several if isinstance(several, list) else [several]:
            yield from subschemas(inside)
    for inside in schema.get("anyOf") or []:
        yield from subschemas(inside)


def assert_complete(schema: Any) -> None:
    for inside in subschemas(schema):
        types = inside.get("type")
        types = types if isinstance(types, list) else [types]
        assert "object" not in types or isinstance(inside.get("properties"), dict)
        assert "array" not in types or inside.get("items") is not None


def assert_legal(body: JsonObject) -> None:
    seen = set()
    for item in body["input"]:
        kind = item.get("type", "message")
        if "id" in item:
            assert ID.fullmatch(item["id"])
            assert item["id"].startswith(BEGINS.get(kind, ""))
            assert item["id"] not in seen
            seen.add(item["id"])
        if "call_id" in item:
            assert ID.fullmatch(item["call_id"])
        if kind.endswith("_call") and "name" in item:
            assert NAME.fullmatch(item["name"])
    for tool in body.get("tools") or []:
        assert tool["parameters"].get("type") is not None
        assert_complete(tool["parameters"])


@given(st.lists(st.tuples(ids, ids), max_size=4), st.sampled_from(FORWARD))
def test_calls_and_outputs_stay_paired(calls: list[tuple[str, str]], dialect: str) -> None:
    calls = list(dict(calls).items())  # each id once
    if dialect == "chat":
        history = [message for call in calls for message in chat_call(*call)]
        field = "messages"
    else:
        history = [item for call in calls for item in responses_call(*call)]
        field = "input"
    turns = [HI, *history]
    before = copy.deepcopy(turns)
    body = DIALECTS[dialect](**{field: turns})
    assert turns == before
    assert_legal(body)
    sent_ids = [item["call_id"] for item in body["input"][1:]]
    assert sent_ids[::2] == sent_ids[1::2]
    assert len(set(sent_ids)) == len(calls)
    for (call_id, _), sent in zip(calls, sent_ids[::2], strict=True):
        assert sent == call_id or not ID.fullmatch(call_id)
    assert to_backend(body) == body


kinds = st.sampled_from([*BEGINS, "image_generation_call", "compaction", "hologram"])
odd_ids = ids | st.none() | st.integers() | st.lists(ids, max_size=1)
items = st.fixed_dictionaries(
    {"type": kinds, "call_id": ids, "encrypted_content": st.sampled_from(["x", "y"])},
    optional={"id": odd_ids, "name": ids, "namespace": ids, "status": st.just("completed")},
)


@given(st.lists(items, max_size=6))
def test_any_items_of_the_past_go_up_with_legal_ids(past: list[JsonObject]) -> None:
    body = {"model": "m", "instructions": "i", "input": past}
    before = copy.deepcopy(body)
    sent = to_backend(body)
    assert body == before
    assert_legal(sent)
    assert to_backend(sent) == sent


@given(schemas, st.sampled_from(FORWARD), st.booleans())
def test_any_schema_of_a_tool_is_complete(schema: JsonObject, dialect: str, strict: bool) -> None:
    tool: JsonObject = {"type": "function", "name": "f", "parameters": schema, "strict": strict}
    if dialect == "chat":
        tool = {"type": "function", "function": {**tool, "type": None}}
    before = copy.deepcopy(tool)
    body = DIALECTS[dialect](tools=[tool])
    assert tool == before
    assert_legal(body)
    (sent,) = body["tools"]
    assert sent["strict"] is strict
    assert {name: sent["parameters"].get(name) for name in ("enum", "default", "x-vendor")} == {
        name: schema.get(name) for name in ("enum", "default", "x-vendor")
    }
    assert to_backend(body) == body


@given(schemas)
def test_any_schema_of_an_answer_is_complete(schema: JsonObject) -> None:
    form = {"type": "json_schema", "name": "n", "schema": schema, "strict": True}
    before = copy.deepcopy(form)
    sent = from_responses(text={"format": form})["text"]["format"]
    assert form == before
    assert_complete(sent["schema"])
    assert {**sent, "schema": 0} == {**form, "schema": 0}


@given(json_values, st.sampled_from(FORWARD))
def test_a_choice_of_any_shape_is_refused_or_passes(choice: Any, dialect: str) -> None:
    before = copy.deepcopy(choice)
    with suppress(InvalidRequest):
        body = DIALECTS[dialect](tool_choice=choice)
        assert to_backend(body) == body
    assert choice == before
