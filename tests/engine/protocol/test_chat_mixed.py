"""A Responses body sent to Chat Completions, as Cursor sends it."""

from __future__ import annotations

import pytest

from codexapi_engine.errors import InvalidRequest
from codexapi_engine.protocol import JsonObject
from codexapi_engine.protocol.chat import mixed

HI: JsonObject = {
    "type": "message",
    "role": "user",
    "content": [{"type": "input_text", "text": "Hi"}],
}
FLAT: JsonObject = {"type": "function", "name": "look", "parameters": {"type": "object"}}
NESTED: JsonObject = {"type": "function", "function": {"name": "look"}}
CUSTOM: JsonObject = {"type": "custom", "name": "patch", "format": {"type": "text"}}
BODY: JsonObject = {"model": "m", "input": "Hi", "stream": True}


def test_a_body_with_input_and_without_messages_is_one() -> None:
    assert mixed.is_mixed(BODY)
    assert not mixed.is_mixed({"model": "m", "messages": []})
    assert not mixed.is_mixed({**BODY, "messages": []})


def test_it_becomes_a_responses_request_and_a_chat_form() -> None:
    sent, form, ignored = mixed.from_client({**BODY, "temperature": 1, "user": "u"})
    assert sent["input"] == [HI]
    assert (form.model, form.n, form.stop) == ("m", 1, ())
    assert set(ignored) == {"temperature", "user"}


@pytest.mark.parametrize("tool", [FLAT, NESTED])
def test_tools_may_be_flat_or_nested(tool: JsonObject) -> None:
    sent, _, _ = mixed.from_client({**BODY, "tools": [tool, CUSTOM]})
    assert [made["name"] for made in sent["tools"]] == ["look", "patch"]
    assert sent["tools"][0]["strict"] is False, "to this client, left out means not strict"


@pytest.mark.parametrize(
    ("given", "name", "value"),
    [
        ({"reasoning_effort": "low"}, "reasoning", {"effort": "low"}),
        ({"reasoning": {"effort": "high"}}, "reasoning", {"effort": "high"}),
        ({"response_format": {"type": "json_object"}}, "text", {"format": {"type": "json_object"}}),
        ({"verbosity": "low"}, "text", {"verbosity": "low"}),
    ],
)
def test_fields_of_chat_find_their_place(given: JsonObject, name: str, value: JsonObject) -> None:
    assert mixed.from_client({**BODY, **given})[0][name] == value


def test_what_shapes_the_reply_is_read_in_either_form() -> None:
    _, form, _ = mixed.from_client(
        {
            **BODY,
            "n": 2,
            "stop": "END",
            "stream_options": {"include_usage": True},
            "text": {"format": {"type": "json_object"}},
            "reasoning": {"summary": "auto"},
            "service_tier": "priority",
        }
    )
    assert (form.n, form.stop, form.include_usage) == (2, ("END",), True)
    assert (form.json, form.reasoning, form.service_tier) == (True, True, "priority")


def test_what_has_no_place_is_named() -> None:
    _, _, ignored = mixed.from_client({**BODY, "max_tokens": 5, "web_search_options": {}})
    assert set(ignored) == {"max_tokens", "web_search_options"}


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"logprobs": True}, "logprobs"),
        ({"n": 9}, "n"),
        ({"n": "2"}, "n"),
        ({"stop": ["a"] * 5}, "stop"),
        ({"stop": 3}, "stop"),
        ({"stream": False, "stream_options": {"include_usage": True}}, "stream_options"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"response_format": {"type": "yaml"}}, "response_format.type"),
        ({"input": [{"role": "robot", "content": "x"}]}, "input[0].role"),
        ({"reasoning_effort": 3}, "reasoning_effort"),
    ],
)
def test_a_refusal_names_the_field(given: JsonObject, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        mixed.from_client({**BODY, **given})
    assert caught.value.param == param


def test_strict_refuses_what_would_be_ignored() -> None:
    with pytest.raises(InvalidRequest):
        mixed.from_client({**BODY, "max_tokens": 5}, strict=True)
