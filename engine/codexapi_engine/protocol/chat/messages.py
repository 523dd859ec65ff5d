"""Translates the messages of a chat request into items of a Responses request."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from ...errors import InvalidRequest, JsonObject, missing
from .. import json
from .content import ASSISTANT_PARTS, USER_PARTS, text_part, translate_parts
from .schema import Message

_ROLES = ("system", "assistant", "user", "function", "tool", "developer")


def items_of(messages: list[Message]) -> list[list[JsonObject]]:
    """The input items, message by message."""
    open_calls: dict[str, str] = {}  # call_id -> the type of its call, while it waits for output
    items = []
    for index, message in enumerate(messages):
        to_items = _BY_ROLE.get(message.role)
        if to_items is None:
            raise InvalidRequest(
                f"Invalid value: '{message.role}'. Supported values are: "
                + ", ".join(f"'{role}'" for role in _ROLES[:-1])
                + f", and '{_ROLES[-1]}'.",
                code="invalid_value",
                param=f"messages[{index}].role",
            )
        if open_calls and message.role not in ("tool", "function"):
            raise _unanswered(open_calls, index - 1)
        items.append(to_items(message, f"messages[{index}]", open_calls))
    if open_calls:
        raise _unanswered(open_calls, len(messages) - 1)
    return items


def _unanswered(open_calls: dict[str, str], index: int) -> InvalidRequest:
    return InvalidRequest(
        "An assistant message with 'tool_calls' must be followed by tool messages responding "
        "to each 'tool_call_id'. The following tool_call_ids did not have response messages: "
        + ", ".join(open_calls),
        param=f"messages[{index}].tool_calls",
    )


def instructions_of(
    messages: list[Message], items: list[list[JsonObject]], wanted: Mapping[str, Any]
) -> tuple[str | None, list[JsonObject]]:
    """The leading system messages as `instructions`, and the items that are left.

    They stay items where nothing else would be left, and with `json_object`: the word "json", which
    that needs, does not count in instructions.
    """
    leading = 0
    while leading < len(messages) and messages[leading].role in ("system", "developer"):
        leading += 1
    flat = [item for group in items for item in group]
    if wanted.get("type") == "json_object" or leading in (0, len(messages)):
        return None, flat
    texts = [part["text"] for group in items[:leading] for part in group[0]["content"]]
    return "\n\n".join(texts), [item for group in items[leading:] for item in group]


def _message_item(role: str, content: list[JsonObject], **more: Any) -> JsonObject:
    return {"type": "message", "role": role, "content": content, **more}


def _developer(message: Message, path: str, open_calls: dict[str, str]) -> list[JsonObject]:
    """The backend refuses the role `system`; `developer` says the same."""
    parts = translate_parts(message, path, {"text": text_part})
    return [_message_item("developer", parts)]


def _user(message: Message, path: str, open_calls: dict[str, str]) -> list[JsonObject]:
    parts = translate_parts(message, path, USER_PARTS)
    if message.name:  # Responses has no names
        first = next((part for part in parts if part["type"] == "input_text"), None)
        if first is None:
            parts.insert(0, {"type": "input_text", "text": f"{message.name}:"})
        else:
            first["text"] = f"{message.name}: {first['text']}"
    return [_message_item("user", parts)]


def _assistant(message: Message, path: str, open_calls: dict[str, str]) -> list[JsonObject]:
    parts: list[JsonObject] = []
    if message.content:
        parts = translate_parts(message, path, ASSISTANT_PARTS, kind="output_text")
    if message.refusal:
        parts.append({"type": "refusal", "refusal": message.refusal})
    phase = {} if message.phase is None else {"phase": message.phase}
    items = [_message_item("assistant", parts, **phase)] if parts else []
    calls = [
        _call_item(call, f"{path}.tool_calls[{n}]")
        for n, call in enumerate(message.tool_calls or [])
    ]
    if message.function_call:
        call = {"id": _synthetic_id(path, message.function_call), "type": "function"}
        calls.append(
            _call_item({**call, "function": message.function_call}, f"{path}.function_call")
        )
    if not items and not calls:
        items = [
            _message_item("assistant", [{"type": "output_text", "text": "", "annotations": []}])
        ]
    open_calls.update((call["call_id"], call["type"]) for call in calls)
    return items + calls


def _tool(message: Message, path: str, open_calls: dict[str, str]) -> list[JsonObject]:
    call_id = message.tool_call_id
    if call_id is None:
        raise missing(f"{path}.tool_call_id")
    if call_id not in open_calls:
        raise InvalidRequest(
            "Invalid parameter: messages with role 'tool' must be a response to a preceeding "
            "message with 'tool_calls'.",
            param=f"{path}.role",
        )
    return [_output(open_calls.pop(call_id), call_id, message, path)]


def _function(message: Message, path: str, open_calls: dict[str, str]) -> list[JsonObject]:
    if not open_calls:
        raise InvalidRequest(
            "Invalid parameter: messages with role 'function' must be a response to a preceeding "
            "message with 'function_call'.",
            param=f"{path}.role",
        )
    call_id = next(iter(open_calls))
    return [_output(open_calls.pop(call_id), call_id, message, path)]


_BY_ROLE: dict[str, Callable[[Message, str, dict[str, str]], list[JsonObject]]] = {
    "system": _developer,
    "developer": _developer,
    "user": _user,
    "assistant": _assistant,
    "tool": _tool,
    "function": _function,
}


def _output(kind: str, call_id: str, message: Message, path: str) -> JsonObject:
    output: str | list[JsonObject] = message.content if isinstance(message.content, str) else ""
    if isinstance(message.content, list):
        parts = translate_parts(message, path, USER_PARTS)
        plain = all(part["type"] == "input_text" for part in parts)
        output = "".join(part["text"] for part in parts) if plain else parts
    return {"type": f"{kind}_output", "call_id": call_id, "output": output}


def _call_item(call: JsonObject, path: str) -> JsonObject:
    kind = call.get("type", "function")
    body = call.get(kind) if kind in ("function", "custom") else None
    if not isinstance(body, dict) or not isinstance(body.get("name"), str):
        raise missing(f"{path}.function.name")
    if not isinstance(call.get("id"), str):
        raise missing(f"{path}.id")
    head = {"call_id": call["id"], "name": body["name"]}
    if isinstance(body.get("namespace"), str) and body["namespace"]:
        head["namespace"] = body["namespace"]  # as our replies have it
    if kind == "custom":
        return {"type": "custom_tool_call", **head, "input": body.get("input") or ""}
    arguments = body.get("arguments") or "{}"
    if not isinstance(arguments, str):
        arguments = json.dumps(arguments).decode()
    return {"type": "function_call", **head, "arguments": arguments}


def _synthetic_id(path: str, call: JsonObject) -> str:
    """A legacy call has no id, and the backend joins call and output by one."""
    return "call_" + hashlib.sha256(f"{path}{call.get('name')}".encode()).hexdigest()[:24]
