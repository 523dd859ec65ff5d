"""A stream of Responses folded into its response, and completed by what a public one has."""

from __future__ import annotations

import json

import pytest
from openai.types.responses import Response
from tests.engine.protocol.response_events import (
    COMPLETE,
    ENDED_WELL,
    UNOFFICIAL,
    folded,
    step,
)
from tests.wire_files import NAMES, events, wire

from codexapi_engine.errors import CodexError, StreamInterrupted
from codexapi_engine.protocol import JsonObject, responses, sse
from codexapi_engine.protocol.responses.request import RULES
from codexapi_engine.protocol.rules import FieldRule
from codexapi_engine.protocol.sse import Event

# Folded


@pytest.mark.parametrize("name", ENDED_WELL)
def test_a_folded_response_is_complete_and_suits_the_official_client(name: str) -> None:
    whole = responses.from_response(folded(name), {"model": "asked"}, 7)
    assert set(whole) >= COMPLETE
    if name not in UNOFFICIAL:
        Response.model_validate_json(json.dumps(whole), strict=True)
    assert isinstance(whole["created_at"], int)
    assert whole["safety_identifier"] is None


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("text", ["message"]), ("function_calls_parallel", ["reasoning", "function_call", "function_call"]),
        ("interleaved_tool_calls", ["reasoning", "function_call", "function_call"]),
        ("populated_output", ["reasoning", "message"]), ("output_only_at_the_end", ["message"]),
        ("minimal_for_codex_exec", ["message"]), ("unknown_event", ["hologram_call", "message"]),
        ("empty_answer", ["reasoning"]),
    ],
)  # fmt: skip
def test_the_output_is_in_order(name: str, kinds: list[str]) -> None:
    assert [item["type"] for item in folded(name)["output"]] == kinds


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("text", "completed"),
        ("lean", "completed"),
        ("response_done_alias", "completed"),
        ("incomplete_content_filter", "incomplete"),
    ],
)
def test_the_status_is_told(name: str, status: str) -> None:
    assert folded(name)["status"] == status


def test_what_the_last_event_lacks_the_first_has_told() -> None:
    assembler = responses.Assembler()
    assembler.feed(
        step("response.created", response={"id": "resp_1", "model": "m", "created_at": 5})
    )
    assembler.feed(
        step(
            "response.incomplete", response={"id": "resp_1", "incomplete_details": {"reason": "x"}}
        )
    )
    assert assembler.finish() == {
        "id": "resp_1", "model": "m", "created_at": 5, "output": [], "status": "incomplete",
        "incomplete_details": {"reason": "x"},
    }  # fmt: skip


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ENDED_WELL])
def test_a_run_that_failed_or_broke_is_raised(name: str) -> None:
    with pytest.raises(CodexError):
        folded(name)


@pytest.mark.parametrize(
    "event",
    [
        step("response.output_item.done", output_index=0),
        step("response.output_item.done", output_index=0, item=[]),
        step("response.completed"),
        step("response.created", response=None),
    ],
    ids=lambda event: event.type,
)
def test_an_event_without_its_object_breaks_the_stream(event: Event) -> None:
    with pytest.raises(StreamInterrupted) as caught:
        responses.Assembler().feed(event)
    assert caught.value.code == "upstream_protocol_error"


def test_items_without_an_index_keep_their_order() -> None:
    assembler = responses.Assembler()
    for name in ("a", "b"):
        assembler.feed(step("response.output_item.done", item={"id": name}))
    assert [item["id"] for item in assembler.output] == ["a", "b"]


# Completed


def test_the_echoes_are_the_clients_own() -> None:
    asked: JsonObject = {
        "model": "alias", "instructions": "Mine.", "metadata": {"a": "b"}, "user": "ann",
        "safety_identifier": "mine", "prompt_cache_key": "key", "tool_choice": "required",
        "tools": [{"type": "function", "name": "f"}, {"type": "web_search"}], "reasoning": {"effort": "high"},
    }  # fmt: skip
    whole = responses.from_response(folded("text"), asked, 7)
    for name in ("instructions", "metadata", "user", "safety_identifier", "prompt_cache_key"):
        assert whole[name] == asked[name]
    assert whole["model"] == "gpt-6.1-sol"
    assert whole["tool_choice"] == "auto"
    assert whole["tools"] == [
        {"type": "function", "name": "f", "description": None, "parameters": None, "strict": None}, {"type": "web_search"},
    ]  # fmt: skip
    assert (whole["store"], whole["previous_response_id"]) == (True, None)
    assert whole["background"] is False
    assert "conversation" not in whole


