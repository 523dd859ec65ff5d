"""Completes the backend's response object with the fields of the client's request."""

from __future__ import annotations

from collections.abc import Mapping

from ...errors import CodexError, JsonObject
from .. import json, sse
from ..shapes import get_dict, get_int, get_list, get_str
from ..sse import Event
from .announce import announcement
from .backend import ENCRYPTED_REASONING

# The closed list of `ResponseError.code` in the official client's types.
_PUBLIC_CODES = frozenset(
    {
        "server_error", "rate_limit_exceeded", "invalid_prompt", "bio_policy",
        "misalignment_policy_violation", "data_residency_mismatch", "vector_store_timeout",
        "invalid_image", "invalid_image_format", "invalid_base64_image", "invalid_image_url",
        "image_too_large", "image_too_small", "image_parse_error",
        "image_content_policy_violation", "invalid_image_mode", "image_file_too_large",
        "unsupported_image_media_type", "empty_image_file", "failed_to_download_image",
        "image_file_not_found",
    }
)  # fmt: skip

# What every response has, in the order of the Open Responses schema. Values from the request are
# laid over these, then what the backend says, then the echoes of `_echoes`.
_DEFAULTS: JsonObject = {
    "id": "",
    "object": "response",
    "created_at": 0,
    "completed_at": None,
    "status": "in_progress",
    "incomplete_details": None,
    "model": "",
    "previous_response_id": None,
    "instructions": None,
    "output": [],
    "error": None,
    "tools": [],
    "tool_choice": "auto",
    "truncation": "disabled",
    "parallel_tool_calls": True,
    "text": {"format": {"type": "text"}},
    "top_p": 1.0,
    "presence_penalty": 0,
    "frequency_penalty": 0,
    "top_logprobs": 0,
    "temperature": 1.0,
    "reasoning": {"effort": None, "summary": None},
    "usage": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "store": False,
    "background": False,
    "service_tier": "default",
    "metadata": {},
    "safety_identifier": None,
    "prompt_cache_key": None,
}
_FROM_REQUEST = ("model", "tool_choice", "parallel_tool_calls", "text", "reasoning")


def from_response(
    response: JsonObject, request: JsonObject, created: int, name: str | None = None
) -> JsonObject:
    """The backend's response object as a public one, in the form that is stored.

    Fields that the backend adds are kept. `name` is an id of ours. What the
    client gets of it is `for_client`.
    """
    return Public(request, created, name).of(response)


def for_client(response: JsonObject, include: object) -> JsonObject:
    """A stored response as the client gets it. `include` is the client's list of extra fields."""
    output = get_list(response, "output")
    return {**response, "output": items_for_client(output, include)} if output else response


def items_for_client(items: list[JsonObject], include: object) -> list[JsonObject]:
    """Stored items as the client gets them, likewise.

    The official API gives the encrypted content of reasoning only on demand; a chain needs it.
    """
    return items if shows_encrypted(include) else [without_encrypted(item) for item in items]


def shows_encrypted(include: object) -> bool:
    """Whether a client's `include` has the encrypted content of reasoning."""
    return isinstance(include, list) and ENCRYPTED_REASONING in include


def without_encrypted(item: JsonObject) -> JsonObject:
    """An item without the encrypted content of its reasoning. A compaction item keeps its own: it
    has nothing else."""
    if item.get("type") != "reasoning" or "encrypted_content" not in item:
        return item
    return {name: value for name, value in item.items() if name != "encrypted_content"}


def complete_item(item: JsonObject) -> JsonObject:
    """A finished item whose status says so.

    The backend leaves a picture at `generating` though it is there
    (`tests/wires/image_generation.sse`), and several gateways report that clients, Codex Desktop among them, then do not show it.
    """
    if item.get("type") != "image_generation_call" or not item.get("result"):
        return item
    if item.get("status") in ("completed", "failed"):
        return item
    return {**item, "status": "completed"}


