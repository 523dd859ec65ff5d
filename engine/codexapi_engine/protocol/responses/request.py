"""Validates a client's Responses request, and translates it into one that the backend accepts.

It knows nothing of models, logins or HTTP. An unknown field is passed on.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from ...errors import InvalidRequest, JsonObject, missing
from ..rules import FieldRule, apply, unsupported
from ..validation import Metadata, validated
from .backend import SERVICE_TIERS, cache_key, user
from .items import is_reference, kind_of, without_status
from .parts import translate_parts
from .public import conversation_of
from .tools import translate_choice, translate_tools

RULES: dict[str, FieldRule] = {
    "model": FieldRule.TRANSLATED,
    "input": FieldRule.TRANSLATED,
    "instructions": FieldRule.TRANSLATED,
    "tools": FieldRule.TRANSLATED,
    "tool_choice": FieldRule.TRANSLATED,
    "parallel_tool_calls": FieldRule.TRANSLATED,
    "reasoning": FieldRule.TRANSLATED,
    "text": FieldRule.TRANSLATED,
    "include": FieldRule.TRANSLATED,
    "service_tier": FieldRule.TRANSLATED,
    "prompt_cache_key": FieldRule.TRANSLATED,
    "client_metadata": FieldRule.TRANSLATED,
    "stream": FieldRule.HONOURED,
    "stream_options": FieldRule.HONOURED,
    "metadata": FieldRule.HONOURED,  # echoed in the response
    "store": FieldRule.HONOURED,  # kept on this machine, unless false
    "previous_response_id": FieldRule.HONOURED,
    "conversation": FieldRule.HONOURED,
    "background": FieldRule.HONOURED,
    "temperature": FieldRule.IGNORED,
    "top_p": FieldRule.IGNORED,
    "presence_penalty": FieldRule.IGNORED,
    "frequency_penalty": FieldRule.IGNORED,
    "max_output_tokens": FieldRule.IGNORED,
    "max_tool_calls": FieldRule.IGNORED,
    "truncation": FieldRule.IGNORED,
    "user": FieldRule.IGNORED,
    "safety_identifier": FieldRule.IGNORED,
    "prompt_cache_options": FieldRule.IGNORED,
    "prompt_cache_retention": FieldRule.IGNORED,
    "image": FieldRule.IGNORED,
    "top_logprobs": FieldRule.REFUSED,
    "access_programs": FieldRule.REFUSED,
    "background_options": FieldRule.REFUSED,
    "prompt": FieldRule.REFUSED,
    "context_management": FieldRule.REFUSED,
    "moderation": FieldRule.REFUSED,
}
"""What becomes of each field of `POST /v1/responses`. What is not here passes on."""

ASKS_NOTHING: dict[str, object] = {
    "truncation": "disabled",
    "top_logprobs": 0,
    "presence_penalty": 0,
    "frequency_penalty": 0,
}
_ITEM = re.compile(r"input\[(\d+)\]")
_LOGPROBS = "message.output_text.logprobs"
_JOINED_BY_CALL_ID = frozenset(
    {
        "function_call", "function_call_output", "custom_tool_call", "custom_tool_call_output",
    }
)  # fmt: skip


class ResponseRequest(BaseModel):
    """What a client may send: the shapes of what we look at. The rest passes unread."""

    model_config = ConfigDict(extra="allow", strict=True, defer_build=True)

    model: str | None = None
    input: list[dict[str, Any]] | str | None = None
    instructions: str | None = None
    stream: bool | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    reasoning: dict[str, Any] | None = None
    text: dict[str, Any] | None = None
    include: list[str] | None = None
    metadata: Metadata | None = None
    store: bool | None = None
    previous_response_id: str | None = None
    conversation: dict[str, Any] | str | None = None
    background: bool | None = None
    service_tier: str | None = None
    prompt_cache_key: str | None = None
    stream_options: dict[str, Any] | None = None
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, ge=0, le=1)
    max_output_tokens: int | None = Field(None, ge=16)
    max_tool_calls: int | None = Field(None, ge=1)


def checked(body: JsonObject) -> ResponseRequest:
    """A client's body, looked at. Raises InvalidRequest, naming the field."""
    request = validated(ResponseRequest, body)
    if request.previous_response_id and request.conversation:
        raise InvalidRequest(
            "Mutually exclusive parameters: 'previous_response_id' and 'conversation'. "
            "Ensure you are only providing one of them.",
            code="mutually_exclusive_parameters",
            param="previous_response_id",
        )
    if request.conversation:
        _check_conversation(body)
    if request.background and request.store is False:
        raise InvalidRequest(
            "Background mode needs 'store' to be true.", code="invalid_value", param="background"
        )
    if request.input is None and not (request.previous_response_id or request.conversation):
        raise missing("input")
    return request


def _check_conversation(body: JsonObject) -> None:
    name = conversation_of(body)
    param = "conversation" if isinstance(body["conversation"], str) else "conversation.id"
    if not name:
        raise missing(param)
    if not name.startswith("conv_"):
        raise InvalidRequest(
            f"Invalid '{param}': '{name[:64]}'. Expected an ID that begins with 'conv_'.",
            code="invalid_value",
            param=param,
        )


