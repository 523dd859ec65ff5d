"""What the simulated backend refuses, in the real one's words."""

from __future__ import annotations

import pytest
from tests.engine.simulator.exchanges import (
    CALL,
    OUTPUT,
    PIXEL,
    WEATHER,
    JsonObject,
    ask,
    detail,
    error,
    function,
    of_object,
    user,
)

from codexapi_engine.simulator import SCRIPTS

NOT_KEPT = (
    "Item with id '{}' not found. Items are not persisted when `store` is set to false. "
    "Try again with `store` set to true, or remove this item from your input."
)

REFUSED: list[tuple[str, JsonObject, int, JsonObject]] = [
    ("no stream", {"stream": None}, 400, detail("Stream must be set to true")),
    ("stream false", {"stream": False}, 400, detail("Stream must be set to true")),
    ("no store", {"store": None}, 400, detail("Store must be set to false")),
    ("store true", {"store": True}, 400, detail("Store must be set to false")),
    ("input string", {"input": "hi"}, 400, detail("Input must be a list")),
    ("no input", {"input": None}, 400, detail("Input must be a list")),
    ("no instructions", {"instructions": None}, 400, detail("Instructions are required")),
    ("empty instructions", {"instructions": ""}, 400, detail("Instructions are required")),
    (
        "system role",
        {"input": [{"role": "system", "content": "Be brief."}]},
        400,
        detail("System messages are not allowed"),
    ),
    (
        "unknown model",
        {"model": "gpt-x"},
        400,
        detail("The 'gpt-x' model is not supported when using Codex with a ChatGPT account."),
    ),
    (
        "no model",
        {"model": None},
        400,
        error("Missing required parameter: 'model'.", "model", "missing_required_parameter"),
    ),
    (
        "item reference",
        {"input": [user("a"), {"type": "item_reference", "id": "rs_7"}]},
        404,
        error(NOT_KEPT.format("rs_7"), "input"),
    ),
    (
        "bare reasoning",
        {"input": [user("a"), {"type": "reasoning", "id": "rs_8", "summary": []}]},
        404,
        error(NOT_KEPT.format("rs_8"), "input"),
    ),
    (
        "call without output",
        {"input": [user("a"), CALL]},
        400,
        error("No tool output found for function call call_1.", "input"),
    ),
    (
        "output without call",
        {"input": [user("a"), OUTPUT]},
        400,
        error("No tool call found for function call output with call_id call_1.", "input"),
    ),
    (
        "json_object without the word",
        {"text": {"format": {"type": "json_object"}}, "instructions": "Answer in JSON."},
        400,
        error(
            "Response input messages must contain the word 'json' in some form to use "
            "'text.format' of type 'json_object'.",
            "input",
        ),
    ),
    (
        "tool name",
        {"tools": [function("a b")]},
        400,
        error(
            "Invalid 'tools[0].name': string does not match pattern. Expected a string that "
            "matches the pattern '^[a-zA-Z0-9_-]+$'.",
            "tools[0].name",
            "invalid_value",
        ),
    ),
    (
        "tool in the chat form",
        {"tools": [{"type": "function", "function": {"name": "f"}}]},
        400,
        error(
            "Missing required parameter: 'tools[0].name'.",
            "tools[0].name",
            "missing_required_parameter",
        ),
    ),
    (
        "array without items",
        {"tools": [function(parameters=of_object(a={"type": "array"}))]},
        400,
        error(
            "Invalid schema for function 'f': In context=('properties', 'a'), "
            "array schema missing items.",
            "tools[0].parameters",
            "invalid_function_parameters",
        ),
    ),
    ("hosted tool", {"tools": [{"type": "mcp"}]}, 400, detail("Unsupported tool type: mcp")),
    (
        "tool choice",
        {"tools": [WEATHER], "tool_choice": {"type": "function", "name": "other"}},
        400,
        error("Tool choice 'other' not found in 'tools' parameter.", "tool_choice"),
    ),
    (
        "cache key",
        {"prompt_cache_key": "k" * 65},
        400,
        error(
            "Invalid 'prompt_cache_key': string too long. Expected a string with maximum length "
            "64, but got a string with length 65 instead.",
            "prompt_cache_key",
            "string_above_max_length",
        ),
    ),
    ("tier", {"service_tier": "default"}, 400, detail("Unsupported service_tier: default")),
    (
        "stream options",
        {"stream_options": {"include_usage": True}},
        400,
        detail("Unsupported parameter: stream_options.include_usage"),
    ),
    (
        "a client's effort",
        {"reasoning": {"effort": "ultra"}},
        400,
        error(
            "Invalid value: 'ultra'. Supported values are: 'none', 'minimal', 'low', 'medium', "
            "'high', 'xhigh', and 'max'.",
            "reasoning.effort",
            "invalid_value",
        ),
    ),
    (
        "an effort that the model lacks",
        {"model": "gpt-5.5", "reasoning": {"effort": "max"}},
        400,
        error(
            "Unsupported value: 'max' is not supported with the 'gpt-5.5' model. "
            "Supported values are: 'low', 'medium', 'high', and 'xhigh'.",
            "reasoning.effort",
            "unsupported_value",
        ),
    ),
    (
        "chat part",
        {"input": [{"role": "user", "content": [{"type": "text", "text": "a"}]}]},
        400,
        error(
            "Invalid value: 'text'. Supported values are: 'input_text', 'input_image', "
            "'output_text', 'refusal', 'input_file', 'computer_screenshot', and 'summary_text'.",
            "input[0].content[0]",
            "invalid_value",
        ),
    ),
    (
        "assistant part",
        {"input": [{"role": "assistant", "content": [{"type": "input_text", "text": "a"}]}]},
        400,
        error(
            "Invalid value: 'input_text'. Supported values are: 'output_text' and 'refusal'.",
            "input[0].content[0]",
            "invalid_value",
        ),
    ),
    (
        "chat role",
        {"input": [{"role": "tool", "content": "a"}]},
        400,
        error(
            "Invalid value: 'tool'. Supported values are: 'assistant', 'system', 'developer', "
            "and 'user'.",
            "input[0]",
            "invalid_value",
        ),
    ),
    (
        "foreign id",
        {"input": [{**user("a"), "id": "abc"}]},
        400,
        error(
            "Invalid 'input[0].id': 'abc'. Expected an ID that begins with 'msg'.",
            "input[0].id",
            "invalid_value",
        ),
    ),
    (
        "broken image",
        {"input": [user("a", {"type": "input_image", "image_url": PIXEL[:40] + "!"})]},
        400,
        error(
            "The image data you provided does not represent a valid image. Please check your "
            "input and try again with one of the supported image formats: "
            "['image/jpeg', 'image/png', 'image/gif', 'image/webp'].",
            "input",
            "invalid_value",
        ),
    ),
    (
        "wrong type",
        {"reasoning": "low"},
        400,
        error("Invalid type for 'reasoning': expected an object.", "reasoning", "invalid_type"),
    ),
    (
        "transparent image tool",
        {"tools": [{"type": "image_generation", "background": "transparent"}]},
        400,
        error(
            "Transparent background is not supported for this model.",
            "tools[0].background",
            "invalid_value",
        ),
    ),
    (
        "unknown script",
        {"input": [user("[[sya 3]]")]},
        400,
        detail(f"Unknown simulator script: sya. Known: {', '.join(SCRIPTS)}"),
    ),
    (
        "script without its argument",
        {"input": [user("[[long many]]")]},
        400,
        detail("Simulator script long: it needs a whole number"),
    ),
]


@pytest.mark.parametrize(
    ("changes", "status", "said"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
async def test_what_the_backend_refuses_is_refused_with_its_words(
    changes: JsonObject, status: int, said: JsonObject
) -> None:
    answer = await ask(**changes)
    assert (answer.status, answer.json) == (status, said)
    assert answer.headers["content-type"] == "application/json"
