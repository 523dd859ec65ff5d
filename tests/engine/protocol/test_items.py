"""Items as they are kept and shown, and an estimate of what they cost."""

from __future__ import annotations

import pytest

from codexapi_engine.errors import JsonObject, UnexpectedAnswer
from codexapi_engine.protocol.responses import compaction, user
from codexapi_engine.protocol.responses.estimate import IMAGE_TOKENS, ITEM_TOKENS, input_tokens
from codexapi_engine.protocol.responses.items import as_items, is_bare, shown, without_repeats

IMAGE = "data:image/png;base64," + "A" * 4_000_000


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ({"role": "user", "content": "hi"},
         {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}], "id": "msg_new", "status": "completed"}),
        ({"role": "assistant", "content": "yo", "status": "incomplete", "id": "msg_1"},
         {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "yo", "annotations": []}], "id": "msg_1", "status": "incomplete"}),
        ({"role": "user", "content": [{"type": "input_image", "image_url": "u"}], "id": 5},
         {"type": "message", "role": "user", "content": [{"type": "input_image", "image_url": "u", "detail": "auto"}], "id": "msg_new", "status": "completed"}),
        ({"type": "function_call_output", "call_id": "c", "output": "x"},
         {"type": "function_call_output", "call_id": "c", "output": "x", "id": "fco_new", "status": "completed"}),
        ({"type": "compaction", "encrypted_content": "x"}, {"type": "compaction", "encrypted_content": "x", "id": "cmp_new"}),
        ({"type": "novelty"}, {"type": "novelty", "id": "item_new"}),
    ],
)  # fmt: skip
def test_an_item_is_made_fit_to_be_listed(item: JsonObject, expected: JsonObject) -> None:
    before = dict(item)
    assert shown(item, lambda prefix: f"{prefix}_new") == expected
    assert item == before


def test_an_input_is_items_whatever_its_form() -> None:
    assert as_items("hi") == [user("hi")]
    assert as_items([user("hi"), 7]) == [user("hi")]
    assert as_items(None) == []


@pytest.mark.parametrize(
    ("item", "bare"),
    [
        ({"type": "item_reference", "id": "msg_1"}, True),
        ({"type": "reasoning", "id": "rs_1"}, True),
        ({"type": "reasoning", "id": "rs_1", "encrypted_content": "x"}, False),
        ({"role": "user", "content": "x"}, False),
        ({"type": "image_generation_call", "id": "ig_1"}, True),
        (
            {"type": "image_generation_call", "id": "ig_1", "status": "failed", "result": None},
            False,
        ),
    ],
)
def test_an_item_is_bare_when_only_its_id_is_left(item: JsonObject, bare: bool) -> None:
    assert is_bare(item) is bare


PAST: list[JsonObject] = [
    {"type": "message", "role": "user", "id": "msg_1", "status": "completed",
     "content": [{"type": "input_text", "text": "hi"}]},
    {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "f", "arguments": "{}"},
    {"type": "function_call_output", "id": "out_1", "call_id": "c", "output": "4"},
    {"type": "message", "role": "assistant", "id": ["odd"], "content": []},
]  # fmt: skip


@pytest.mark.parametrize(
    ("item", "left"),
    [
        ({"role": "user", "content": "hi", "id": "msg_1"}, None),
        ({"type": "item_reference", "id": "msg_1"}, None),
        ({"type": "function_call", "id": "fc_1", "status": "completed", "call_id": "c"}, None),
        ({"type": "function_call_output", "id": "out_1", "call_id": "c", "output": "4"}, None),
        # Others by an id that is taken.
        ({"role": "user", "content": "ho", "id": "msg_1"}, {"role": "user", "content": "ho"}),
        ({"role": "developer", "content": "hi", "id": "msg_1"}, {"role": "developer", "content": "hi"}),
        ({"type": "function_call_output", "id": "out_1", "call_id": "d", "output": "4"},
         {"type": "function_call_output", "call_id": "d", "output": "4"}),
        # None that is taken.
        ({"role": "user", "content": "hi"}, {"role": "user", "content": "hi"}),
        ({"role": "user", "content": "hi", "id": ["odd"]}, {"role": "user", "content": "hi", "id": ["odd"]}),
        ({"role": "user", "content": "hi", "id": ""}, {"role": "user", "content": "hi", "id": ""}),
    ],
)  # fmt: skip
def test_an_item_that_the_past_has_is_left_out(item: JsonObject, left: JsonObject | None) -> None:
    assert without_repeats([item], PAST) == ([] if left is None else [left])


# The estimate.


@pytest.mark.parametrize(
    ("body", "least", "most"),
    [
        ({"input": []}, 0, 0),
        ({"input": [user("x" * 3_600)]}, 1_000, 1_010),
        ({"input": [user("ä" * 1_800)]}, 1_000, 1_010),
        ({"input": [user("", ["u", IMAGE])]}, 2 * IMAGE_TOKENS, 2 * IMAGE_TOKENS + 10),
        ({"input": [], "instructions": "x" * 360}, 100, 100),
        ({"input": [], "tools": [{"type": "function", "name": "f", "description": "x" * 360, "parameters": {"type": "object", "properties": {"long_name" * 10: {"type": "string"}}}}]}, 120, 140),
        ({"input": [], "text": {"format": {"type": "json_schema", "schema": {"type": "object", "description": "x" * 360}}}}, 100, 110),
        ({"input": [{"type": "reasoning", "encrypted_content": "x" * 4_800}]}, 1_000, 1_010),
        ({"input": [{"role": "user", "content": [{"type": "input_file", "file_data": "x" * 40_000}]}]}, 700, 800),
        ({"input": [{"type": "function_call", "call_id": "x" * 999, "name": "f", "arguments": "{}"}]}, 1, 10),
        ({"input": [{"odd": [1, True, None, 1.5]}]}, ITEM_TOKENS, ITEM_TOKENS + 5),
    ],
)  # fmt: skip
def test_tokens_are_estimated_by_bytes(body: JsonObject, least: int, most: int) -> None:
    assert least <= input_tokens(body) <= most


# Compaction.


def test_a_compaction_is_the_user_s_words_and_one_item() -> None:
    made = {"type": "compaction", "id": "cmp_1", "encrypted_content": "opaque"}
    told = {"id": "resp_1", "output": [{"type": "reasoning"}, made], "usage": {"input_tokens": 3}}
    said = {**user("hi"), "id": "msg_1"}
    items = [said, {"type": "message", "role": "assistant"}, {"type": "reasoning"}]
    whole = compaction.from_response(told, items, 7)
    assert whole["output"] == [said, made]
    assert (whole["id"], whole["created_at"]) == ("resp_1", 7)
    assert whole["object"] == "response.compaction"
    assert whole["usage"]["input_tokens_details"]["cached_tokens"] == 0


def test_a_run_that_compacted_nothing_is_an_error() -> None:
    with pytest.raises(UnexpectedAnswer):
        compaction.from_response({"output": [{"type": "message"}]}, [], 7)
