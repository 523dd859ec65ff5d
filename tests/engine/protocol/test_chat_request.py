"""Chat Completions requests as Responses requests, field by field."""

from __future__ import annotations

import json
from typing import get_type_hints

import pytest
from openai.types.chat import completion_create_params as params
from tests.engine.protocol.chat_requests import HI, body, made, refusal

from codexapi_engine.protocol import JsonObject, chat
from codexapi_engine.protocol.responses import to_backend
from codexapi_engine.protocol.rules import FieldRule

FUNCTION: JsonObject = {"type": "function", "function": {"name": "f"}}


# The table of fields


def test_every_field_of_the_official_client_has_a_rule() -> None:
    official = set(get_type_hints(params.CompletionCreateParamsBase))
    official |= set(get_type_hints(params.CompletionCreateParamsStreaming))
    assert official - set(chat.RULES) == set()
    assert set(chat.RULES) - official == {"reasoning", "reasoning_summary"}


REFUSED = {"logit_bias": {"1": 5}, "logprobs": True, "top_logprobs": 2, "modalities": ["text", "audio"], "audio": {"voice": "a"}, "moderation": {"model": "x"}}  # fmt: skip
IGNORED = {
    "temperature": 0.5, "top_p": 0.5, "presence_penalty": 1, "frequency_penalty": 1, "seed": 1, "max_tokens": 5,
    "max_completion_tokens": 5, "prediction": {"type": "content", "content": "x"}, "user": "u",
    "safety_identifier": "s", "prompt_cache_options": {}, "prompt_cache_retention": "24h",
}  # fmt: skip


def test_the_tables_of_this_test_are_complete() -> None:
    by_rule = {rule: {n for n, r in chat.RULES.items() if r is rule} for rule in FieldRule}
    assert by_rule[FieldRule.REFUSED] == set(REFUSED)
    assert by_rule[FieldRule.IGNORED] == set(IGNORED)


@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_field_is_named(name: str) -> None:
    for strict in (False, True):
        error = refusal(body(**{name: REFUSED[name]}), strict=strict)
        assert (error.status, error.code, error.param) == (400, "unsupported_parameter", name)
        assert f"'{name}'" in error.message


@pytest.mark.parametrize("name", IGNORED)
def test_an_ignored_field_is_told_and_not_sent(name: str) -> None:
    request, ignored = chat.from_client(body(**{name: IGNORED[name]}))
    assert ignored == (name,)
    assert name not in chat.to_responses(request)
    assert refusal(body(**{name: IGNORED[name]}), strict=True).param == name


def test_metadata_is_kept_with_what_is_stored_and_ignored_without() -> None:
    metadata = {"a": "b"}
    assert chat.from_client(body(store=True, metadata=metadata), strict=True)[1] == ()
    assert chat.from_client(body(metadata=metadata))[1] == ("metadata",)
    assert refusal(body(metadata=metadata), strict=True).param == "metadata"


def test_an_unknown_field_is_ignored_and_told() -> None:
    assert chat.from_client(body(vendor_key=1, other=None))[1] == ("vendor_key",)
    assert refusal(body(vendor_key=1), strict=True).param == "vendor_key"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n", 1), ("store", False), ("presence_penalty", 0), ("frequency_penalty", 0.0),
        ("logit_bias", {}), ("logprobs", False), ("top_logprobs", 0), ("modalities", ["text"]),
        ("metadata", {}), ("stop", []), ("temperature", None), ("audio", None), ("logprobs", None),
        ("moderation", None), ("seed", None),
    ],
)  # fmt: skip
def test_a_value_that_asks_for_nothing_is_no_matter(name: str, value: object) -> None:
    assert chat.from_client(body(**{name: value}), strict=True)[1] == ()


