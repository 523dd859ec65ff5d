"""The rules of the simulated backend, one by one."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from tests.clock import Clock
from tests.engine.simulator.exchanges import (
    CALL,
    LITE,
    LITE_BODY,
    NOW,
    OUTPUT,
    PIXEL,
    SEARCH,
    SEARCHES,
    WEATHER,
    JsonObject,
    ask,
    call_pair,
    draw,
    function,
    message_of,
    of_object,
    send,
    user,
)

from codexapi_engine.simulator import NAMES, Simulator, listing_of_rules
from codexapi_engine.simulator.backend import catalogue
from codexapi_engine.simulator.checks.table import EDIT_RULES, RULES, SEARCH_RULES
from codexapi_engine.simulator.encryption import Origin, encrypt

LONG = "k" * 65
GIF = "data:image/gif;base64," + base64.b64encode(b"GIF89a\4\0\3\0\0\0\0").decode()


def assistant_message(**changes: Any) -> JsonObject:
    """A message of the assistant, with changes."""
    content = [{"type": "output_text", "text": "Yes."}]
    return {"type": "message", "role": "assistant", "content": content, **changes}


def with_reasoning(content: str, **changes: Any) -> JsonObject:
    """The input with a reasoning item."""
    item = {"type": "reasoning", "summary": [], "encrypted_content": content, **changes}
    return {"input": [user("a"), item]}


def with_picture(url: str) -> JsonObject:
    return {"input": [user("a", {"type": "input_image", "image_url": url})]}


def with_schema(parameters: JsonObject, **changes: Any) -> JsonObject:
    return {"tools": [function(parameters=parameters, **changes)]}


def with_choice(**choice: Any) -> JsonObject:
    return {"tools": [WEATHER, {"type": "web_search"}], "tool_choice": choice}


def in_lite(**changes: Any) -> JsonObject:
    return {**LITE_BODY, "headers": LITE, **changes}


BY_SOL = Origin(1, Simulator().account_id, "gpt-6.1-sol", "rs_1")
STRICT = {**of_object(a={"type": "string"}), "additionalProperties": False, "required": ["a"]}

# What breaks each rule and no other, and words of the refusal.
VIOLATIONS: dict[str, tuple[JsonObject, str]] = {
    "stream": ({"stream": False}, "Stream must be set to true"),
    "store": ({"store": True}, "Store must be set to false"),
    "system_role": (
        {"input": [{"role": "system", "content": "Be brief."}]},
        "System messages are not allowed",
    ),
    "empty_input": ({"input": []}, 'One of "input" or "previous_response_id" or \'prompt\' or'),
    "role": ({"input": [{"role": "tool", "content": "a"}]}, "Invalid value: 'tool'."),
    "item_type": ({"input": [user("a"), {"type": "mcp_call"}]}, "Invalid value: 'mcp_call'."),
    "stored_item": ({"input": [user("a"), {"type": "item_reference", "id": "rs_7"}]}, "not found"),
    "item_id_characters": (
        {"input": [{**user("a"), "id": "msg_a:b"}]},
        "Invalid 'input[0].id': 'msg_a:b'. Expected an ID that contains letters, numbers,",
    ),
    "item_id_prefix": (
        {"input": [{**user("a"), "id": "item_1"}]},
        "Expected an ID that begins with 'msg'.",
    ),
    "item_id_length": (
        {"input": [user("a"), assistant_message(id=f"msg_{LONG}"), user("b")]},
        "Invalid 'input[1].id': string too long. Expected a string with maximum length 64, but got",
    ),
    "duplicate_item_id": (
        {"input": [assistant_message(id="msg_1"), assistant_message(id="msg_1")]},
        "Duplicate item found with id msg_1. Remove duplicate items from your input and try again.",
    ),
    "call_id_empty": (call_pair(""), "Invalid 'input[1].call_id': empty string."),
    "call_id_characters": (call_pair("fc_a|b:c"), "Invalid 'input[1].call_id': string does not"),
    "call_id_length": (call_pair(LONG), "Invalid 'input[1].call_id': string too long."),
    "call_name": (call_pair(name="mcp:srv:tool"), "Invalid 'input[1].name': string does not match"),
    "call_name_length": (call_pair(name="f" * 129), "Expected a string with maximum length 128"),
    "readable_content": (with_reasoning("gAAAAABmadeup"), "could not be decrypted or parsed."),
    "other_account": (
        with_reasoning(encrypt(BY_SOL._replace(account="acct-other")), id="rs_1"),
        "The encrypted content for item rs_1 could not be verified. Reason: Encrypted content",
    ),
    "other_model": (
        with_reasoning(encrypt(BY_SOL._replace(model="gpt-5.5"))),
        "could not be verified.",
    ),
    "other_item_id": (
        with_reasoning(encrypt(BY_SOL), id="rs_2"),
        "Encrypted content item_id did not match the target item id.",
    ),
    "content_part": (
        {"input": [{"role": "user", "content": [{"type": "text", "text": "a"}]}]},
        "Invalid value: 'text'.",
    ),
    "cache_breakpoint": (
        {"input": [user("a", {"type": "input_text", "text": "", "prompt_cache_breakpoint": {}})]},
        "prompt_cache_breakpoint is not supported on this model",
    ),
    "image_media_type": (
        with_picture(PIXEL.replace("image/png", "image/jpg")),
        "got unsupported MIME type 'image/jpg'.",
    ),
    "image_data": (
        with_picture("data:image/png;base64,aGk="),
        "with one of the supported image formats: ['image/jpeg', 'image/png', 'image/gif', ",
    ),
    "unsupported_parameter": ({"temperature": 1}, "Unsupported parameter: temperature"),
    "stream_options": (
        {"stream_options": {"include_usage": True}},
        "Unsupported parameter: stream_options.include_usage",
    ),
    "instructions": ({"instructions": ""}, "Instructions are required"),
    "call_without_output": (
        {"input": [user("a"), CALL]},
        "No tool output found for function call call_1.",
    ),
    "output_without_call": (
        {"input": [user("a"), OUTPUT]},
        "No tool call found for function call output with call_id call_1.",
    ),
    "web_search_name": (
        {"tools": [{"type": "web_search_2025_08_26"}]},
        "Unsupported tool type: web_search_2025_08_26",
    ),
    "tool_type": ({"tools": [{"type": "mcp"}]}, "Unsupported tool type: mcp"),
    "tool_name": ({"tools": [function("a.b")]}, "Invalid 'tools[0].name': string does not match"),
    "tool_name_length": (
        {"tools": [function("f" * 129)]},
        "Invalid 'tools[0].name': string too long. Expected a string with maximum length 128,",
    ),
    "array_items": (
        with_schema(of_object(a={"type": ["array", "null"]})),
        "In context=('properties', 'a'), array schema missing items.",
    ),
    "schema_type": (with_schema({}), "schema must be a JSON Schema of 'type: \"object\"', got"),
    "object_properties": (
        with_schema({"type": "object"}),
        "Invalid schema for function 'f': In context=(), object schema missing properties.",
    ),
    "inner_object_properties": (
        with_schema(of_object(a={"type": "object"})),
        "In context=('properties', 'a'), object schema missing properties.",
    ),
    "strict_tool": (
        with_schema({**STRICT, "additionalProperties": True}, strict=True),
        "In context=(), 'additionalProperties' is required to be supplied and to be false.",
    ),
    "image_tool": ({"tools": [{"type": "image_generation", "n": 2}]}, "Unknown parameter: 'tools"),
    "tool_choice": (
        with_choice(type="web_search_preview"),
        "Tool choice 'web_search_preview' not found in 'tools' parameter.",
    ),
    "allowed_tools": (
        with_choice(type="allowed_tools", tools=[{"type": "function", "name": "web_search"}]),
        "Tool choice 'web_search' not found in 'tools' parameter.",
    ),
    "cache_key": ({"prompt_cache_key": LONG}, "Invalid 'prompt_cache_key': string too long."),
    "service_tier": ({"service_tier": "default"}, "Unsupported service_tier: default"),
    "effort": (
        {"model": "mine", "reasoning": {"effort": "ultra"}},
        "Invalid value: 'ultra'.",
    ),
    "json_word": (
        {"text": {"format": {"type": "json_object"}}},
        "must contain the word 'json' in some form",
    ),
    "strict_format": (
        {"text": {"format": {"name": "place", "strict": True, "schema": of_object()}}},
        "Invalid schema for response_format 'place': In context=(), 'additionalProperties' is",
    ),
    "model": ({"model": "gpt-x"}, "The 'gpt-x' model is not supported when using Codex"),
    "client_version": (
        {"model": "gpt-6.2-sol", "headers": {"version": "0.165.0"}},
        "The 'gpt-6.2-sol' model requires a newer version of Codex.",
    ),
    "model_effort": (
        {"reasoning": {"effort": "minimal"}},
        "'gpt-6.1-sol' model. Supported values are: 'low', 'medium', 'high', 'xhigh', and 'max'.",
    ),
    "effort_update": (
        {"model": "gpt-6-sol", "input": [user("a"), {"type": "configuration_update"}]},
        "The 'configuration_update' item type is not supported with the 'gpt-6-sol' model.",
    ),
    "lite_model": (in_lite(model="gpt-5.5"), "This model is not supported when using X-OpenAI-"),
    "lite_parallel_calls": (
        in_lite(parallel_tool_calls=True),
        "requires `parallel_tool_calls` to be",
    ),
    "lite_context": (in_lite(reasoning=None), "requires `reasoning.context` to be `all_turns`."),
    "lite_tools": (in_lite(tools=[{"type": "web_search"}]), "only supports function tools, custom"),
}
EDIT_VIOLATIONS: dict[str, tuple[JsonObject, str]] = {
    "edit_image_count": ({"images": [{"image_url": PIXEL}] * 17}, "At most 16 images"),
    "edit_image_url": (
        {"images": [{"image_url": "https://example.com/a.png"}]},
        "Error while downloading file.",
    ),
    "edit_image_media_type": (
        {"images": [{"image_url": PIXEL.replace("png", "pjpeg", 1)}]},
        "got unsupported MIME type 'image/pjpeg'.",
    ),
    "edit_image_data": (
        {"images": [{"image_url": "data:image/png;base64,aGk="}]},
        "does not represent a valid image.",
    ),
    "edit_image_kind": ({"images": [{"image_url": GIF}]}, "Invalid image file or mode for image 1"),
}


@pytest.mark.parametrize("rule", VIOLATIONS)
async def test_a_rule_is_kept_strictly_and_switched_off_by_its_name(rule: str) -> None:
    changes, words = VIOLATIONS[rule]
    models = [*catalogue(), {"slug": "mine"}]
    strict, lenient = (
        Simulator(clock=Clock(NOW), models=models, lenient=lenient) for lenient in ((), {rule})
    )
    refused = await ask(by=strict, **dict(changes))
    assert 400 <= refused.status < 500
    assert words in message_of(refused)
    assert (await ask(by=lenient, **dict(changes))).status == 200


@pytest.mark.parametrize("rule", EDIT_VIOLATIONS)
async def test_a_rule_of_edits_is_kept_strictly_and_switched_off_by_its_name(rule: str) -> None:
    changes, words = EDIT_VIOLATIONS[rule]
    refused = await draw(edit=True, **changes)
    assert refused.status == 400
    assert words in message_of(refused)
    assert (await draw(edit=True, lenient={rule}, **changes)).status == 200


async def test_a_search_has_the_parameters_that_were_recorded_unless_the_rule_is_off() -> None:
    sent = {**SEARCH, "prompt_cache_key": "k"}
    refused = await send(Simulator(), "POST", SEARCHES, sent)
    message = "Unknown parameter: 'prompt_cache_key'."
    assert (refused.status, message_of(refused)) == (400, message)
    passed = await send(Simulator(lenient={"search_parameter"}), "POST", SEARCHES, sent)
    assert passed.status == 200


def test_every_rule_is_broken_here_and_has_evidence() -> None:
    assert {*VIOLATIONS, *EDIT_VIOLATIONS, "search_parameter"} == set(NAMES)
    text = listing_of_rules()
    for name, rule in {**RULES, **EDIT_RULES, **SEARCH_RULES}.items():
        assert f"\n{name}\n" in f"\n{text}"
        assert rule.evidence.split()[0] in text
        assert rule.evidence.endswith(".")


def test_a_rule_that_there_is_not_is_named_with_those_that_there_are() -> None:
    names = ", ".join(RULES)
    with pytest.raises(ValueError, match=f"no rule strem; the rules: {names}"):
        Simulator(lenient={"strem"})


@pytest.mark.parametrize(
    "changes",
    [
        call_pair("c" * 64),
        call_pair(name="f" * 128),
        {"input": [user("a"), assistant_message(id="msg_" + "k" * 60), user("b")]},
        {"input": [user("a"), {**OUTPUT, "id": "fco_1"}, {**CALL, "id": "fc_1"}]},
        {"tools": [function("f" * 128)]},
        with_schema(of_object(a={"type": "array", "items": {}}, b=of_object())),
        with_schema(STRICT, strict=True),
        with_schema({**STRICT, "required": []}, strict=None),
        {"tools": [{"type": "function", "name": "f"}]},
        with_choice(type="function", name="get_weather"),
        with_choice(type="web_search"),
        with_choice(type="allowed_tools", mode="auto", tools=[{"type": "web_search"}]),
        with_picture(GIF),
        with_picture("https://example.com/a.jpg"),
        {"reasoning": {"effort": "max"}},
    ],
    ids=range(15),
)
async def test_what_is_within_the_rules_passes(changes: JsonObject) -> None:
    assert (await ask(**changes)).status == 200


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"input": [{**user("a"), "id": ""}]}, "input[0].id"),
        ({"input": [user("a"), CALL, {**OUTPUT, "id": "out:1"}]}, "input[2].id"),
        ({"input": [user("a"), CALL, {**OUTPUT, "call_id": LONG}]}, "input[2].call_id"),
        (call_pair(name=""), "input[1].name"),
        ({"input": [user("a"), {"type": "function_call", "id": 7}]}, "input[1].id"),
        ({"tools": [{"type": "namespace", "name": "n", "tools": [function("a.b")]}]}, "tools[0].tools[0].name"),
        ({"tools": [{"type": "namespace", "name": "n", "tools": ["a"]}]}, "tools[0].tools[0]"),
        ({"tool_choice": {"type": "allowed_tools", "tools": ["a"]}}, "tool_choice.tools[0]"),
        (with_schema({**STRICT, "required": []}, strict=True), "tools[0].parameters"),
        ({"input": [{"role": "user", "content": ["a"]}]}, "input[0].content[0]"),
    ],
)  # fmt: skip
async def test_a_rule_holds_wherever_it_applies(changes: JsonObject, param: str) -> None:
    answer = await ask(**changes)
    assert (answer.status, answer.json["error"]["param"]) == (400, param)


async def test_a_warm_up_is_empty_and_answered_without_output() -> None:
    answer = await ask(by=Simulator(), **in_lite(generate=False, input=[], instructions=None))
    assert answer.types == ["response.created", "response.in_progress", "response.completed"]


async def test_a_change_of_the_configuration_passes_and_says_nothing() -> None:
    update = {"type": "configuration_update", "reasoning": {"effort": "high"}}
    answer = await ask(input=[user("The first"), update, user("The second"), update])
    assert answer.status == 200
    assert "“The second”" in answer.text
