"""The simulated backend: what it refuses, what it says, how it sends it, who may ask."""

from __future__ import annotations

import asyncio
import base64
import json
import random
import re
import socket
import struct
import zlib
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import uvicorn
from tests.clock import Clock
from tests.logins import backend_headers

from codexapi_engine import Codex, CodexError, Settings, request, text_of
from codexapi_engine.http.failures import NetworkError
from codexapi_engine.http.in_process import in_process
from codexapi_engine.http.messages import HttpRequest, Url
from codexapi_engine.login.store import InMemory
from codexapi_engine.protocol.responses import TERMINAL, Assembler
from codexapi_engine.protocol.sse import Decoder, Event
from codexapi_engine.simulator import NAMES, SCRIPTS, Simulator, listing, listing_of_rules
from codexapi_engine.simulator.asgi import app
from codexapi_engine.simulator.backend import catalogue
from codexapi_engine.simulator.checks.table import EDIT_RULES, RULES, SEARCH_RULES
from codexapi_engine.simulator.encryption import Origin, decrypt, encrypt
from codexapi_engine.simulator.png import png
from codexapi_engine.simulator.prose import people, places, wanted
from codexapi_engine.simulator.refusals import FAILURES, REFUSALS
from codexapi_engine.simulator.schema import example, strict
from codexapi_engine.simulator.stream import odd_pieces

JsonObject = dict[str, Any]

NOW = 1_795_332_000.0
PIXEL = "data:image/png;base64," + base64.b64encode(png(4, 3, "dot")).decode()
LITE = {"x-openai-internal-codex-responses-lite": "true"}
RESPONSES = "/backend-api/codex/responses"
WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather of a place.",
    "strict": False,
    "parameters": {
        "type": "object",
        "properties": {"location": {"type": "string"}, "unit": {"enum": ["C", "F"]}},
        "required": ["location"],
    },
}
PATCH = {"type": "custom", "name": "apply_patch", "description": "Edits files."}


