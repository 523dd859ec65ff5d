"""Fields in errors, by the caller's own names."""

from __future__ import annotations

import pytest

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
        ("tools[12].parameters", "tools[12].function.parameters"),
        ("tools[0].parameters.properties.name", "tools[0].function.parameters.properties.name"),
        ("tools[0].name", "tools[0].function.name"),
        ("tools[0].custom.name", "tools[0].custom.name"),
        ("tools[0].name_of_more", "tools[0].name_of_more"),
        ("tool_choice", "tool_choice"),
        ("tool_choice.name", "tool_choice.function.name"),
        ("tool_choice.tools[0].type", "tool_choice.allowed_tools.tools[0].type"),
        ("service_tier", "service_tier"),
        ("messages[0].content", "messages[0].content"),
    ],
)
def test_a_field_has_chats_name(param: str | None, expected: str | None) -> None:
    assert chat_param(param) == expected
    assert chat_param(expected) == expected


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
    assert completions_param(param) == expected
    assert completions_param(expected) == expected