IDENTIFIERS = {"user", "safety_identifier"}


@pytest.mark.parametrize("name", ["text", "lean"])
@pytest.mark.parametrize("field", [f for f, rule in RULES.items() if rule is FieldRule.IGNORED])
def test_what_is_ignored_is_not_echoed_as_if_it_had_been_obeyed(field: str, name: str) -> None:
    """The same rule for all: those that a response has say what was done."""
    asked = {field: "auto" if field == "truncation" else 3}
    whole = responses.from_response(folded(name), asked, 7)
    if field in IDENTIFIERS:
        assert whole[field] == 3
    else:
        assert whole == responses.from_response(folded(name), {}, 7)


def test_parameters_say_what_was_done() -> None:
    asked = {"temperature": 0.2, "top_p": 0.5, "max_output_tokens": 100, "max_tool_calls": 3}
    lean = responses.from_response(folded("lean"), {**asked, "truncation": "auto"}, 7)
    assert [lean[name] for name in asked] == [1.0, 1.0, None, None]
    assert lean["truncation"] == "disabled"
    told = responses.from_response({**folded("text"), "top_p": 0.98}, asked, 7)
    assert told["top_p"] == 0.98


@pytest.mark.parametrize(
    ("asked", "echoed"),
    [
        ({"store": False}, {"store": False}),
        ({"store": None}, {"store": True}),
        ({"background": True}, {"background": True}),
        ({"previous_response_id": "resp_0"}, {"previous_response_id": "resp_0"}),
        ({"conversation": "conv_1"}, {"conversation": {"id": "conv_1"}}),
        ({"conversation": {"id": "conv_1"}}, {"conversation": {"id": "conv_1"}}),
    ],
)
def test_what_is_kept_by_us_is_echoed_as_it_is(asked: JsonObject, echoed: JsonObject) -> None:
    whole = responses.from_response(folded("text"), asked, 7)
    assert whole | echoed == whole


def test_a_response_has_our_id_where_that_is_ours_to_give() -> None:
    stream = responses.ResponseStream({}, created=1, name="resp_ours")
    out = [piece for event in events(wire("text")) for piece in stream.feed(event)]
    told = [event.json for event in sse.Decoder().feed(b"".join(out))]
    assert {data["response"]["id"] for data in told if "response" in data} == {"resp_ours"}
    assert stream.response is not None
    assert (stream.response["id"], stream.response["status"]) == ("resp_ours", "completed")


def test_a_lean_response_is_completed_from_the_request() -> None:
    asked = {
        "model": "asked",
        "tool_choice": "none",
        "parallel_tool_calls": False,
        "text": {"verbosity": "low"},
        "reasoning": {"effort": "low"},
    }
    whole = responses.from_response(folded("lean"), asked, 7)
    assert {name: whole[name] for name in asked} == asked
    assert whole["created_at"] == 7
    assert "user" not in whole


def test_what_the_backend_adds_is_kept() -> None:
    assert (
        responses.from_response({"tool_usage": {"x": 1}, "vendor": 2}, {}, 7).items()
        >= {"vendor": 2}.items()
    )


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, None),
        ({}, None),
        ([], None),
        ({"input_tokens": 1, "output_tokens": 2, "total_tokens": 3, "x": 4},
         {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3, "x": 4, "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}),
        ({"input_tokens_details": {"cached_tokens": 5}, "output_tokens_details": {"reasoning_tokens": 6}},
         {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0, "input_tokens_details": {"cached_tokens": 5, "cache_write_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 6}}),
    ],
)  # fmt: skip
def test_usage_has_all_its_details(given: object, expected: object) -> None:
    assert responses.from_response({"usage": given}, {}, 7)["usage"] == expected


def test_responses_do_not_share_their_parts() -> None:
    first = responses.from_response({}, {}, 7)
    first["metadata"]["a"] = 1
    assert responses.from_response({}, {}, 7)["metadata"] == {}