class Bed:
    """A sleep that nobody wakes from, and what tells of it."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self.asleep = asyncio.Event()
        self.left = asyncio.Event()

    async def __call__(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.asleep.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.left.set()


@dataclass
class Answer:
    status: int
    headers: Mapping[str, str]
    chunks: list[bytes]
    broken: bool = False

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def events(self) -> list[Event]:
        decoder = Decoder()
        return [*decoder.feed(self.body), *decoder.flush()]

    @property
    def types(self) -> list[str]:
        return [event.type for event in self.events]

    @property
    def items(self) -> list[JsonObject]:
        done = "response.output_item.done"
        return [event.json["item"] for event in self.events if event.type == done]

    @property
    def text(self) -> str:
        """The text of the last message."""
        part = [item for item in self.items if item["type"] == "message"][-1]["content"][0]
        return str(part.get("text", part.get("refusal")))

    @property
    def calls(self) -> list[tuple[str, Any]]:
        found = [item for item in self.items if item["type"].endswith("_call")]
        return [
            (item["name"], json.loads(item["arguments"]) if "arguments" in item else item["input"])
            for item in found
        ]

    def __contains__(self, kind: str) -> bool:
        return kind in self.types


def signed(simulator: Simulator, **more: str) -> dict[str, str]:
    return {
        **backend_headers(simulator.login()),
        "content-type": "application/json",
        **{name.replace("_", "-"): value for name, value in more.items()},
    }


def body(prompt: str = "Say hello", /, **changes: Any) -> JsonObject:
    """A request that the backend takes, with changes; None takes a field away."""
    whole = {
        "model": "gpt-6.1-sol",
        "instructions": "You are a test.",
        "input": [user(prompt)],
        "stream": True,
        "store": False,
        "include": ["reasoning.encrypted_content"],
        **changes,
    }
    return {name: value for name, value in whole.items() if value is not None}


def user(text: str, *parts: JsonObject) -> JsonObject:
    content = [{"type": "input_text", "text": text}, *parts]
    return {"type": "message", "role": "user", "content": content}


async def send(
    simulator: Simulator,
    method: str,
    target: str,
    sent: JsonObject | bytes = b"",
    headers: Mapping[str, str] | None = None,
) -> Answer:
    given = signed(simulator) if headers is None else headers
    data = sent if isinstance(sent, bytes) else json.dumps(sent).encode()
    status, told, chunks = await simulator.handle(method, target, given, data)
    answer = Answer(status, told, [])
    try:
        async for chunk in chunks:
            answer.chunks.append(chunk)
    except ConnectionResetError:
        answer.broken = True
    return answer


async def ask(
    prompt: str = "Say hello", /, *, by: Simulator | None = None, **changes: Any
) -> Answer:
    headers = changes.pop("headers", {})
    simulator = by or Simulator(clock=Clock(NOW))
    return await send(
        simulator, "POST", RESPONSES, body(prompt, **changes), {**signed(simulator), **headers}
    )


def detail(text: str) -> JsonObject:
    return {"detail": text}


def error(message: str, param: str | None = None, code: str | None = None) -> JsonObject:
    kind = "invalid_request_error"
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def function(name: str = "f", **changes: Any) -> JsonObject:
    return {**WEATHER, "name": name, **changes}


def of_object(**properties: JsonObject) -> JsonObject:
    return {"type": "object", "properties": properties}


# --- what is refused -------------------------------------------------------------------------

NOT_KEPT = (
    "Item with id '{}' not found. Items are not persisted when `store` is set to false. "
    "Try again with `store` set to true, or remove this item from your input."
)
CALL = {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "call_1", "output": "done"}
LITE_BODY: JsonObject = {"parallel_tool_calls": False, "reasoning": {"context": "all_turns"}}

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


# --- the rules, one by one -------------------------------------------------------------------

LONG = "k" * 65
GIF = "data:image/gif;base64," + base64.b64encode(b"GIF89a\4\0\3\0\0\0\0").decode()


def assistant_message(**changes: Any) -> JsonObject:
    """A message of the assistant, with changes."""
    content = [{"type": "output_text", "text": "Yes."}]
    return {"type": "message", "role": "assistant", "content": content, **changes}


def call_pair(call_id: str = "call_1", name: str = "f") -> JsonObject:
    """The input with a call and its output."""
    call = {**CALL, "name": name, "call_id": call_id}
    return {"input": [user("a"), call, {**OUTPUT, "call_id": call_id}]}


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
SEARCH: JsonObject = {
    "id": "s1",
    "model": "gpt-6.1-sol",
    "input": [user("search hello")],
    "commands": {"search_query": [{"q": "hello"}], "response_length": "short"},
    "settings": {"allowed_callers": ["direct"], "external_web_access": False},
    "max_output_tokens": 10_000,
}
SEARCHES = "/backend-api/codex/alpha/search"


def message_of(answer: Answer) -> str:
    return str(answer.json.get("detail") or answer.json["error"]["message"])


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
    with pytest.raises(ValueError, match=r"no rule strem; the rules: stream, store, "):
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


# --- what is encrypted -----------------------------------------------------------------------


async def ask_as(simulator: Simulator, name: str, **changes: Any) -> Answer:
    """What the backend answers the account of this name."""
    tokens = json.loads(simulator.login(name))["tokens"]
    account = {"chatgpt-account-id": tokens["account_id"]}
    headers = {"authorization": f"Bearer {tokens['access_token']}", **account}
    return await ask(by=simulator, headers=headers, **changes)


@pytest.mark.parametrize("trigger", [[], [{"type": "compaction_trigger"}]])
async def test_what_one_account_wrote_no_other_can_read(trigger: list[JsonObject]) -> None:
    simulator = Simulator()
    [item, *_] = (await ask_as(simulator, "", input=[user("a"), *trigger])).items
    again = {"input": [item, user("b")]}
    assert (await ask_as(simulator, "", **again)).status == 200
    refused = await ask_as(simulator, "another", **again)
    assert refused.json == error(
        f"The encrypted content for item {item['id']} could not be verified. "
        "Reason: Encrypted content could not be decrypted or parsed.",
        code="invalid_encrypted_content",
    )


async def test_after_a_change_of_keys_nothing_of_before_can_be_read() -> None:
    simulator = Simulator()
    [before, *_] = (await ask(by=simulator)).items
    simulator.accounts.rotate_keys()
    assert (await ask(by=simulator, input=[before, user("b")])).status == 400
    [after, *_] = (await ask(by=simulator)).items
    assert (await ask(by=simulator, input=[after, user("b")])).status == 200


@pytest.mark.parametrize(
    ("model", "trigger", "status"),
    [
        ("gpt-6-sol", [], 400),
        ("gpt-6-sol", [{"type": "compaction_trigger"}], 200),  # it compacts alike
        ("gpt-5.5", [{"type": "compaction_trigger"}], 400),
    ],
)
async def test_another_model_reads_a_compaction_alone(
    model: str, trigger: list[JsonObject], status: int
) -> None:
    simulator = Simulator()
    [item, *_] = (await ask(by=simulator, input=[user("a"), *trigger])).items
    answer = await ask(by=simulator, model=model, input=[item, user("b")])
    assert answer.status == status


async def test_encrypted_content_is_good_without_the_id_of_its_item() -> None:
    simulator = Simulator()
    [item, *_] = (await ask(by=simulator)).items
    del item["id"]
    assert (await ask(by=simulator, input=[item, user("b")])).status == 200
    item["encrypted_content"] = item["encrypted_content"][:-9]
    refused = await ask(by=simulator, input=[item, user("b")])
    assert message_of(refused).startswith("The encrypted content gAAA...")


@pytest.mark.parametrize("content", ["", "gAAAAABsimulated-", "gAAAAABsimulated-WzFd", "gAAAAABx"])
def test_what_no_backend_wrote_is_not_read(content: str) -> None:
    assert decrypt(content) is None


def test_each_name_has_an_account_of_its_own() -> None:
    simulator = Simulator()
    ids = [json.loads(simulator.login(name))["tokens"]["account_id"] for name in ("", "b", "b")]
    assert ids[0] == simulator.account_id
    assert ids[1] == ids[2] != ids[0]


async def test_an_account_is_told_of_itself_alone() -> None:
    simulator = Simulator()
    tokens = json.loads(simulator.login("b"))["tokens"]
    headers = signed(simulator, authorization=f"Bearer {tokens['access_token']}")
    usage = "/backend-api/wham/usage"
    assert (await send(simulator, "GET", usage, headers=headers)).status == 401
    headers["chatgpt-account-id"] = tokens["account_id"]
    answer = await send(simulator, "GET", usage, headers=headers)
    assert answer.json["account_id"] == tokens["account_id"]
    renewed = (await redeem(simulator, tokens["refresh_token"])).json["access_token"]
    headers["authorization"] = f"Bearer {renewed}"
    assert (await send(simulator, "GET", usage, headers=headers)).json == answer.json


# --- what has always been refused ------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "max_output_tokens", "max_completion_tokens", "temperature", "top_p", "frequency_penalty",
        "presence_penalty", "metadata", "user", "truncation", "safety_identifier",
        "prompt_cache_retention", "prompt_cache_options", "context_management",
        "previous_response_id", "stop", "background", "conversation", "top_logprobs",
        "max_tool_calls", "moderation", "prompt",
    ],
)  # fmt: skip
async def test_parameter_that_the_backend_lacks_is_refused_by_name(name: str) -> None:
    changes: JsonObject = {name: 1}
    answer = await ask(**changes)
    assert (answer.status, answer.json) == (400, detail(f"Unsupported parameter: {name}"))


async def test_developer_message_does_for_instructions() -> None:
    items = [{"role": "developer", "content": "Be brief."}, user("hi")]
    assert (await ask(instructions=None, input=items)).status == 200


TOO_OLD = (
    "The '{}' model requires a newer version of Codex. "
    "Please upgrade to the latest app or CLI and try again."
)
NOT_YOURS = "The '{}' model is not supported when using Codex with a ChatGPT account."


@pytest.mark.parametrize(
    ("model", "version", "said"),
    [
        ("gpt-6-sol", "0.155.0", None),
        ("gpt-6-sol", "0.154.9", TOO_OLD),
        ("gpt-6-astra", "0.153.0", None),
        ("gpt-6-astra", "0.152.0", TOO_OLD),
        ("gpt-5.6-sol", "0.144.0", None),
        ("gpt-5.6-luna", "0.143.0", TOO_OLD),
        ("gpt-5.6-luna", "", NOT_YOURS),
        ("gpt-5.5", "", None),
    ],
)
async def test_client_version_decides_which_models_there_are(
    model: str, version: str, said: str | None
) -> None:
    answer = await ask(model=model, headers={"version": version})
    assert answer.status == (400 if said else 200)
    if said:
        assert answer.json == detail(said.format(model))


@pytest.mark.parametrize(
    ("changes", "param", "said"),
    [
        ({"model": "gpt-5.5"}, "model", "This model is not supported when using X-"),
        ({"parallel_tool_calls": True}, "parallel_tool_calls", "requires `parallel_tool_calls`"),
        ({"parallel_tool_calls": None}, "parallel_tool_calls", "to be false."),
        ({"reasoning": None}, "reasoning.context", "requires `reasoning.context`"),
        ({"tools": [{"type": "web_search"}]}, "tools", "only supports function tools, custom"),
    ],
)
async def test_lite_shape_has_rules_of_its_own(changes: JsonObject, param: str, said: str) -> None:
    whole: JsonObject = {**LITE_BODY, **changes, "headers": LITE}
    answer = await ask(**whole)
    assert answer.status == 400
    assert answer.json["error"]["param"] == param
    assert said in answer.json["error"]["message"]


async def test_lite_shape_offers_the_tools_of_its_input() -> None:
    offered = {
        "type": "additional_tools",
        "role": "developer",
        "tools": [{"type": "namespace", "name": "functions", "tools": [WEATHER]}],
    }
    items = [offered, user("The weather in Oslo?")]
    answer = await ask(input=items, **LITE_BODY, headers=LITE)
    assert answer.calls == [("get_weather", {"location": "Oslo"})]
    assert answer.items[-1]["namespace"] == "functions"


async def test_without_the_lite_header_those_tools_are_not_seen() -> None:
    offered = {"type": "additional_tools", "role": "developer", "tools": [WEATHER]}
    answer = await ask(input=[offered, user("The weather in Oslo?")])
    assert answer.calls == []


@pytest.mark.parametrize(
    ("method", "target", "status", "said"),
    [
        ("GET", "/backend-api/codex/nothing", 404, detail("Not Found")),
        ("GET", "/", 404, detail("Not Found")),
        ("PUT", RESPONSES, 405, detail("Method Not Allowed")),
        ("POST", "/backend-api/codex/models", 405, detail("Method Not Allowed")),
        ("GET", RESPONSES, 426, detail("Upgrade Required")),
    ],
)
async def test_there_are_no_other_endpoints(
    method: str, target: str, status: int, said: JsonObject
) -> None:
    answer = await send(Simulator(), method, target)
    assert (answer.status, answer.json) == (status, said)


@pytest.mark.parametrize(
    ("sent", "headers", "status"),
    [
        (b"{}", {"content-type": "text/plain"}, 415),
        (b"{}", {"content-encoding": "zstd"}, 415),
        (b"{", {}, 400),
        (b"[]", {}, 400),
        (b"[" * 100_000, {}, 400),
    ],
)
async def test_a_body_is_one_json_object(sent: bytes, headers: dict[str, str], status: int) -> None:
    simulator = Simulator()
    answer = await send(simulator, "POST", RESPONSES, sent, {**signed(simulator), **headers})
    assert answer.status == status


@pytest.mark.parametrize(
    "schema",
    [{"type": "array", "minItems": "x"}, {"properties": [1]}, {"enum": 7}, {"allOf": 1}],
)
async def test_a_schema_that_is_none_is_refused(schema: JsonObject) -> None:
    answer = await ask(text={"format": {"type": "json_schema", "name": "a", "schema": schema}})
    assert answer.status == 400
    assert answer.json["error"]["code"] == "invalid_json_schema"


# --- who may ask -----------------------------------------------------------------------------

GOOD: dict[str, str] = {}


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({"authorization": ""}, "unauthorized_detail"),
        ({"authorization": "Basic abc"}, "unauthorized_detail"),
        ({"authorization": "Bearer wrong"}, "token_invalidated"),
        ({"chatgpt-account-id": ""}, "unauthorized_detail"),
        ({"chatgpt-account-id": "acct-other"}, "unauthorized_detail"),
    ],
)
@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("POST", RESPONSES),
        ("GET", "/backend-api/codex/models?client_version=0.169.0"),
        ("GET", "/backend-api/wham/usage"),
        ("GET", "/backend-api/wham/accounts/check"),
        ("POST", "/backend-api/codex/images/generations"),
        ("POST", "/backend-api/codex/images/edits"),
        ("POST", "/backend-api/codex/alpha/search"),
    ],
)
async def test_a_wrong_login_fails_everywhere(
    method: str, target: str, headers: dict[str, str], said: str
) -> None:
    simulator = Simulator(clock=Clock(NOW))
    answer = await send(simulator, method, target, body(), {**signed(simulator), **headers})
    assert (answer.status, answer.json) == (401, REFUSALS[said].body)


async def test_an_access_token_dies_at_its_hour() -> None:
    clock = Clock(NOW)
    simulator = Simulator(token_lifetime=100, clock=clock)
    headers = signed(simulator)
    clock.now += 99
    assert (await send(simulator, "POST", RESPONSES, body(), headers)).status == 200
    clock.now += 1
    answer = await send(simulator, "POST", RESPONSES, body(), headers)
    assert (answer.status, answer.json) == (401, REFUSALS["token_expired"].body)


async def test_another_simulators_login_is_worth_nothing() -> None:
    answer = await send(Simulator(seed=1), "POST", RESPONSES, body(), signed(Simulator(seed=2)))
    assert answer.status == 401


async def test_invalidated_tokens_fail_and_can_be_renewed() -> None:
    simulator = Simulator()
    refresh = json.loads(simulator.login())["tokens"]["refresh_token"]
    headers = signed(simulator)
    simulator.accounts.invalidate()
    answer = await send(simulator, "POST", RESPONSES, body(), headers)
    assert answer.json == REFUSALS["token_invalidated"].body
    assert (await redeem(simulator, refresh)).status == 200


def test_login_is_written_as_the_official_client_writes_it() -> None:
    simulator = Simulator(clock=Clock(NOW))
    text = simulator.login().decode()
    login = json.loads(text)
    assert text == json.dumps(login, indent=2)
    assert list(login) == ["auth_mode", "OPENAI_API_KEY", "tokens", "last_refresh"]
    assert (login["auth_mode"], login["OPENAI_API_KEY"]) == ("chatgpt", None)
    assert set(login["tokens"]) == {"id_token", "access_token", "refresh_token", "account_id"}
    assert login["tokens"]["account_id"].startswith("acct-simulated-")
    assert login["tokens"]["access_token"].endswith(".simulated")


CLIENT = "app_EMoamEEZ73f0CkXaXp7hrann"


async def redeem(simulator: Simulator, token: str, *, form: bool = False, **changes: str) -> Answer:
    told = {
        "client_id": CLIENT,
        "grant_type": "refresh_token",
        "refresh_token": token,
        **changes,
    }
    if form:
        data = "&".join(f"{name}={value}" for name, value in told.items()).encode()
        kind = "application/x-www-form-urlencoded"
    else:
        data, kind = json.dumps(told).encode(), "application/json"
    return await send(simulator, "POST", "/oauth/token", data, {"content-type": kind})


@pytest.mark.parametrize("form", [False, True])
async def test_a_refresh_token_is_good_once(form: bool) -> None:
    simulator = Simulator(token_lifetime=500, clock=Clock(NOW))
    token = json.loads(simulator.login())["tokens"]["refresh_token"]
    first = await redeem(simulator, token, form=form)
    assert first.status == 200
    assert first.json["expires_in"] == 500
    assert first.json["refresh_token"] != token
    again = await redeem(simulator, token, form=form)
    assert (again.status, again.json) == (401, REFUSALS["refresh_token_reused"].body)
    assert (simulator.refreshes, simulator.refused_refreshes) == (1, 1)
    headers = {**signed(simulator), "authorization": f"Bearer {first.json['access_token']}"}
    assert (await send(simulator, "POST", RESPONSES, body(), headers)).status == 200
    assert (await redeem(simulator, first.json["refresh_token"])).status == 200


@pytest.mark.parametrize(
    ("changes", "status", "said"),
    [
        ({"refresh_token": "rt_other"}, 401, REFUSALS["refresh_token_invalidated"].body),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"client_id": "app_other"}, 400, "invalid_client"),
    ],
)
async def test_the_token_endpoint_refuses_what_it_did_not_issue(
    changes: JsonObject, status: int, said: JsonObject | str
) -> None:
    simulator = Simulator()
    token = json.loads(simulator.login())["tokens"]["refresh_token"]
    answer = await redeem(simulator, token, **changes)
    assert answer.status == status
    assert said in (answer.json, answer.json["error"])
    assert (simulator.refreshes, simulator.refused_refreshes) == (0, 1)


# --- how it is said --------------------------------------------------------------------------


async def test_a_text_comes_in_the_order_of_the_real_backend() -> None:
    answer = await ask("[[say Hello]]")
    assert answer.types == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",  # the reasoning
        "response.output_item.done",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    numbers = [event.json["sequence_number"] for event in answer.events]
    assert numbers == list(range(len(numbers)))
    delta = answer.events[6].json
    assert {**delta, "obfuscation": ""} == {
        "type": "response.output_text.delta",
        "sequence_number": 6,
        "item_id": answer.items[1]["id"],
        "output_index": 1,
        "content_index": 0,
        "delta": "Hello",
        "logprobs": [],
        "obfuscation": "",
    }
    assert delta["obfuscation"]
    assert answer.items[0]["encrypted_content"].startswith("gAAAAAB")
    assert answer.items[1]["phase"] == "final_answer"


async def test_the_last_event_has_an_empty_output_and_echoes_the_request() -> None:
    answer = await ask(tools=[{**WEATHER, "strict": None}], prompt_cache_key="key")
    begun, ended = answer.events[0].json["response"], answer.events[-1].json["response"]
    assert set(ended) - set(begun) == {"completed_at"}
    assert (begun["status"], ended["status"]) == ("in_progress", "completed")
    assert ended["output"] == []
    assert (begun["service_tier"], ended["service_tier"]) == ("auto", "default")
    assert ended["safety_identifier"].startswith("user-simulated")
    assert (ended["instructions"], ended["prompt_cache_key"]) == ("You are a test.", "key")
    # Without `strict` a function comes back as a strict one.
    assert ended["tools"][0]["strict"] is True
    assert ended["tools"][0]["parameters"]["required"] == ["location", "unit"]
    usage = ended["usage"]
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    assert set(usage["input_tokens_details"]) == {"cached_tokens", "cache_write_tokens"}


async def test_a_stream_has_the_quota_in_its_headers_and_no_media_type() -> None:
    headers = (await ask()).headers
    assert "content-type" not in headers
    assert headers["openai-model"] == "gpt-6.1-sol"
    assert headers["x-codex-primary-used-percent"] == "12"
    assert headers["x-codex-primary-window-minutes"] == "300"
    assert int(headers["x-codex-primary-reset-at"]) == NOW + 9000
    assert headers["x-codex-secondary-window-minutes"] == "10080"
    assert headers["x-codex-plan-type"] == "plus"
    assert headers["x-request-id"].startswith("req_simulated_")


@pytest.mark.parametrize(
    ("reasoning", "reasons"),
    [({"effort": "none"}, False), ({"effort": "low"}, True), (None, True)],
)
async def test_reasoning_comes_first_unless_the_effort_is_none(
    reasoning: JsonObject | None, reasons: bool
) -> None:
    answer = await ask(reasoning=reasoning, by=Simulator(lenient={"model_effort"}))
    assert (answer.items[0]["type"] == "reasoning") is reasons


async def test_reasoning_is_not_encrypted_unasked() -> None:
    assert "encrypted_content" not in (await ask(include=None)).items[0]


async def test_a_wanted_summary_is_given() -> None:
    answer = await ask(reasoning={"summary": "auto"})
    assert len(answer.items[0]["summary"]) == 1
    assert "response.reasoning_summary_text.delta" in answer


async def test_chunks_are_cut_in_characters_and_between_lines() -> None:
    answer = await ask(f"[[say {'日本語 🙂 ' * 40}]]")
    assert any(chunk[0] & 0xC0 == 0x80 for chunk in answer.chunks)
    assert any(not chunk.endswith(b"\n\n") for chunk in answer.chunks)
    assert any(chunk.count(b"\n\n") > 1 for chunk in answer.chunks)
    assert answer.text == ("日本語 🙂 " * 40).strip()


@pytest.mark.parametrize("seed", range(20))
def test_a_cut_is_always_inside_a_character_where_there_is_one(seed: int) -> None:
    data = "é".encode() * 50
    pieces = odd_pieces(data, random.Random(seed))
    assert b"".join(pieces) == data
    assert any(piece[0] & 0xC0 == 0x80 for piece in pieces)


async def test_the_same_seed_gives_the_same_bytes() -> None:
    first, again = await ask("hello"), await ask("hello")
    assert first.chunks == again.chunks
    other = await ask("hello", by=Simulator(clock=Clock(NOW), seed=1))
    assert first.chunks != other.chunks


async def test_no_two_answers_share_an_id() -> None:
    simulator = Simulator()
    answers = [await ask("[[tools 2]]", by=simulator, tools=[WEATHER]) for _ in range(3)]
    ids = [
        item[name]
        for answer in answers
        for item in answer.items
        for name in ("id", "call_id")
        if name in item
    ]
    ids += [answer.events[0].json["response"]["id"] for answer in answers]
    assert len(ids) == len(set(ids)) == 18


# --- scripts ---------------------------------------------------------------------------------


@dataclass
class Played:
    """What a script must give; a test by the name of each field."""

    prompt: str
    last: str = "response.completed"  # "" for none
    has: tuple[str, ...] = ()
    text: str | None = None
    status: int = 200
    broken: bool = False


PLAYED: dict[str, Played] = {
    "say": Played("[[say A [b] c.]] and more", text="A [b] c."),
    "long": Played("[[long 5]]", text="1 2 3 4 5 "),
    "refuse": Played(
        "[[refuse No.]]", has=("response.refusal.delta", "response.refusal.done"), text="No."
    ),
    "reason": Played(
        "[[reason]]",
        has=("response.reasoning_summary_part.added", "response.reasoning_summary_part.done"),
    ),
    "commentary": Played("[[commentary]] [[say Yes.]]", text="Yes."),
    "two": Played("[[two]]", text="This is the second simulated message."),
    "surrogate": Played("[[surrogate]]", text="A simulated smile: 🙂."),
    "tool": Played('[[tool f {"a": [[1]]}]]', has=("response.function_call_arguments.done",)),
    "tools": Played("[[tools 3]]", has=("response.function_call_arguments.delta",)),
    "exact": Played("[[exact]] hello"),
    "heavy": Played("[[heavy 1]] hello"),
    "blocked": Played("[[blocked]] hello"),
    "late": Played("[[late 0]] [[say a]]", text="a"),
    "slow": Played("[[slow 0]] [[say a b c]]", text="a b c"),
    "silence": Played("[[silence 0]] [[say a]]", text="a"),
    "keepalive": Played("[[keepalive 2]]", has=("keepalive",)),
    "rate_limits": Played("[[rate_limits]]", has=("codex.rate_limits",)),
    "usage": Played("[[usage 80]]"),
    "no_deltas": Played("[[no_deltas]] [[say a b]]", text="a b"),
    "no_text_deltas": Played(
        "[[no_text_deltas]] [[say a b]]",
        has=("response.output_item.added", "response.output_text.done"),
        text="a b",
    ),
    "no_parts": Played("[[no_parts]] [[say a b]]", has=("response.output_item.added",), text="a b"),
    "unannounced": Played(
        "[[unannounced]] [[say a b]]", has=("response.output_text.delta",), text="a b"
    ),
    "long_ids": Played("[[long_ids]] [[say a b]]", text="a b"),
    "unnamed": Played("[[unnamed]] [[say a b]]", text="a b"),
    "crlf": Played("[[crlf]] [[say a b]]", text="a b"),
    "bytewise": Played("[[bytewise]] [[say é]]", text="é"),
    "unknown_event": Played("[[unknown_event]]", has=("response.simulated.unknown",)),
    "hold": Played("[[say a]]", text="a"),  # held open: a test of its own
    "incomplete": Played("[[incomplete]]", last="response.incomplete", text="Half a simulated ans"),
    "fail": Played("[[fail server_error]]", last="response.failed", has=("response.in_progress",)),
    "fail_first": Played("[[fail_first slow_down]]", last="response.failed"),
    "error": Played("[[error]]", last="error", has=("response.output_text.delta",)),
    "error_nested": Played("[[error_nested bio_policy]]", last="error"),
    "cut": Played("[[cut 3]]", last="", has=("response.output_text.delta",)),
    "drop": Played("[[drop 3]]", last="", has=("response.output_text.delta",), broken=True),
    "empty": Played("[[empty]]", last=""),
    "html": Played("[[html]]", last=""),
    "bad_json": Played("[[bad_json]] [[say a]]", text=None),
    "status": Played("[[status overloaded]]", last="", status=503),
    "times": Played("[[times 0]] [[empty]]"),
}


def test_every_script_is_played_here() -> None:
    assert set(PLAYED) == set(SCRIPTS)


def test_listing_has_a_line_for_each_script() -> None:
    lines = listing().splitlines()
    assert [re.match(r"\[\[(\w+)", line) for line in lines[: len(SCRIPTS)]]
    for name, script in SCRIPTS.items():
        assert any(line.startswith(f"[[{name}") and script.does in line for line in lines)


@pytest.mark.parametrize("name", PLAYED)
async def test_script_plays_as_it_says(name: str) -> None:
    told = PLAYED[name]
    answer = await ask(told.prompt)
    assert (answer.status, answer.broken) == (told.status, told.broken)
    if told.status != 200:
        return
    kinds = [
        event.type
        for event in answer.events
        if event.raw.startswith(b"event") or b'data: {"type' in event.raw
    ]
    ends = [kind for kind in kinds if kind in TERMINAL]
    assert ends == ([told.last] if told.last else [])
    assert not ends or kinds[-1] == ends[0]
    assert set(told.has) <= set(kinds)
    if told.text is not None:
        assert answer.text == told.text


@pytest.mark.parametrize("code", [*FAILURES, "never_heard_of"])
@pytest.mark.parametrize(("script", "before"), [("fail", 2), ("fail_first", 0)])
async def test_a_run_fails_with_the_code_asked_for(code: str, script: str, before: int) -> None:
    answer = await ask(f"[[{script} {code}]]")
    assert len(answer.events) == before + 1
    failed = answer.events[-1].json
    assert failed["sequence_number"] == before
    assert failed["response"]["status"] == "failed"
    assert failed["response"]["error"]["code"] == code
    if code in FAILURES:
        message = failed["response"]["error"]["message"]
        assert message == FAILURES[code][0].replace("req_simulated", answer.headers["x-request-id"])


@pytest.mark.parametrize("name", REFUSALS)
async def test_a_status_is_answered_with_its_body(name: str) -> None:
    answer = await ask(f"[[status {name}]]")
    refusal = REFUSALS[name]
    assert answer.status == refusal.status
    if isinstance(refusal.body, str):
        assert answer.body.decode() == refusal.body
    elif name != "usage_limit_reached":
        assert answer.json == refusal.body
    assert set(refusal.headers) <= set(answer.headers)


async def test_a_used_up_plan_resets_in_the_future() -> None:
    answer = await ask("[[status usage_limit_reached]]")
    told = answer.json["error"]
    assert told["resets_at"] == NOW + told["resets_in_seconds"]
    assert answer.headers["x-codex-primary-reset-at"] == str(told["resets_at"])
    assert answer.headers["x-codex-primary-used-percent"] == "100"


async def test_a_status_can_pass_after_some_tries() -> None:
    simulator = Simulator()
    prompts = ["[[status server_error 2]] a"] * 3 + ["[[status server_error 2]] b"]
    assert [(await ask(prompt, by=simulator)).status for prompt in prompts] == [500, 500, 200, 500]


async def test_the_other_scripts_are_played_once_a_status_has_passed() -> None:
    simulator = Simulator()
    prompt = "[[status server_error 1]] [[say There.]]"
    answers = [await ask(prompt, by=simulator) for _ in range(2)]
    assert (answers[0].status, answers[1].text) == (500, "There.")


async def test_tries_are_counted_by_the_text_that_the_scripts_stand_in() -> None:
    """A client that compacts its chat puts a summary before the same question."""
    simulator = Simulator()
    question = {"type": "input_text", "text": "[[status server_error 1]] [[say There.]]"}
    assert (await ask(input=[user("Be brief.", question)], by=simulator)).status == 500
    again = await ask(input=[user("A summary of the chat.", question)], by=simulator)
    assert again.text == "There."


async def test_any_fault_can_pass_after_some_tries() -> None:
    simulator = Simulator()
    answers = [await ask("[[times 1]] [[drop 0]] hello", by=simulator) for _ in range(2)]
    assert [answer.broken for answer in answers] == [True, False]
    assert answers[1].types[-1] == "response.completed"


@pytest.mark.parametrize(
    ("script", "reason"),
    [("incomplete", "max_output_tokens"), ("incomplete content_filter", "content_filter")],
)
async def test_an_early_end_tells_its_reason(script: str, reason: str) -> None:
    ended = (await ask(f"[[{script}]]")).events[-1].json["response"]
    assert (ended["status"], ended["incomplete_details"]) == ("incomplete", {"reason": reason})


async def test_an_error_event_is_flat_or_nested() -> None:
    flat = (await ask("[[error slow_down]]")).events[-1].json
    nested = (await ask("[[error_nested slow_down]]")).events[-1].json
    assert flat["code"] == nested["error"]["code"] == "slow_down"
    assert flat["message"] == nested["error"]["message"]


@pytest.mark.parametrize(("script", "deltas"), [("cut", 0), ("cut", 3), ("drop", 0), ("drop", 3)])
async def test_a_stream_ends_after_as_many_deltas(script: str, deltas: int) -> None:
    answer = await ask(f"[[long 9]] [[{script} {deltas}]]")
    assert answer.types.count("response.output_text.delta") == deltas
    assert answer.types[:2] == ["response.created", "response.in_progress"]


async def test_a_web_page_and_nothing_are_200s_too() -> None:
    page, nothing = await ask("[[html]]"), await ask("[[empty]]")
    assert page.headers["content-type"] == "text/html"
    assert (page.status, nothing.status, nothing.body) == (200, 200, b"")


async def test_forms_of_the_stream() -> None:
    assert b"event:" not in (await ask("[[unnamed]]")).body
    assert re.sub(rb"\r\n", b"", (await ask("[[crlf]]")).body).count(b"\n") == 0
    assert {len(chunk) for chunk in (await ask("[[bytewise]]")).chunks} == {1}
    assert not any(kind.endswith(".delta") for kind in (await ask("[[no_deltas]]")).types)
    assert (await ask("[[usage 80]]")).headers["x-codex-primary-used-percent"] == "80"
    assert (await ask("[[keepalive 3]]")).types.count("keepalive") == 3


@pytest.mark.parametrize("prompt", ["[[say a b]] [[reason]]", "[[tool f {}]]"])
@pytest.mark.parametrize(
    ("script", "lacks"),
    [
        ("no_text_deltas", r"\.delta$"),
        ("no_parts", r"content_part|summary|output_text|arguments"),
        ("unannounced", r"\.added$"),
    ],
)
async def test_a_script_leaves_out_events_of_a_kind(script: str, lacks: str, prompt: str) -> None:
    whole, less = await ask(prompt), await ask(f"{prompt} [[{script}]]")
    left = [kind for kind in whole.types if not re.search(lacks, kind)]
    assert less.types == left != whole.types
    assert less.items == whole.items
    numbers = [event.json["sequence_number"] for event in less.events]
    assert numbers == list(range(len(numbers)))


async def test_long_ids_are_as_long_as_those_that_clients_report() -> None:
    simulator = Simulator()
    first = await ask("[[long_ids]] [[tool f {}]]", by=simulator)
    assert [len(item["id"]) for item in first.items] == [408, 408]
    call = first.items[1]
    assert len(call["call_id"]) == 83
    assert call["id"].startswith("fc_")
    output = {**OUTPUT, "call_id": call["call_id"]}
    again = await ask(by=simulator, input=[user("a"), *first.items, output])
    assert "string too long" in message_of(again)


@pytest.mark.parametrize(
    ("method", "target", "sent"),
    [
        ("POST", RESPONSES, body("[[late 30]] [[status overloaded]]")),
        ("POST", "/v1/images/generations", {"model": "m", "prompt": "[[late 30]] [[status overloaded]]"}),
        ("POST", SEARCHES, {**SEARCH, "commands": {"search_query": [{"q": "[[late 30]] [[status overloaded]]"}]}}),
    ],
)  # fmt: skip
async def test_a_status_can_be_late(method: str, target: str, sent: JsonObject) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    answer = await send(Simulator(sleep=sleep), method, target, sent)
    assert (answer.status, slept) == (503, [30])


async def test_a_cut_emoji_travels_as_two_escapes() -> None:
    data = (await ask("[[surrogate]]")).body
    assert b'"delta":"\\ud83d"' in data
    assert b'"delta":"\\ude42"' in data


async def test_one_event_is_no_json_and_the_others_are() -> None:
    decoder = Decoder()
    events = decoder.feed((await ask("[[bad_json]]")).body)
    broken = []
    for event in events:
        try:
            json.loads(event.data)
        except ValueError:
            broken.append(event)
    assert len(broken) == 1


async def test_a_prompt_that_only_looks_like_a_script_is_text() -> None:
    prompt = "[[Page]] [[1, 2]] [[ -f x ]] [[tool.ruff]] [[say"
    assert prompt in (await ask(prompt)).text


async def test_scripts_wait_with_the_sleep_they_are_given() -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    await ask("[[slow 3]] [[long 4]]", by=Simulator(sleep=sleep))
    assert slept == [3.0] * 4
    slept.clear()
    await ask("[[silence 9]] [[keepalive 2]]", by=Simulator(sleep=sleep))
    assert slept == [3.0] * 3


async def test_what_was_said_before_a_wait_has_been_sent() -> None:
    bed = Bed()
    simulator = Simulator(sleep=bed)
    prompt = body("[[silence 60]]")
    _, _, chunks = await simulator.handle(
        "POST", RESPONSES, signed(simulator), json.dumps(prompt).encode()
    )
    decoder, events = Decoder(), list[Event]()
    while len(events) < 2:
        events += decoder.feed(await anext(chunks))
    assert [event.type for event in events] == ["response.created", "response.in_progress"]
    waiting = asyncio.ensure_future(anext(chunks))
    await bed.asleep.wait()
    assert (simulator.open_streams, simulator.cancelled) == (1, 0)
    waiting.cancel()
    await asyncio.wait({waiting})
    assert bed.left.is_set()
    assert (simulator.open_streams, simulator.cancelled) == (0, 1)


async def test_a_held_stream_ends_when_it_is_closed() -> None:
    simulator = Simulator()
    prompt = json.dumps(body("[[say a]] [[hold]]")).encode()
    _, _, chunks = await simulator.handle("POST", RESPONSES, signed(simulator), prompt)
    decoder, kinds = Decoder(), [""]
    while kinds[-1] != "response.completed":
        kinds += [event.type for event in decoder.feed(await anext(chunks))]
    assert simulator.open_streams == 1
    await chunks.aclose()
    assert (simulator.open_streams, simulator.cancelled) == (0, 1)


async def test_a_stream_that_was_read_to_its_end_was_not_cancelled() -> None:
    simulator = Simulator()
    await ask(by=simulator)
    await ask("[[drop 1]]", by=simulator)
    assert (simulator.runs, simulator.open_streams, simulator.cancelled) == (2, 0, 0)


# --- what is said ----------------------------------------------------------------------------


async def test_a_greeting_is_returned_and_says_that_it_is_simulated() -> None:
    assert (await ask("Say hello")).text.startswith("Hello! This is the simulated Codex backend")


async def test_other_words_are_said_back() -> None:
    answer = await ask("Why is the sky blue?")
    assert "simulated" in answer.text
    assert "“Why is the sky blue?”" in answer.text


async def test_images_and_files_are_seen() -> None:
    image = {"type": "input_image", "image_url": PIXEL}
    far = {"type": "input_image", "image_url": "https://example.com/a.png"}
    file = {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,"}
    assert "I see one image, 4×3 PNG." in (await ask(input=[user("What?", image)])).text
    text = (await ask(input=[user("What?", image, far, file)])).text
    assert "I see 2 images, 4×3 PNG, a.png from example.com." in text
    assert "I see one file, a.pdf." in text


async def test_what_a_picture_and_a_page_say_of_themselves_is_told() -> None:
    png = base64.b64decode(PIXEL.partition(",")[2])
    caption = b"tEXtTitle\0A cat"
    captioned = png[:33] + (len(caption) - 4).to_bytes(4) + caption + bytes(4) + png[33:]
    page = base64.b64encode(b"%PDF-1.4 BT (Two) Tj (words) Tj ET").decode()
    image = {
        "type": "input_image",
        "image_url": f"data:image/png;base64,{base64.b64encode(captioned).decode()}",
    }
    file = {
        "type": "input_file",
        "filename": "a.pdf",
        "file_data": f"data:application/pdf;base64,{page}",
    }
    text = (await ask(input=[user("What?", image, file)])).text
    assert "4×3 PNG (“A cat”)" in text
    assert "a.pdf (“Two words”)" in text


@pytest.mark.parametrize(
    ("prompt", "changes", "calls"),
    [
        ("The weather in Paris?", {}, [{"location": "Paris"}]),
        ("The weather in Paris and Rome?", {}, [{"location": "Paris"}, {"location": "Rome"}]),
        ("The weather in Oslo, Rome and New York", {}, [{"location": "Oslo"}, {"location": "Rome"}, {"location": "New York"}]),
        ("The weather in San Francisco, CA", {}, [{"location": "San Francisco, CA"}]),
        ("Weather in Paris and Rome?", {"parallel_tool_calls": False}, [{"location": "Paris"}]),
        ("Is it wet? unit: F", {"tool_choice": "required"}, [{"location": "simulated location", "unit": "F"}]),
        ("hello", {"tool_choice": {"type": "function", "name": "get_weather"}}, [{"location": "simulated location"}]),
        ("hello", {}, []),
        ("The weather in Paris?", {"tool_choice": "none"}, []),
    ],
)  # fmt: skip
async def test_a_tool_is_called_where_the_prompt_needs_it(
    prompt: str, changes: JsonObject, calls: list[JsonObject]
) -> None:
    answer = await ask(prompt, tools=[WEATHER, PATCH], **changes)
    assert answer.calls == [("get_weather", call) for call in calls]
    assert len({item["id"] for item in answer.items}) == len(answer.items)


async def test_a_reminder_of_the_client_is_no_question() -> None:
    reminder = "<system-reminder>\nThe weather in Paris? [[empty]]\n</system-reminder>\n"
    both = user(reminder, {"type": "input_text", "text": "What is new?"})
    for message in (both, user(reminder + "What is new?")):
        answer = await ask(input=[message], tools=[WEATHER])
        assert answer.calls == []
        assert "You said: “What is new?”" in answer.text


async def test_a_prompt_that_a_transcript_quotes_is_no_script() -> None:
    """Claude Code has transcripts judged, a line of JSON for each message."""
    quotation = json.dumps({"user": '[[tool f {"a": 1}]]'})
    answer = await ask(quotation, tools=[WEATHER])
    assert answer.calls == []
    assert "You said" in answer.text


async def test_pictures_and_files_that_a_tool_gives_are_seen() -> None:
    file = "data:application/pdf;base64," + base64.b64encode(b"(Two words) Tj").decode()
    output = [
        {"type": "input_text", "text": "Here."},
        {"type": "input_image", "image_url": PIXEL},
        {"type": "input_file", "filename": "a.pdf", "file_data": file},
    ]
    *before, empty = call_pair()["input"]
    answer = await ask(input=[*before, {**empty, "output": output}])
    assert answer.text.endswith("f said: Here.\n4×3 PNG\na.pdf (“Two words”)")


async def test_among_many_tools_a_single_word_of_a_description_calls_none() -> None:
    others = [function(f"other_{number}", description="") for number in range(8)]
    question = "Which place is nice?"
    assert (await ask(question, tools=[WEATHER])).calls
    assert (await ask(question, tools=[WEATHER, *others])).calls == []
    assert (await ask("The weather in Paris?", tools=[WEATHER, *others])).calls


async def test_no_tool_is_called_against_the_prompt_and_the_answer_has_the_tags() -> None:
    prompt = "Do NOT call any tools. Give an <analysis> block followed by a <summary> block."
    answer = await ask(f"The weather in Paris? {prompt}", tools=[WEATHER])
    assert answer.calls == []
    assert "<analysis>" in answer.text
    assert answer.text.endswith("\n</summary>")


async def test_arguments_come_in_pieces_that_make_the_whole() -> None:
    answer = await ask("The weather in Paris and Rome?", tools=[WEATHER])
    for item in answer.items[1:]:
        pieces = [
            event.json["delta"]
            for event in answer.events
            if event.type.endswith("arguments.delta") and event.json["item_id"] == item["id"]
        ]
        assert len(pieces) > 1
        assert "".join(pieces) == item["arguments"]


async def test_the_outputs_of_the_tools_are_told() -> None:
    asked_for = "The weather in Paris?"
    first = await ask(asked_for, tools=[WEATHER])
    call = first.items[-1]
    output = {"type": "function_call_output", "call_id": call["call_id"], "output": "21 °C"}
    answer = await ask(tools=[WEATHER], input=[user(asked_for), *first.items, output])
    assert answer.calls == []
    assert "get_weather said: 21 °C" in answer.text
    again = await ask(
        tools=[WEATHER],
        input=[user(asked_for), *first.items, output, user("And the weather in Rome?")],
    )
    assert again.calls == [("get_weather", {"location": "Rome"})]


async def test_tools_are_called_one_after_another() -> None:
    said = [user("Look up the temperature in Oslo and play music for it")]
    tools = [
        function(
            "get_temperature",
            parameters={
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
            },
        ),
        function(
            "play_music",
            parameters={
                "type": "object",
                "properties": {"level": {"type": "number"}},
                "required": ["level"],
            },
        ),
    ]
    simulator, calls = Simulator(), []
    for output in ("15", "A song"):
        answer = await ask(by=simulator, tools=tools, input=said)
        calls += answer.calls
        call = {"call_id": answer.items[-1]["call_id"], "output": output}
        said = [*said, *answer.items, {"type": "function_call_output", **call}]
    assert calls == [("get_temperature", {"city": "Oslo"}), ("play_music", {"level": 15})]
    assert "A song" in (await ask(by=simulator, tools=tools, input=said)).text


async def test_a_custom_tool_gets_text() -> None:
    answer = await ask("[[tool apply_patch *** Begin\nhere]]", tools=[PATCH])
    assert answer.calls == [("apply_patch", "*** Begin\nhere")]
    assert answer.items[-1]["type"] == "custom_tool_call"
    assert "response.custom_tool_call_input.delta" in answer
    assert "response.custom_tool_call_input.done" in answer


async def test_a_scripted_call_takes_json_as_it_stands() -> None:
    answer = await ask(
        '[[tool f {"a": [[1]]}]] [[tool g {}]]', tools=[function("f"), function("g")]
    )
    assert answer.calls == [("f", {"a": [[1]]}), ("g", {})]


async def test_tools_are_called_as_often_as_asked() -> None:
    assert len((await ask("[[tools 4]]", tools=[WEATHER])).calls) == 4


async def test_a_search_is_cited() -> None:
    answer = await ask("Search the latest news", tools=[{"type": "web_search"}, WEATHER])
    search, message = answer.items[1:]
    assert search["type"] == "web_search_call"
    assert search["action"]["query"] == "Search the latest news"
    [annotation] = message["content"][0]["annotations"]
    assert annotation["type"] == "url_citation"
    assert answer.text[annotation["start_index"] : annotation["end_index"]] == "example.com"
    for kind in ("web_search_call.searching", "output_text.annotation.added"):
        assert f"response.{kind}" in answer


async def test_an_image_comes_with_its_partial_ones() -> None:
    tool = {"type": "image_generation", "partial_images": 2, "size": "1024x1536"}
    answer = await ask("Draw a cat", tools=[tool])
    image = answer.items[1]
    assert (image["type"], image["status"]) == ("image_generation_call", "generating")
    assert pixels_of(base64.b64decode(image["result"]))[:2] == (1024, 1536)
    partial = "response.image_generation_call.partial_image"
    shown = [event.json for event in answer.events if event.type == partial]
    assert [event["partial_image_index"] for event in shown] == [0, 1]
    assert len({event["partial_image_b64"] for event in shown} | {image["result"]}) == 3
    added = next(
        event.json["item"] for event in answer.events if event.json.get("output_index") == 1
    )
    assert "result" not in added


async def test_a_compaction_is_one_item() -> None:
    answer = await ask(input=[user("a"), {"type": "compaction_trigger"}])
    [item] = answer.items
    assert set(item) == {"type", "id", "encrypted_content"}
    assert item["type"] == "compaction"
    assert "response.output_item.added" not in answer


async def test_answers_can_be_sent_back() -> None:
    simulator = Simulator()
    said = [user("The weather in Oslo?")]
    for _ in range(3):
        answer = await ask(by=simulator, tools=[WEATHER, PATCH], input=said)
        assert answer.status == 200
        said = [*said, *answer.items]
        for item in answer.items:
            if item["type"] == "function_call":
                output = {"call_id": item["call_id"], "output": "wet"}
                said.append({"type": "function_call_output", **output})
        said.append(user("The weather in Rome?"))
    usage = answer.events[-1].json["response"]["usage"]
    assert usage["input_tokens"] > 0


# --- JSON ------------------------------------------------------------------------------------

TREE = {
    "$ref": "#/$defs/node",
    "$defs": {
        "node": {
            "type": "object",
            "properties": {
                "value": {"type": "integer"},
                "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
                "children": {"type": "array", "items": {"$ref": "#/$defs/node"}},
            },
            "required": ["value", "next", "children"],
        }
    },
}


@pytest.mark.parametrize(
    ("schema", "prompt", "value"),
    [
        ({"type": "string"}, "", "simulated text"),
        ({"type": "string", "minLength": 20}, "", "simulated text......"),
        ({"type": "string", "maxLength": 3}, "", "sim"),
        ({"type": "string", "format": "date"}, "", "2026-01-02"),
        ({"type": "string", "format": "email"}, "", "simulated@example.com"),
        ({"type": "string", "format": "uuid"}, "", "5eed5eed-0000-4000-8000-000000000000"),
        ({"type": "integer"}, "I have 3 cats", 3),
        ({"type": "integer", "minimum": 5, "maximum": 9}, "I have 3 cats", 5),
        ({"type": "integer", "exclusiveMinimum": 5}, "", 6),
        ({"type": "integer", "maximum": -2}, "", -2),
        ({"type": "integer", "multipleOf": 5, "minimum": 7}, "", 10),
        ({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}, "", 0.5),
        ({"type": "number"}, "pi is 3.14", 3.14),
        ({"type": "boolean"}, "", True),
        ({"type": "null"}, "", None),
        ({"type": ["null", "boolean"]}, "", True),
        ({"const": 7}, "", 7),
        ({"enum": ["red", "blue"]}, "", "red"),
        ({"enum": ["red", "blue"]}, "Something Blue", "blue"),
        ({"anyOf": [{"type": "null"}, {"type": "integer"}]}, "", 1),
        ({"oneOf": [{"const": 1}, {"const": 2}]}, "", 1),
        ({"type": "array", "items": {"type": "integer"}}, "", [1]),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 3}, "7 8", [7, 8, 1]),
        ({"type": "array", "items": {"type": "integer"}, "maxItems": 0}, "", []),
        (
            {"type": "array", "items": {"type": "string"}, "minItems": 2, "uniqueItems": True},
            "",
            ["simulated text 1", "simulated text 2"],
        ),
        ({"type": "array", "items": {"type": "string"}}, "", ["simulated text"] * 4),
        ({"type": "array", "prefixItems": [{"const": 1}, {"const": 2}]}, "", [1, 2]),
        ({"properties": {"a": {"const": 1}}}, "", {"a": 1}),
        (
            {"allOf": [{"properties": {"a": {"const": 1}}}, {"properties": {"b": {"const": 2}}}]},
            "",
            {"a": 1, "b": 2},
        ),
        (
            {"properties": {"name": {"type": "string"}, "age": {"type": "integer"}}},
            "name: Ada Lovelace, age: 36",
            {"name": "Ada Lovelace", "age": 36},
        ),
        (
            {"properties": {"name": {"type": "string"}, "age": {"type": "integer"}}},
            "Extract this: John is 25 years old.",
            {"name": "John", "age": 25},
        ),
        (
            {"properties": {"name": {"type": "string"}}},
            "Alice and Bob are going to a fair.",
            {"name": "Alice"},
        ),
        ({"properties": {"city": {"type": "string"}}}, "Rain in Oslo", {"city": "Oslo"}),
        ({"properties": {"s": {"type": "string", "description": "Two words"}}}, "", {"s": "simulated s: Two words"}),
        ({"properties": {"nickname": {"type": "string"}}}, "Someone called 'Ада'.", {"nickname": "Ада"}),
        ({"properties": {"expression": {"type": "string"}}}, "What is 2+2? Hm.", {"expression": "2+2"}),
        (
            {"properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}},
            "multiply 6 by 7",
            {"a": 6, "b": 7},
        ),
    ],
)  # fmt: skip
def test_json_satisfies_its_schema(schema: JsonObject, prompt: str, value: object) -> None:
    assert example(schema, prompt) == value


def test_a_schema_that_refers_to_itself_ends() -> None:
    value = example(TREE)
    depth = 0
    while isinstance(value, dict) and value["next"] is not None:
        assert set(value) == {"value", "next", "children"}
        value, depth = value["next"], depth + 1
    assert 0 < depth < 12


@pytest.mark.parametrize(
    ("prompt", "named"),
    [
        ("in Paris and Rome", ["Paris", "Rome"]),
        ("in Paris, France", ["Paris, France"]),
        ("nowhere", []),
        ("weather for New York, Oslo, and Rio de Janeiro", ["New York", "Oslo", "Rio"]),
    ],
)
def test_places_of_a_prompt(prompt: str, named: list[str]) -> None:
    assert places(prompt) == named


@pytest.mark.parametrize(
    ("prompt", "named"),
    [
        ("Extract: Ada is 36, Bob is 25 and Cy is 7", [("Ada", "36"), ("Bob", "25"), ("Cy", "7")]),
        ("Make 2 users: Ada (36), Bob (25)", [("Ada", "36"), ("Bob", "25")]),
        ("A user: Ada Lovelace, age 36", [("Ada Lovelace", "36")]),
        ("Extract ada is 36 years old", [("ada", "36")]),
        ("Bob Roe, 28 years old, at 5 Main St", [("Bob Roe", "28")]),
        ("Nobody is here", []),
    ],
)
def test_people_of_a_prompt(prompt: str, named: list[tuple[str, str]]) -> None:
    assert people(prompt) == named
    schema = {"items": {"properties": {"name": {"type": "string"}, "age": {"type": "string"}}}}
    if len(named) > 1:
        assert example(schema, prompt) == [{"name": name, "age": age} for name, age in named]


@pytest.mark.parametrize(
    ("prompt", "count"),
    [("Generate three fake profiles", 3), ("4 users", 4), ("25 years, 3 years", 1), ("a list", 1)],
)
def test_as_many_are_made_as_are_asked_for(prompt: str, count: int) -> None:
    assert wanted(prompt) == count
    schema = {"properties": {"all": {"items": {"properties": {"a": {"const": 1}}}}}}
    assert example(schema, prompt) == {"all": [{"a": 1}] * count}


async def test_a_picture_is_described_unless_a_tool_is_named() -> None:
    image, tool = {"type": "input_image", "image_url": PIXEL}, function("view_note")
    tool["description"] = "Looks at a note"
    assert (await ask(input=[user("Who looks?", image)], tools=[tool])).calls == []
    assert (await ask(input=[user("Who looks?")], tools=[tool])).calls != []
    assert (await ask(input=[user("My note", image)], tools=[tool])).calls != []


async def test_orders_are_obeyed() -> None:
    rule = {"role": "developer", "content": "If you see an image, reply with 'A cat' only."}
    image = {"type": "input_image", "image_url": PIXEL}
    assert (await ask("Say the word `yes`.")).text == "yes"
    assert (await ask(input=[rule, user("What?", image)])).text == "A cat"
    assert (await ask(input=[rule, user("What?")])).text != "A cat"


async def test_a_demanded_tool_is_called_after_outputs_too_and_hears_them() -> None:
    simulator, choice = Simulator(), {"type": "function", "name": "save"}
    person = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
    tools = [function("save", parameters=person)]
    first = await ask("Ada is 36", by=simulator, tools=tools, tool_choice=choice)
    call = {"call_id": first.items[-1]["call_id"], "output": "Names must be in uppercase"}
    said = [user("Ada is 36"), *first.items, {"type": "function_call_output", **call}]
    again = await ask(by=simulator, tools=tools, tool_choice=choice, input=said)
    assert (first.calls, again.calls) == ([("save", {"name": "Ada"})], [("save", {"name": "ADA"})])


def test_a_strict_schema_requires_everything_and_allows_no_more() -> None:
    inner = {"type": "object", "properties": {"b": {}}}
    made = strict({"type": "object", "properties": {"a": inner, "c": {}}, "required": ["c"]})
    assert made["required"] == ["a", "c"]
    assert made["additionalProperties"] is False
    assert made["properties"]["a"]["required"] == ["b"]


async def test_structured_output_is_json() -> None:
    schema = {**of_object(city={"type": "string"}), "required": ["city"]}
    strictly = {**schema, "additionalProperties": False}
    form = {"type": "json_schema", "name": "place", "strict": True, "schema": strictly}
    answer = await ask("Where? In Oslo", text={"format": form})
    assert json.loads(answer.text) == {"city": "simulated city"}
    answer = await ask("Rain in Oslo", text={"format": form})
    assert json.loads(answer.text) == {"city": "Oslo"}


async def test_an_object_is_filled_from_the_rules_where_the_prompt_names_nobody() -> None:
    properties = {"name": {"type": "string"}, "age": {"type": "integer"}}
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    form = {"type": "json_schema", "name": "user", "strict": False, "schema": schema}
    story = "<story>Mike is 37 years old</story>"
    answer = await ask("Extract a user", instructions=story, text={"format": form})
    assert json.loads(answer.text) == {"name": "Mike", "age": 37}
    answer = await ask("Extract: Ada is 36", instructions=story, text={"format": form})
    assert json.loads(answer.text) == {"name": "Ada", "age": 36}


async def test_a_json_object_has_the_answer() -> None:
    answer = await ask("Say hello in JSON", text={"format": {"type": "json_object"}})
    assert json.loads(answer.text)["answer"].startswith("Hello!")


SCHEMA = '{"type": "object", "properties": {"age": {"type": "integer"}}}'


@pytest.mark.parametrize(
    ("prompt", "rules", "value"),
    [
        ("JSON with 'first' and 'second' keys", "", {"first": "simulated first", "second": "simulated second"}),
        (f"Ada is 36. As JSON: {SCHEMA}", "", {"age": 36}),
        ("Ada is 36. In JSON, please", f"Keep to this: {SCHEMA}.", {"age": 36}),
    ],
)  # fmt: skip
async def test_a_json_object_has_the_form_that_was_asked_for_in_words(
    prompt: str, rules: str, value: JsonObject
) -> None:
    said = [{"role": "developer", "content": rules}] if rules else []
    answer = await ask(input=[*said, user(prompt)], text={"format": {"type": "json_object"}})
    assert json.loads(answer.text) == value
    answer = await ask(f"{prompt} in a ```json block", instructions=rules or "Be brief.")
    assert answer.text == f"```json\n{json.dumps(value)}\n```"


async def test_a_json_object_alone_is_the_answer_where_the_rules_want_it() -> None:
    rules = f"Always respond with a JSON object that's compatible with this schema: {SCHEMA}"
    answer = await ask("Ada is 36", instructions=rules)
    assert json.loads(answer.text) == {"age": 36}


# --- images ----------------------------------------------------------------------------------


def pixels_of(data: bytes) -> tuple[int, int, int]:
    """Width, height and bytes a pixel, after every chunk was checked."""
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    at, kinds, packed, width, height, colour = 8, [], b"", 0, 0, 0
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        kind, content = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        (crc,) = struct.unpack_from(">I", data, at + 8 + length)
        assert crc == zlib.crc32(kind + content)
        kinds.append(kind)
        if kind == b"IHDR":
            width, height, bits, colour, *rest = struct.unpack(">IIBBBBB", content)
            assert (bits, rest) == (8, [0, 0, 0])
        packed += content if kind == b"IDAT" else b""
        at += 12 + length
    assert kinds == [b"IHDR", b"IDAT", b"IEND"]
    channels = {2: 3, 6: 4}[colour]
    rows = zlib.decompress(packed)
    assert len(rows) == height * (1 + width * channels)
    assert {rows[y * (1 + width * channels)] for y in range(height)} == {0}
    return width, height, channels


@pytest.mark.parametrize("transparent", [False, True])
@pytest.mark.parametrize(("width", "height"), [(1, 1), (3, 500), (1024, 1024), (1536, 1024)])
def test_a_png_is_a_png(width: int, height: int, transparent: bool) -> None:
    data = png(width, height, "a cat", transparent=transparent)
    assert pixels_of(data) == (width, height, 4 if transparent else 3)


def test_pictures_differ_as_their_prompts_do() -> None:
    assert png(64, 64, "a cat") == png(64, 64, "a cat")
    assert png(64, 64, "a cat") != png(64, 64, "a dog")
    assert png(64, 64, "a cat") != png(64, 64, "a cat", done=0.5)


async def draw(
    prompt: str = "a cat", *, edit: bool = False, lenient: Collection[str] = (), **changes: Any
) -> Answer:
    sent: JsonObject = {"prompt": prompt, "model": "gpt-image-2", **changes}
    if edit:
        sent.setdefault("images", [{"image_url": PIXEL}])
    path = "/backend-api/codex/images/" + ("edits" if edit else "generations")
    return await send(Simulator(clock=Clock(NOW), lenient=lenient), "POST", path, sent)


@pytest.mark.parametrize(
    ("prompt", "size", "given"),
    [
        ("a cat", "auto", "1024x1024"),
        ("a cat", None, "1024x1024"),
        ("a cat", "1536x1024", "1536x1024"),
        ("a cat", "2160x3040", "1024x1536"),
        ("a cat", "512x512", "1024x1024"),
        ("a cat", "3000x1000", "1536x1024"),
        ("[[exact]] a cat", "640x200", "640x200"),
    ],
)
@pytest.mark.parametrize("edit", [False, True])
async def test_an_image_has_a_size_that_the_backend_gives(
    prompt: str, size: str | None, given: str, edit: bool
) -> None:
    answer = await draw(prompt, size=size, edit=edit)
    assert answer.status == 200
    assert answer.json["size"] == given
    [image] = answer.json["data"]
    width, height, _ = pixels_of(base64.b64decode(image["b64_json"]))
    assert f"{width}x{height}" == given
    usage = answer.json["usage"]
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]


async def test_a_transparent_image_has_an_alpha_channel() -> None:
    answer = await draw(background="transparent")
    assert answer.json["background"] == "transparent"
    assert pixels_of(base64.b64decode(answer.json["data"][0]["b64_json"]))[2] == 4


@pytest.mark.parametrize(
    ("changes", "edit", "param"),
    [
        ({"prompt": ""}, False, "prompt"),
        ({"model": None}, False, "model"),
        ({"images": []}, True, "images"),
        ({"images": [{"image_url": "https://example.com/a.png"}]}, True, "images[0].image_url"),
        ({"images": [{"image_url": "data:image/png;base64,aGk="}]}, True, "input"),
        ({"images": [{"image_url": PIXEL}] * 17}, True, "images"),
    ],
)
async def test_an_image_request_is_checked(changes: JsonObject, edit: bool, param: str) -> None:
    answer = await draw(**changes, edit=edit)
    assert (answer.status, answer.json["error"]["param"]) == (400, param)


async def test_a_search_finds_what_was_looked_for() -> None:
    answer = await send(Simulator(), "POST", SEARCHES, SEARCH)
    assert answer.status == 200
    assert set(answer.json) == {"encrypted_output", "output", "results"}
    assert "“hello”" in answer.json["output"]
    assert decrypt(answer.json["encrypted_output"]) is not None


@pytest.mark.parametrize(
    ("name", "status"),
    [("rate_limited", 429), ("usage_limit_reached", 429), ("token_expired", 401)],
)
async def test_a_search_can_be_refused_by_script(name: str, status: int) -> None:
    commands = {"search_query": [{"q": f"[[status {name}]] hello"}]}
    answer = await send(Simulator(), "POST", SEARCHES, {**SEARCH, "commands": commands})
    assert answer.status == status


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"model": None}, "model"),
        ({"commands": None}, "commands"),
        ({"commands": {"search_query": "a"}}, "commands.search_query"),
        ({"commands": {"search_query": ["a"]}}, "commands.search_query[0]"),
    ],
)
async def test_a_search_request_is_checked(changes: JsonObject, param: str) -> None:
    answer = await send(Simulator(), "POST", SEARCHES, {**SEARCH, **changes})
    assert (answer.status, answer.json["error"]["param"]) == (400, param)


async def test_an_image_can_be_refused_by_script() -> None:
    answer = await draw("[[status moderation_blocked]]")
    assert (answer.status, answer.json) == (400, REFUSALS["moderation_blocked"].body)


# --- models, usage, accounts -----------------------------------------------------------------


def listed(version: str) -> str:
    return f"/backend-api/codex/models?client_version={version}"


@pytest.mark.parametrize(
    ("version", "count"),
    [
        ("0.7.5", 0),
        ("0.100.0", 1),
        ("0.124.0", 2),
        ("0.144.0", 7),
        ("0.165.0", 12),
        ("0.171.0", 14),
    ],
)
async def test_the_version_decides_what_is_listed(version: str, count: int) -> None:
    answer = await send(Simulator(), "GET", listed(version))
    assert len(answer.json["models"]) == count


async def test_without_a_version_nothing_is_listed() -> None:
    answer = await send(Simulator(), "GET", "/backend-api/codex/models")
    assert answer.status == 400


async def test_the_list_has_an_etag_that_streams_repeat() -> None:
    simulator = Simulator()
    first = await send(simulator, "GET", listed("0.169.0"))
    etag = first.headers["etag"]
    headers = signed(simulator, if_none_match=etag)
    again = await send(simulator, "GET", listed("0.169.0"), headers=headers)
    assert (again.status, again.body) == (304, b"")
    other = await send(simulator, "GET", listed("0.144.0"), headers=headers)
    assert other.status == 200
    assert (await ask(by=simulator)).headers["x-models-etag"] == etag


async def test_the_models_can_be_others() -> None:
    simulator = Simulator(models=[{"slug": "gpt-mine"}])
    assert (await ask(by=simulator, model="gpt-mine")).status == 200
    assert (await ask(by=simulator)).status == 400


def test_the_catalogue_has_what_the_official_client_needs() -> None:
    needed = {
        "slug", "display_name", "supported_reasoning_levels", "shell_type", "visibility",
        "supported_in_api", "priority", "support_verbosity", "truncation_policy",
        "experimental_supported_tools",
    }  # fmt: skip
    for model in catalogue():
        assert needed <= set(model)
        assert isinstance(model["model_messages"]["instructions_template"], str)
    assert "<" not in json.dumps(catalogue())  # `<long text removed>`


def test_the_catalogue_begins_with_the_official_clients_default() -> None:
    first = catalogue()[0]
    assert (first["slug"], first["default_reasoning_level"]) == ("gpt-6.2-sol", "low")
    assert [model["priority"] for model in catalogue()] == [*range(1, 14), 43]
    assert "allow_only_codex_cloud_agent_orchestrator" in first


@pytest.mark.parametrize("path", ["/backend-api/wham/usage", "/api/codex/usage"])
async def test_the_usage_endpoint_tells_both_windows(path: str) -> None:
    limit = (await send(Simulator(clock=Clock(NOW)), "GET", path)).json["rate_limit"]
    assert limit["primary_window"]["limit_window_seconds"] == 18_000
    assert limit["secondary_window"]["limit_window_seconds"] == 604_800
    assert (
        limit["primary_window"]["reset_at"] == NOW + limit["primary_window"]["reset_after_seconds"]
    )


async def test_the_accounts_are_checked_without_a_constraint() -> None:
    simulator = Simulator()
    told = (await send(simulator, "GET", "/backend-api/wham/accounts/check")).json
    assert told["default_account_id"] == simulator.account_id
    assert told["accounts"][0]["workspace_backend_origin"] == "NO_CONSTRAINT"


# --- the whole road --------------------------------------------------------------------------


async def test_the_demo_answers_over_the_whole_real_road() -> None:
    async with Codex(Settings(demo=True)) as codex:
        response = await codex.respond(request("Say hello", model=await codex.model()))
    assert text_of(response).startswith("Hello! This is the simulated Codex backend")
    assert response["output"][0]["type"] == "reasoning"


async def test_an_expired_login_is_renewed_once_for_all() -> None:
    clock = Clock(NOW)
    simulator = Simulator(token_lifetime=1000, clock=clock)
    store = InMemory(simulator.login())
    clock.now += 2000
    http = in_process(simulator.handle)
    async with Codex(Settings(), http=http, store=store, clock=clock) as codex:
        asked_for = request("Say hello", model="gpt-5.5")
        await asyncio.gather(*(codex.respond(asked_for) for _ in range(5)))
    assert (simulator.refreshes, simulator.refused_refreshes) == (1, 0)


@pytest.mark.parametrize(
    "prompt",
    ["[[cut 2]]", "[[empty]]", "[[fail cyber_policy]]", "[[error]]", "[[bad_json]]", "[[html]]"],
)
async def test_no_fault_looks_like_success(prompt: str) -> None:
    simulator = Simulator()
    http = in_process(simulator.handle)
    async with Codex(Settings(), http=http, store=InMemory(simulator.login())) as codex:
        with pytest.raises(CodexError):
            await codex.respond(request(prompt, model="gpt-5.5"))


async def test_every_script_that_ends_well_is_assembled() -> None:
    for name, told in PLAYED.items():
        answer = await ask(told.prompt)
        if told.last not in ("response.completed", "response.incomplete") or name == "bad_json":
            continue
        assembler = Assembler()
        for event in answer.events:
            assembler.feed(event)
        assert assembler.finish()["output"] == answer.items


# --- on a socket -----------------------------------------------------------------------------


@asynccontextmanager
async def served(simulator: Simulator) -> AsyncIterator[httpx.AsyncClient]:
    """The simulator on a loopback port, and a client that is signed."""
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app(simulator), log_level="critical", ws="none", lifespan="on")
    server = uvicorn.Server(config)
    serving = asyncio.ensure_future(server.serve(sockets=[listening]))
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    try:
        async with httpx.AsyncClient(
            base_url=url, headers=signed(simulator), timeout=30, trust_env=False
        ) as client:
            yield client
    finally:
        server.should_exit = True
        await serving
        listening.close()


async def test_a_socket_carries_the_same_answers() -> None:
    simulator = Simulator(clock=Clock(NOW))
    async with served(simulator) as client:
        answer = await client.post(RESPONSES, json=body("[[say Hello.]]"))
        assert answer.status_code == 200
        assert "content-type" not in answer.headers
        assert Answer(200, {}, [answer.content]).text == "Hello."
        models = await client.get(listed("0.169.0"))
        assert len(models.json()["models"]) == 14
        unchanged = await client.get(
            listed("0.169.0"), headers={"if-none-match": models.headers["etag"]}
        )
        assert unchanged.status_code == 304
        refused = await client.get(listed("0.169.0"), headers={"authorization": "Bearer no"})
        assert refused.status_code == 401


async def test_a_client_that_hangs_up_ends_its_run() -> None:
    bed = Bed()
    simulator = Simulator(sleep=bed)
    async with served(simulator) as client:
        asked_for = body("[[long 5]] [[slow 60]]")
        async with client.stream("POST", RESPONSES, json=asked_for) as answer:
            await anext(answer.aiter_raw())
            await bed.asleep.wait()
            assert simulator.open_streams == 1
        await asyncio.wait_for(bed.left.wait(), 30)
    assert (simulator.open_streams, simulator.cancelled) == (0, 1)


async def test_a_dropped_connection_is_broken_on_the_socket() -> None:
    simulator = Simulator()
    async with served(simulator) as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.post(RESPONSES, json=body("[[drop 2]]"))
        ended = await client.post(RESPONSES, json=body("[[cut 2]]"))
    assert not TERMINAL & set(Answer(200, {}, [ended.content]).types)


@pytest.mark.parametrize(
    "framing", [b"content-length: 2000\r\n\r\n", b"transfer-encoding: chunked\r\n\r\n7d0\r\n"]
)
async def test_a_body_that_is_too_large_breaks_the_connection_before_a_status(
    framing: bytes,
) -> None:
    simulator = Simulator(max_body=1000)
    async with served(simulator) as client:
        reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
        writer.write(b"POST /responses HTTP/1.1\r\nhost: a\r\n" + framing + b"a" * 1500)
        with suppress(ConnectionResetError):
            assert await reader.read() == b""
        writer.close()
        assert (await client.post(RESPONSES, json=body("a"))).status_code == 200
    assert (simulator.dropped, simulator.runs, len(simulator.requests)) == (1, 1, 1)


async def test_a_body_that_is_too_large_breaks_in_this_process_too() -> None:
    simulator = Simulator(max_body=1000)
    road = in_process(simulator.handle)
    content = json.dumps(body("a" * 1000)).encode()
    url = Url.parse(f"http://simulated{RESPONSES}")
    with pytest.raises(NetworkError):
        await road.send(HttpRequest("POST", url, signed(simulator), content))
    assert simulator.dropped == 1


async def test_a_client_that_leaves_before_a_late_status_is_noticed() -> None:
    bed = Bed()
    simulator = Simulator(sleep=bed)
    async with served(simulator) as client:
        asking = asyncio.ensure_future(client.post(RESPONSES, json=body("[[late 60]]")))
        await bed.asleep.wait()
        asking.cancel()
        await asyncio.wait_for(bed.left.wait(), 30)
    assert (simulator.runs, simulator.open_streams) == (0, 0)


async def over_asgi(simulator: Simulator, *received: JsonObject) -> list[JsonObject]:
    """What the application sends for a POST to /responses."""
    coming = iter(received)
    sent: list[JsonObject] = []

    async def receive() -> JsonObject:
        message = next(coming, None)
        return message if message is not None else await asyncio.Future[JsonObject]()

    async def send_it(message: JsonObject) -> None:
        sent.append(message)

    headers = [(name.encode(), value.encode()) for name, value in signed(simulator).items()]
    scope: JsonObject = {"type": "http", "method": "POST", "path": RESPONSES, "query_string": b""}
    await app(simulator)({**scope, "headers": headers}, receive, send_it)
    return sent


def sending(prompt: str, **more: Any) -> JsonObject:
    return {"type": "http.request", "body": json.dumps(body(prompt)).encode(), **more}


async def test_a_dropped_connection_is_left_unfinished_without_an_exception() -> None:
    sent = await over_asgi(Simulator(), sending("[[drop 2]]"))
    assert sent[0]["status"] == 200
    assert sent[-1]["more_body"] is True
    whole = await over_asgi(Simulator(), sending("hello"))
    assert not whole[-1].get("more_body")


async def test_a_client_that_leaves_while_it_sends_starts_no_run() -> None:
    simulator = Simulator()
    gone = {"type": "http.disconnect"}
    assert await over_asgi(simulator, sending("hello", more_body=True), gone) == []
    assert simulator.runs == 0


async def test_a_websocket_is_told_to_take_http() -> None:
    upgrade = {"connection": "upgrade", "upgrade": "websocket"}
    async with served(Simulator()) as client:
        assert (await client.get(RESPONSES, headers=upgrade)).status_code == 426


@pytest.mark.parametrize(
    ("extensions", "said"),
    [
        ({"websocket.http.response": {}}, "websocket.http.response.start"),
        ({}, "websocket.close"),
    ],
)
async def test_a_server_with_websockets_gets_a_refusal(extensions: JsonObject, said: str) -> None:
    sent: list[JsonObject] = []

    async def send_it(message: JsonObject) -> None:
        sent.append(message)

    async def receive() -> JsonObject:
        return {"type": "websocket.connect"}

    await app(Simulator())({"type": "websocket", "extensions": extensions}, receive, send_it)
    assert sent[0]["type"] == said
    assert sent[0].get("status", 426) == 426