def from_client(
    body: JsonObject,
    *,
    strict: bool = False,
    history: Sequence[JsonObject] = (),
    request: ResponseRequest | None = None,
) -> tuple[JsonObject, tuple[str, ...]]:
    """A public request in the backend's form, and the names of the ignored fields.

    `history` are the items before its own, and `request` is the result of `checked`, where it has
    been called before. Raises InvalidRequest, naming the field. `body` is not changed.
    """
    request = checked(body) if request is None else request
    ignored = apply(
        RULES, body, strict=strict, no_effect=ASKS_NOTHING, unknown=FieldRule.TRANSLATED
    )
    taken = {
        name: value
        for name, value in body.items()
        if value is not None and RULES.get(name, FieldRule.TRANSLATED) is FieldRule.TRANSLATED
    }
    taken["input"] = _input(history) + _input(body.get("input") or ())
    if request.tools:
        taken["tools"] = translate_tools(request.tools, "tools")
    if isinstance(request.tool_choice, dict):
        taken["tool_choice"] = translate_choice(request.tool_choice)
    if request.reasoning and "generate_summary" in request.reasoning:
        taken["reasoning"] = _with_summary(request.reasoning)
    if _LOGPROBS in (request.include or ()):
        taken["include"] = _without_logprobs(request.include or (), strict=strict)
        ignored = (*ignored, "include")
    if request.prompt_cache_key is not None:
        taken["prompt_cache_key"] = cache_key(request.prompt_cache_key)
    if request.service_tier is not None:
        tier = SERVICE_TIERS.get(request.service_tier)
        taken = _with(taken, "service_tier", tier)
        if tier is None and request.service_tier not in ("auto", "default"):
            ignored = (*ignored, "service_tier")
    return taken, ignored


def _with_summary(reasoning: JsonObject) -> JsonObject:
    """With today's name of `generate_summary`."""
    named = dict(reasoning)
    named.setdefault("summary", named.pop("generate_summary"))
    return named


def caller_param(
    param: str | None, request: JsonObject, history: Sequence[JsonObject], own: Sequence[JsonObject]
) -> str | None:
    """A field of the backend's request, by the caller's own index of its item: what goes before the
    caller's items, and what of them is left out, moves that."""
    match = _ITEM.match(param or "")
    if param is None or match is None:
        return param
    index = int(match[1]) - len(history)
    if index < 0:
        return "conversation" if request.get("conversation") else "previous_response_id"
    indexes = [place for place, item in enumerate(own) if not _is_empty_reasoning(item)]
    place = indexes[index] if index < len(indexes) else index
    return f"input[{place}]{param[match.end() :]}"


def _is_empty_reasoning(item: JsonObject) -> bool:
    """Only its id is left, and the backend knows no ids: it answers 404."""
    return kind_of(item) == "reasoning" and not item.get("encrypted_content")


def _without_logprobs(include: Sequence[str], *, strict: bool) -> list[str]:
    """Some clients ask for them with every request, and never look whether they are there."""
    if strict:
        raise unsupported("include", "the Codex backend gives no logprobs")
    return [name for name in include if name != _LOGPROBS]


def checked_items(items: Sequence[JsonObject], path: str = "items") -> None:
    """Raises InvalidRequest for an item that no request could take, naming it."""
    for index, item in enumerate(items):
        _translate_item(item, f"{path}[{index}]")


def _input(value: str | Sequence[JsonObject]) -> list[JsonObject]:
    if isinstance(value, str):
        return [user(value)]
    return [
        item
        for index, one in enumerate(value)
        if (item := _translate_item(one, f"input[{index}]")) is not None
    ]


def _translate_item(source: JsonObject, path: str) -> JsonObject | None:
    kind = kind_of(source)
    if is_reference(source):  # those to what we have kept are replaced before this
        raise InvalidRequest(
            f"Item with id '{source.get('id')}' not found. Items are kept with the responses that "
            "were stored here; send the item itself.",
            param=f"{path}.id",
            status=404,
        )
    if _is_empty_reasoning(source):
        return None
    item = without_status(source)
    if kind == "message":
        return _translate_message(item, path)
    _check_call_id(item, kind, path)
    if isinstance(item.get("output"), list):
        item["output"] = translate_parts(item["output"], f"{path}.output")
    if isinstance(item.get("tools"), list):  # `additional_tools`, and what a tool search found
        item["tools"] = translate_tools(item["tools"], f"{path}.tools")
    return item


def _check_call_id(item: JsonObject, kind: str, path: str) -> None:
    call_id = item.get("call_id")
    if call_id is None and kind in _JOINED_BY_CALL_ID:
        raise missing(f"{path}.call_id")
    if not isinstance(call_id, str | None):
        raise InvalidRequest(
            f"Invalid type for '{path}.call_id': expected a string.",
            code="invalid_type",
            param=f"{path}.call_id",
        )


def _translate_message(item: JsonObject, path: str) -> JsonObject:
    """The item, completed in place."""
    role, content = item.get("role"), item.get("content")
    if role not in ("user", "assistant", "system", "developer"):
        raise InvalidRequest(
            f"Invalid value: '{role}'. Supported values are: 'assistant', 'system', 'developer', "
            "and 'user'.",
            code="invalid_value",
            param=f"{path}.role",
        )
    if isinstance(content, str):
        kind = "output_text" if role == "assistant" else "input_text"
        content = [{"type": kind, "text": content}]
    elif not isinstance(content, list):
        raise InvalidRequest(
            f"Invalid type for '{path}.content': expected a string or a list of parts.",
            code="invalid_type",
            param=f"{path}.content",
        )
    # The backend refuses the role `system` outright since 2026-05.
    role = "developer" if role == "system" else role
    content = translate_parts(content, f"{path}.content")
    item.update(type="message", role=role, content=content)
    return item


def _with(body: JsonObject, name: str, value: object) -> JsonObject:
    changed = {key: field for key, field in body.items() if key != name}
    if value is not None:
        changed[name] = value
    return changed
