"""A Messages request, and the Responses request that it becomes."""

from __future__ import annotations

from typing import Any

import pytest

from codexapi_engine.errors import InvalidRequest
from codexapi_engine.protocol import JsonObject, anthropic

HI: JsonObject = {"role": "user", "content": "hi"}
SAID_HI: JsonObject = {
    "type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}],
}  # fmt: skip
ME = anthropic.Writer("account", "m")


def body(*messages: JsonObject, **more: Any) -> JsonObject:
    return {"model": "m", "max_tokens": 9, "messages": list(messages) or [HI], **more}


def translation(*messages: JsonObject, strict: bool = False, **more: Any) -> anthropic.Request:
    given = body(*messages, **more)
    return anthropic.from_client(given, model="m", reader=ME, strict=strict)


def made(*messages: JsonObject, **more: Any) -> JsonObject:
    return translation(*messages, **more).sent


def refusal(given: Any, *, strict: bool = False) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        anthropic.from_client(given, model="m", reader=ME, strict=strict)
    return caught.value


def user(*blocks: JsonObject) -> JsonObject:
    return {"role": "user", "content": list(blocks)}


def assistant(*blocks: JsonObject) -> JsonObject:
    return {"role": "assistant", "content": list(blocks)}


def text(words: str) -> JsonObject:
    return {"type": "text", "text": words}


def part(words: str) -> JsonObject:
    return {"type": "input_text", "text": words}


def call(name: str = "c1", tool: str = "f", **arguments: Any) -> JsonObject:
    return {"type": "tool_use", "id": name, "name": tool, "input": arguments}


def result(content: Any, name: str = "c1", **more: Any) -> JsonObject:
    return {"type": "tool_result", "tool_use_id": name, "content": content, **more}