@pytest.mark.parametrize(
    ("more", "param", "code"),
    [
        ({"model": None}, "model", "invalid_type"),
        ({"model": ""}, "model", "invalid_value"),
        ({"model": 3}, "model", "invalid_type"),
        ({"messages": None}, "messages", "invalid_type"),
        ({"messages": []}, "messages", "invalid_value"),
        ({"messages": "hi"}, "messages", "invalid_type"),
        ({"messages": ["hi"]}, "messages[0]", "invalid_type"),
        ({"messages": [HI, {"content": "x"}]}, "messages[1].role", "missing_required_parameter"),
        ({"messages": [{"role": 1, "content": "x"}]}, "messages[0].role", "invalid_type"),
        ({"messages": [{"role": "user", "content": 1}]}, "messages[0].content", "invalid_type"),
        ({"messages": [{"role": "user", "content": [1]}]}, "messages[0].content[0]", "invalid_type"),
        ({"stream": "yes"}, "stream", "invalid_type"),
        ({"temperature": 3}, "temperature", "invalid_value"),
        ({"temperature": -1}, "temperature", "invalid_value"),
        ({"temperature": "0"}, "temperature", "invalid_type"),
        ({"top_p": 1.1}, "top_p", "invalid_value"),
        ({"presence_penalty": -3}, "presence_penalty", "invalid_value"),
        ({"max_tokens": 0}, "max_tokens", "invalid_value"),
        ({"max_completion_tokens": -1}, "max_completion_tokens", "invalid_value"),
        ({"n": 0}, "n", "invalid_value"),
        ({"n": 9}, "n", "invalid_value"),
        ({"n": "2"}, "n", "invalid_type"),
        ({"stop": 7}, "stop", "invalid_type"),
        ({"stop": ["a", "b", "c", "d", "e"]}, "stop", "invalid_value"),
        ({"verbosity": "loud"}, "verbosity", "invalid_value"),
        ({"tools": {}}, "tools", "invalid_type"),
        ({"tools": [1]}, "tools[0]", "invalid_type"),
        ({"tools": [FUNCTION] * 129}, "tools", "invalid_value"),
        ({"stream_options": {"include_usage": True}}, "stream_options", "invalid_value"),
        ({"tools": [FUNCTION], "functions": [{"name": "f"}]}, "functions", "invalid_value"),
        ({"response_format": {"type": "xml"}}, "response_format.type", "invalid_value"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema", "missing_required_parameter"),
        ({"response_format": {"type": "json_schema", "json_schema": {"name": "n"}}}, "response_format.json_schema.schema", "missing_required_parameter"),
        ({"response_format": {"type": "json_schema", "json_schema": {"schema": {}}}}, "response_format.json_schema.name", "missing_required_parameter"),
        ({"response_format": {"type": "json_schema", "json_schema": {"schema": {}, "name": "a b"}}}, "response_format.json_schema.name", "invalid_value"),
        ({"response_format": {"type": "json_schema", "json_schema": {"schema": {}, "name": "a" * 65}}}, "response_format.json_schema.name", "invalid_value"),
        ({"tools": [{}]}, "tools[0].type", "missing_required_parameter"),
        ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name", "missing_required_parameter"),
        ({"tools": [{"type": "function", "function": {"name": 1}}]}, "tools[0].function.name", "invalid_type"),
        ({"tools": [{"type": "function", "function": {"name": "x" * 129}}]}, "tools[0].function.name", "invalid_value"),
        ({"tools": [{"type": "function", "function": {"name": "ok\n"}}]}, "tools[0].function.name", "invalid_value"),
        ({"tools": [{"type": "custom", "custom": {}}]}, "tools[0].custom.name", "missing_required_parameter"),
        ({"tool_choice": "always"}, "tool_choice", "invalid_value"),
        ({"tool_choice": {"type": "function", "function": {"name": "g"}}, "tools": [FUNCTION]}, "tool_choice", "invalid_value"),
        ({"tool_choice": {"type": "function", "function": {}}}, "tool_choice.function.name", "missing_required_parameter"),
        ({"functions": [{"name": "f"}], "function_call": {}}, "function_call.name", "missing_required_parameter"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(more: JsonObject, param: str, code: str) -> None:
    error = refusal({**body(), **more})
    assert (error.status, error.param, error.code) == (400, param, code)


@pytest.mark.parametrize("name", ["model", "messages"])
def test_a_missing_field_is_named(name: str) -> None:
    given = {key: value for key, value in body().items() if key != name}
    error = refusal(given)
    assert (error.param, error.code) == (name, "missing_required_parameter")


# Everything else


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"verbosity": "low"}, {"text": {"verbosity": "low"}}),
        ({"response_format": {"type": "text"}}, {"text": None}),
        ({"response_format": {"type": "json_object"}}, {"text": {"format": {"type": "json_object"}}}),
        ({"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"a": 1}, "strict": True, "description": "d"}}},
         {"text": {"format": {"type": "json_schema", "name": "n", "schema": {"a": 1}, "strict": True, "description": "d"}}}),
        ({"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}}}},
         {"text": {"format": {"type": "json_schema", "name": "n", "schema": {}, "strict": False}}}),
        ({"reasoning_effort": "high"}, {"reasoning": {"effort": "high"}}),
        ({"reasoning_effort": None}, {"reasoning": None}),
        ({"reasoning": {"effort": "low", "summary": "auto"}}, {"reasoning": {"effort": "low", "summary": "auto"}}),
        ({"reasoning_effort": "high", "reasoning_summary": "auto"}, {"reasoning": {"effort": "high", "summary": "auto"}}),
        ({"parallel_tool_calls": False}, {"parallel_tool_calls": False}),
        ({"parallel_tool_calls": None}, {"parallel_tool_calls": None}),
        ({"service_tier": "priority"}, {"service_tier": "priority"}),
        ({"service_tier": "fast"}, {"service_tier": "priority"}),
        ({"service_tier": "flex"}, {"service_tier": "flex"}),
        ({"service_tier": "auto"}, {"service_tier": None}),
        ({"service_tier": "scale"}, {"service_tier": None}),
        ({"prompt_cache_key": "k"}, {"prompt_cache_key": "k"}),
        ({"web_search_options": {}}, {"tools": [{"type": "web_search"}], "tool_choice": None}),
        ({"web_search_options": {"search_context_size": "low", "user_location": {"type": "approximate", "approximate": {"city": "Oslo"}}}},
         {"tools": [{"type": "web_search", "search_context_size": "low", "user_location": {"type": "approximate", "city": "Oslo"}}]}),
        ({"tools": [FUNCTION], "tool_choice": "none"}, {"tool_choice": "none"}),
        ({"tools": [FUNCTION], "tool_choice": "required"}, {"tool_choice": "required"}),
        ({"tools": [FUNCTION], "tool_choice": {"type": "function", "function": {"name": "f"}}}, {"tool_choice": {"type": "function", "name": "f"}}),
        ({"tools": [{"type": "namespace", "name": "n", "tools": [FUNCTION]}], "tool_choice": {"type": "function", "function": {"name": "f"}}}, {"tool_choice": {"type": "function", "name": "f"}}),
        ({"tools": [{"type": "namespace", "name": "n", "tools": [FUNCTION]}], "tool_choice": {"type": "function", "function": {"name": "f", "namespace": "n"}}},
         {"tool_choice": {"type": "function", "name": "f", "namespace": "n"}}),
        ({"tools": [{"type": "custom", "custom": {"name": "g"}}], "tool_choice": {"type": "custom", "custom": {"name": "g"}}}, {"tool_choice": {"type": "custom", "name": "g"}}),
        ({"tools": [FUNCTION], "tool_choice": {"type": "allowed_tools", "allowed_tools": {"tools": [FUNCTION]}}},
         {"tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]}}),
        ({"tool_choice": {"type": "web_search"}}, {"tool_choice": {"type": "web_search"}}),
        ({"tools": []}, {"tools": None}),
        ({"functions": [{"name": "f"}], "parallel_tool_calls": True}, {"parallel_tool_calls": False, "tool_choice": None}),
        ({"functions": [{"name": "f"}], "function_call": "auto"}, {"tool_choice": "auto"}),
        ({"functions": [{"name": "f"}], "function_call": {"name": "f"}}, {"tool_choice": {"type": "function", "name": "f"}}),
    ],
)  # fmt: skip
def test_a_field_becomes_a_field(more: JsonObject, expected: JsonObject) -> None:
    sent = made(**more)
    assert {name: sent.get(name) for name in expected} == expected


@pytest.mark.parametrize(
    ("tool", "sent"),
    [
        (FUNCTION, {"type": "function", "name": "f", "strict": False}),
        ({"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}, "strict": True}},
         {"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}, "strict": True}),
        ({"type": "function", "function": {"name": "f", "strict": None}}, {"type": "function", "name": "f", "strict": False}),
        ({"type": "function", "name": "f"}, {"type": "function", "name": "f", "strict": False}),
        ({"type": "custom", "custom": {"name": "g", "description": "d", "format": {"type": "text"}}}, {"type": "custom", "name": "g", "description": "d", "format": {"type": "text"}}),
        ({"type": "custom", "custom": {"name": "g", "format": {"type": "grammar", "grammar": {"syntax": "lark", "definition": "x"}}}},
         {"type": "custom", "name": "g", "format": {"type": "grammar", "syntax": "lark", "definition": "x"}}),
        ({"type": "web_search", "x": 1}, {"type": "web_search", "x": 1}),
    ],
)  # fmt: skip
def test_a_tool_becomes_a_tool_and_strictness_is_always_said(
    tool: JsonObject, sent: JsonObject
) -> None:
    assert made(tools=[tool])["tools"] == [sent]


def test_a_function_is_not_strict_unless_it_says_so() -> None:
    assert made(functions=[{"name": "f"}])["tools"][0]["strict"] is False


def test_an_unknown_tier_is_told() -> None:
    assert chat.from_client(body(service_tier="scale"))[1] == ("service_tier",)
    assert chat.from_client(body(service_tier="default"))[1] == ()


def test_a_conversation_keeps_its_cache_key() -> None:
    def key(request: JsonObject) -> str:
        return str(to_backend(request)["prompt_cache_key"])

    first = key(made({"role": "system", "content": "A"}, HI))
    later = key(
        made({"role": "system", "content": "A"}, HI, {"role": "assistant", "content": "yes"}, HI)
    )
    assert later == first
    assert len(first) == 64
    others = [
        made(HI), made({"role": "system", "content": "B"}, HI), made(HI, tools=[FUNCTION]),
        made({"role": "user", "content": "ho"}), made({"role": "assistant", "content": "x"}), {**made(HI), "model": "n"},
    ]  # fmt: skip
    assert first not in map(key, others)
    assert len(made(prompt_cache_key="k" * 65)["prompt_cache_key"]) == 64


def test_the_clients_body_is_left_as_it_was() -> None:
    given = body(
        {"role": "user", "name": "ann", "content": [{"type": "text", "text": "x"}]},
        tools=[FUNCTION],
    )
    before = json.dumps(given)
    chat.to_responses(chat.from_client(given)[0])
    assert json.dumps(given) == before


@pytest.mark.parametrize(
    ("more", "form"),
    [
        ({}, chat.ReplyOptions("m")),
        (
            {"stream": True, "stream_options": {"include_usage": True}},
            chat.ReplyOptions("m", include_usage=True),
        ),
        ({"stream": True, "stream_options": {"include_usage": "yes"}}, chat.ReplyOptions("m")),
        ({"service_tier": "auto"}, chat.ReplyOptions("m", service_tier="auto")),
        ({"reasoning": {"summary": "auto"}}, chat.ReplyOptions("m", reasoning=True)),
        ({"reasoning": {"effort": "low"}}, chat.ReplyOptions("m")),
        ({"reasoning_summary": "auto"}, chat.ReplyOptions("m", reasoning=True)),
        ({"response_format": {"type": "json_object"}}, chat.ReplyOptions("m", json=True)),
        ({"response_format": {"type": "text"}}, chat.ReplyOptions("m")),
        ({"functions": [{"name": "f"}]}, chat.ReplyOptions("m", legacy=True)),
        ({"n": 1, "stop": []}, chat.ReplyOptions("m")),
        ({"n": 3}, chat.ReplyOptions("m", n=3)),
        ({"stop": "a"}, chat.ReplyOptions("m", stop=("a",))),
        ({"stop": ["a", "b"]}, chat.ReplyOptions("m", stop=("a", "b"))),
    ],
)
def test_the_form_of_the_reply_is_as_asked(more: JsonObject, form: chat.ReplyOptions) -> None:
    assert chat.form(chat.from_client(body(**more))[0]) == form
