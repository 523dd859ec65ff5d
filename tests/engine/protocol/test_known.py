"""Our picture of the backend: that it holds for every wire, and names what differs."""

from __future__ import annotations

from typing import Any

import pytest
from tests.wire_files import NAMES, events, table, wire

from codexapi_engine.protocol import known
from codexapi_engine.protocol.sse import encode
from codexapi_engine.simulator.backend import catalogue

IN_ORDER = ["text", "function_call", "reasoning_summary", "web_search", "two_messages", "lean"]


def survey(data: bytes) -> known.Survey:
    seen = known.Survey()
    for event in events(data):
        seen.feed(event)
    seen.finish()
    return seen


def stream(*told: dict[str, Any]) -> bytes:
    return b"".join(encode(event, event["type"]) for event in told)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "unknown_event"])
def test_the_picture_holds_for_every_wire(name: str) -> None:
    seen = survey(wire(name))
    assert (seen.unknown_events, seen.unknown_fields) == (set(), set())


@pytest.mark.parametrize("name", IN_ORDER)
def test_a_good_stream_is_in_order(name: str) -> None:
    assert survey(wire(name)).disorder == set()


def test_the_picture_holds_for_every_table() -> None:
    assert known.catalogue_differences(table("models")) == (set(), set())
    assert known.catalogue_differences({"models": catalogue()}) == (set(), set())
    assert known.plan_differences(table("usage")) == (set(), set())
    assert known.unknown_headers(table("headers")) == set()
    assert {name.lower() for name in table("headers")} >= known.HEADERS_NEEDED


def test_unknown_events_are_named_in_their_place() -> None:
    seen = survey(wire("unknown_event"))
    assert seen.unknown_events
    assert seen.unknown_events <= set(seen.names)
    assert any(field.startswith("item: type ") for field in seen.unknown_fields)


@pytest.mark.parametrize(
    ("event", "field"),
    [
        ({"type": "response.created", "news": 1}, "response.created: news"),
        ({"type": "response.created", "response": {"news": 1}}, "response: news"),
        ({"type": "response.completed", "response": {"usage": {"news": 1}}}, "usage: news"),
        (
            {"type": "response.completed", "response": {"usage": {"input_tokens_details": {"n": 1}}}},
            "usage: input_tokens_details.n",
        ),
        (
            {"type": "response.output_item.done", "item": {"type": "message", "news": 1}},
            "message: news",
        ),
        ({"type": "response.output_item.done", "item": {"type": "news"}}, "item: type news"),
        (
            {"type": "response.completed", "response": {"output": [{"type": "reasoning", "n": 1}]}},
            "reasoning: n",
        ),
        (
            {"type": "response.content_part.done", "part": {"type": "output_text", "news": 1}},
            "output_text: news",
        ),
    ],
)  # fmt: skip
def test_an_unknown_field_is_named_with_its_holder(event: dict[str, Any], field: str) -> None:
    assert survey(stream(event)).unknown_fields == {field}


@pytest.mark.parametrize(
    ("told", "wrong"),
    [
        ([], "no last event"),
        ([{"type": "response.created"}], "no last event"),
        ([{"type": "response.completed"}], "response.created is not first"),
        (
            [{"type": "response.created", "sequence_number": 1}, {"type": "response.completed"}],
            "sequence_number does not count",
        ),
        (
            [
                {"type": "response.created"},
                {"type": "response.output_text.delta", "output_index": 0},
                {"type": "response.completed"},
            ],
            "response.output_text.delta without response.output_item.added",
        ),
        (
            [
                {"type": "response.created"},
                {"type": "response.output_item.added", "output_index": 0},
                {"type": "response.completed"},
            ],
            "an item without response.output_item.done",
        ),
    ],
)
def test_what_is_out_of_order_is_told(told: list[dict[str, Any]], wrong: str) -> None:
    assert survey(stream(*told)).disorder == {wrong}


def test_what_is_no_json_is_told() -> None:
    seen = survey(b"event: response.created\ndata: {\n\n")
    assert "an event that is not a JSON object" in seen.disorder


def test_differences_of_the_tables_are_named() -> None:
    models = table("models")
    models["news"] = models["models"][0]["more_news"] = None
    del models["models"][1]["priority"]
    assert known.catalogue_differences(models) == ({"news", "more_news"}, {"priority"})
    assert known.catalogue_differences({}) == (set(), {"models"})
    plan = table("usage")
    plan["credits"]["news"] = {"inner": 1}
    del plan["rate_limit"]["primary_window"]
    unknown, lack = known.plan_differences(plan)
    assert unknown == {"credits.news"}
    assert lack == {"rate_limit.primary_window.used_percent"}
    assert known.unknown_headers(["X-Codex-News", "x-codex-bengalfox-primary-reset-at"]) == {
        "x-codex-news"
    }


@pytest.mark.parametrize(
    "name",
    [
        "00000000-aaaa-4bbb-8ccc-dddddddddddd", "user-12345", "ann@example.com", "a b", "", "x\n",
        "é", "x" * 200, "/home/ann", "Bearer abc",
    ],
)  # fmt: skip
def test_a_name_that_could_be_somebodys_is_not_told(name: str) -> None:
    assert known.plain(name) == known.ANOTHER
    assert known.plain_model(name) == known.ANOTHER


@pytest.mark.parametrize("slug", [model["slug"] for model in catalogue()])
def test_the_names_of_models_are_told(slug: str) -> None:
    assert known.plain_model(slug) == slug
