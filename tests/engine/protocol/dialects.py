"""One conversation in each dialect that reaches `/responses`, as the backend gets it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from codexapi_engine.protocol import JsonObject, anthropic, chat, ollama
from codexapi_engine.protocol.responses import to_backend
from codexapi_engine.protocol.responses.request import from_client

HI: JsonObject = {"role": "user", "content": "hi"}


def from_responses(**more: Any) -> JsonObject:
    return to_backend(from_client({"model": "m", "input": [HI], **more})[0])


def from_chat(**more: Any) -> JsonObject:
    request, _ = chat.from_client({"model": "m", "messages": [HI], **more})
    return to_backend(chat.to_responses(request))


def from_mixed(**more: Any) -> JsonObject:
    return to_backend(chat.mixed.from_client({"model": "m", "input": [HI], **more})[0])


def from_messages(**more: Any) -> JsonObject:
    body = {"model": "m", "max_tokens": 1, "messages": [HI], **more}
    return to_backend(anthropic.from_client(body, model="m").sent)


def from_ollama(**more: Any) -> JsonObject:
    body = {"model": "m", "messages": [HI], **more}
    return to_backend(ollama.from_client(body, name="m", entry=None).sent)


DIALECTS: dict[str, Callable[..., JsonObject]] = {
    "responses": from_responses,
    "chat": from_chat,
    "mixed": from_mixed,
}
"""Those whose tools and parts have OpenAI's forms."""

CALLERS = (*DIALECTS, "messages", "ollama")
"""Those that have calls."""


def responses_call(call_id: str, name: str = "f", **more: Any) -> list[JsonObject]:
    """A call and its output, as input items."""
    return [
        {"type": "function_call", "call_id": call_id, "name": name, "arguments": "{}", **more},
        {"type": "function_call_output", "call_id": call_id, "output": "4"},
    ]


def chat_call(call_id: str, name: str = "f") -> list[JsonObject]:
    """The same as messages."""
    call = {"id": call_id, "type": "function", "function": {"name": name, "arguments": "{}"}}
    return [
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": call_id, "content": "4"},
    ]


def messages_call(call_id: str, name: str = "f") -> list[JsonObject]:
    """The same in Anthropic's form."""
    call = {"type": "tool_use", "id": call_id, "name": name, "input": {}}
    result = {"type": "tool_result", "tool_use_id": call_id, "content": "4"}
    return [{"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]


def ollama_call(call_id: str, name: str = "f") -> list[JsonObject]:
    """The same in Ollama's form."""
    call = {"id": call_id, "function": {"name": name, "arguments": {}}}
    result = {"role": "tool", "tool_call_id": call_id, "content": "4"}
    return [{"role": "assistant", "tool_calls": [call]}, result]


def calling(dialect: str, *call_ids: str, name: str = "f") -> JsonObject:
    """What the backend gets of a conversation with these calls, each followed by its output."""
    if dialect == "messages":
        turns = [message for call_id in call_ids for message in messages_call(call_id, name)]
        return from_messages(messages=[HI, *turns])
    if dialect == "ollama":
        turns = [message for call_id in call_ids for message in ollama_call(call_id, name)]
        return from_ollama(messages=[HI, *turns])
    if dialect == "chat":
        turns = [message for call_id in call_ids for message in chat_call(call_id, name)]
        return from_chat(messages=[HI, *turns])
    items = [item for call_id in call_ids for item in responses_call(call_id, name)]
    return DIALECTS[dialect](input=[HI, *items])
