"""A Responses body sent to Chat Completions is answered in chat's form."""

from __future__ import annotations

from typing import Any

import pytest
from tests.http_server.doors import MODEL, door
from tests.http_server.raw import post
from tests.wire_files import events

from codexapi_engine.simulator import Simulator

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHAT = "/v1/chat/completions"
TOOL = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather at a place",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}


def mixed(prompt: str, **more: Any) -> dict[str, Any]:
    return {"model": MODEL, "input": [{"role": "user", "content": prompt}], **more}


async def test_whole() -> None:
    async with door(Simulator()) as server:
        reply = await server.reply(post(CHAT, mixed("[[say Hello.]]", user="me")))
    assert reply.json["object"] == "chat.completion"
    assert reply.json["choices"][0]["message"]["content"] == "Hello."
    assert reply.headers["x-codexapi-ignored"] == "user"


async def test_streamed_with_a_flat_tool() -> None:
    async with door(Simulator()) as server:
        body = mixed("What is the weather in Paris?", tools=[TOOL], stream=True)
        reply = await server.reply(post(CHAT, body))
    chunks = [event.json for event in events(reply.body) if event.json]
    calls = [
        call for chunk in chunks for call in chunk["choices"][0]["delta"].get("tool_calls", ())
    ]
    assert calls[0]["function"]["name"] == "get_weather"
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"
    assert reply.body.endswith(b"data: [DONE]\n\n")


async def test_a_wrong_field_is_named() -> None:
    async with door(Simulator()) as server:
        reply = await server.reply(post(CHAT, mixed("hi", n=9)))
    assert (reply.status, reply.error["param"]) == (400, "n")
