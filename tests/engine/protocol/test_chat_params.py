"""Fields in errors, by the caller's own names."""

from __future__ import annotations

import pytest

from codexapi_engine.errors import JsonObject
from codexapi_engine.protocol.chat import chat_param, completions_param


@pytest.mark.parametrize(
    ("param", "expected"),
    [
        (None, None),
        ("input", "messages"),
        ("input[3].content[0].image_url", "messages"),
        ("instructions", "messages"),
        ("input_file", "input_file"),
        ("model", "model"),
        ("reasoning.effort", "reasoning_effort"),
        ("reasoning", "reasoning_effort"),
        ("reasoning.summary", "reasoning_summary"),
        ("text", "response_format"),
        ("text.verbosity", "verbosity"),
        ("text.format", "response_format"),
        ("text.format.type", "response_format.type"),
        ("text.format.name", "response_format.json_schema.name"),
        ("text.format.schema", "response_format.json_schema.schema"),
        ("text.format.schema.properties.a", "response_format.json_schema.schema.properties.a"),
        ("max_output_tokens", "max_completion_tokens"),
        ("tools", "tools"),
        ("tools[0]", "tools[0]"),
        ("tools[0].type", "tools[0].type"),
        ("tools[12].parameters", "tools[12].parameters"),
        ("tool_choice", "tool_choice"),
        ("service_tier", "service_tier"),
        ("messages[0].content", "messages[0].content"),
    ],
)
def test_a_field_has_chats_name(param: str | None, expected: str | None) -> None:
    assert chat_param(param, {}) == expected
    assert chat_param(expected, {}) == expected


FUNCTION = {"type": "function", "function": {"name": "f"}}
FLAT = {"type": "function", "name": "f"}
CUSTOM = {"type": "custom", "custom": {"name": "g"}}
SPACE = {"type": "namespace", "name": "n", "tools": [FLAT, FUNCTION]}


@pytest.mark.parametrize(
    ("param", "expected"),
    [
        ("tools[0].parameters", "tools[0].function.parameters"),
        ("tools[0].parameters.properties.name", "tools[0].function.parameters.properties.name"),
        ("tools[0].name", "tools[0].function.name"),
        ("tools[0].type", "tools[0].type"),
        ("tools[0].name_of_more", "tools[0].name_of_more"),
        ("tools[0]", "tools[0]"),
        ("tools[1].parameters", "tools[1].parameters"),
        ("tools[2].format", "tools[2].custom.format"),
        ("tools[3].tools[0].parameters", "tools[3].tools[0].parameters"),
        ("tools[3].tools[1].parameters", "tools[3].tools[1].function.parameters"),
        ("tools[4].parameters", "functions[0].parameters"),
        ("tools[5].search_context_size", "tools[5].search_context_size"),
    ],
)
def test_a_tool_has_the_name_of_the_form_in_which_it_was_sent(param: str, expected: str) -> None:
    body = {"tools": [FUNCTION, FLAT, CUSTOM, SPACE], "functions": [{"name": "h"}]}
    assert chat_param(param, body) == expected
    assert chat_param(expected, body) == expected


@pytest.mark.parametrize(
    ("choice", "param", "expected"),
    [
        ({"tool_choice": FUNCTION}, "tool_choice", "tool_choice"),
        ({"tool_choice": FUNCTION}, "tool_choice.name", "tool_choice.function.name"),
        ({"tool_choice": FLAT}, "tool_choice.name", "tool_choice.name"),
        ({"tool_choice": CUSTOM}, "tool_choice.name", "tool_choice.custom.name"),
        ({"tool_choice": FUNCTION}, "tool_choice.type", "tool_choice.type"),
        ({"function_call": {"name": "f"}}, "tool_choice", "function_call"),
        ({"function_call": {"name": "f"}}, "tool_choice.name", "function_call.name"),
        (
            {"tool_choice": {"type": "allowed_tools", "allowed_tools": {"tools": [FUNCTION]}}},
            "tool_choice.tools[0].type",
            "tool_choice.allowed_tools.tools[0].type",
        ),
        (
            {"tool_choice": {"type": "allowed_tools", "tools": [FLAT]}},
            "tool_choice.tools[0].type",
            "tool_choice.tools[0].type",
        ),
    ],
)
def test_a_choice_has_it_too(choice: JsonObject, param: str, expected: str) -> None:
    assert chat_param(param, choice) == expected
    assert chat_param(expected, choice) == expected


def test_what_the_body_has_under_the_backend_s_name_keeps_it() -> None:
    body = {"input": "hi", "reasoning": {"effort": "low"}}
    assert chat_param("input[0].content", body) == "input[0].content"
    assert chat_param("reasoning.effort", body) == "reasoning.effort"
    assert completions_param("input", body) == "input"


@pytest.mark.parametrize(
    ("param", "expected"),
    [
        (None, None),
        ("input", "prompt"),
        ("input[0].content", "prompt"),
        ("instructions", "prompt"),
        ("max_output_tokens", "max_tokens"),
        ("model", "model"),
        ("prompt", "prompt"),
    ],
)
def test_a_field_has_the_name_of_completions(param: str | None, expected: str | None) -> None:
    assert completions_param(param, {}) == expected
    assert completions_param(expected, {}) == expected