class Public:
    """What makes public responses, for one request: what depends on that alone is made once."""

    def __init__(self, request: JsonObject, created: int, name: str | None) -> None:
        stated = {name: request[name] for name in _FROM_REQUEST if request.get(name) is not None}
        self._under = {**_DEFAULTS, **stated}
        self._over = _echoes(request)
        self._tools = get_list(request, "tools")
        self._created = created
        self._name = name
        self._has_user = "user" in request
        self.is_heavy = json.is_heavy(stated, self._over, self._tools)

    def of(self, response: JsonObject, output: list[JsonObject] | None = None) -> JsonObject:
        """`output` stands in place of its own."""
        fields = {name: value for name, value in response.items() if value is not None}
        whole = {**self._under, **fields, **self._over}
        whole["created_at"] = get_int(fields, "created_at") or self._created
        whole["id"] = self._name or whole["id"]
        whole["tools"] = [_tool(tool) for tool in get_list(fields, "tools") or self._tools]
        whole["usage"] = complete_usage(fields["usage"]) if get_dict(fields, "usage") else None
        items = get_list(fields, "output") if output is None else output
        whole["output"] = [complete_item(item) for item in items]
        if not self._has_user:
            whole.pop("user", None)
        return whole


def failed(response: JsonObject, error: CodexError) -> JsonObject:
    """A response whose run ended in this error."""
    detail = public_error({"code": error.code, "message": error.message})
    return {**response, "status": "failed", "error": detail}


def error_event(error: CodexError, number: int) -> bytes:
    """One `error` event in both shapes in use: the flat one of the official client's types, and the
    nested one, on which that client raises."""
    detail = error.body()
    data = {
        "type": "error",
        "sequence_number": number,
        "code": detail["code"],
        "message": detail["message"],
        "param": detail["param"],
        "error": detail,
    }
    return sse.encode(data, "error")


def replay(response: JsonObject) -> list[Event]:
    """Events that replay a stored response whose own events were not stored."""
    response = for_client(response, None)
    begun = {**response, "status": "in_progress", "output": [], "usage": None, "error": None}
    payloads: list[JsonObject] = [
        {"type": "response.created", "response": begun},
        {"type": "response.in_progress", "response": begun},
        *announcement(get_list(response, "output")),
    ]
    end = get_str(response, "status")
    if end in ("completed", "incomplete", "failed"):
        payloads.append({"type": f"response.{end}", "response": response})
    events = []
    for at, payload in enumerate(payloads):
        kind = payload["type"]
        data = {"type": kind, "sequence_number": at, **payload}
        events.append(Event(sse.encode(data, kind).rstrip(b"\n")))
    done = [Event(sse.DONE.rstrip(b"\n"))] if end in ("completed", "incomplete") else []
    return events + done


def _echoes(request: JsonObject) -> JsonObject:
    """The fields that the backend echoes of our request, as the client sent them.

    A parameter that is ignored has no echo: the response says what was done. Only identifiers,
    which change no answer, have one. The backend's own `safety_identifier` (`tests/wires/text.sse`)
    is bound to the account, and must not travel.
    """
    echoes = {
        name: request.get(name)
        for name in ("instructions", "safety_identifier", "prompt_cache_key")
    }
    echoes.update(
        metadata=request.get("metadata") or {},
        previous_response_id=request.get("previous_response_id"),
        store=request.get("store") is not False,
        background=request.get("background") is True,
    )
    if request.get("user") is not None:
        echoes["user"] = request["user"]
    if conversation := conversation_of(request):
        echoes["conversation"] = {"id": conversation}
    return echoes


def conversation_of(request: JsonObject) -> str:
    """The id of the conversation that a request is part of; empty if of none."""
    return get_str(request, "conversation") or get_str(get_dict(request, "conversation"), "id")


def _tool(tool: JsonObject) -> JsonObject:
    """A function tool has its description, parameters and strictness, even where they are null."""
    if tool.get("type") != "function":
        return tool
    return {"description": None, "parameters": None, "strict": None, **tool}


def complete_usage(usage: Mapping[str, object]) -> JsonObject:
    """Strict clients need both details; the backend leaves out what is zero."""
    details = {
        "cached_tokens": 0,
        "cache_write_tokens": 0,
        **get_dict(usage, "input_tokens_details"),
    }
    return {
        "input_tokens": 0,
        "output_tokens": 0,
        "total_tokens": 0,
        **usage,
        "input_tokens_details": details,
        "output_tokens_details": {
            "reasoning_tokens": 0,
            **get_dict(usage, "output_tokens_details"),
        },
    }


def public_error(error: JsonObject) -> JsonObject:
    code, message = get_str(error, "code"), get_str(error, "message") or "the model run failed"
    if code in _PUBLIC_CODES:
        return {**error, "message": message}
    return {**error, "code": "server_error", "message": f"{message} ({code})" if code else message}
