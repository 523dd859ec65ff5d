"""The Responses API over a WebSocket: the events of its clients, and those that HTTP lacks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from ...errors import InvalidRequest, JsonObject
from .. import json, limits
from ..headers import FROM_CODEX_CLIENTS
from ..shapes import get_dict, get_str
from .items import kind_of

CREATE, STEER = "response.create", "response.steer"
_STOPS = frozenset({"response.cancel", "response.interrupt"})
_LANE = re.compile(r"[A-Za-z0-9_.-]{1,256}")
_NOT_OF_A_BODY = frozenset({"type", "stream_id", "generate"})

_OF_A_HEADER = "ws_request_header_"
"""How a Codex client begins the names in `client_metadata` that are headers over HTTP."""
_OF_A_SOCKET = (_OF_A_HEADER, "x-codex-ws-")

_OUTPUTS = {
    "function_call_output": "function_call",
    "custom_tool_call_output": "custom_tool_call",
}
"""The outputs of tools, and the call that each needs."""


class Create(NamedTuple):
    """A `response.create`: the body that `POST /v1/responses` would have, and what is said beside
    it."""

    body: JsonObject
    lane: str  # its `stream_id`; empty for the default lane
    generates: bool  # False for a warm-up


def lane_of(event: JsonObject) -> str:
    """The lane of an event; empty for the default one. Raises InvalidRequest."""
    name = event.get("stream_id")
    if name is None:
        return ""
    if not isinstance(name, str) or not _LANE.fullmatch(name):
        raise InvalidRequest(
            "Invalid 'stream_id': expected 1 to 256 letters, digits, '_', '.' or '-'.",
            code="invalid_stream_id",
            param="stream_id",
        )
    return name


def create_of(event: JsonObject) -> Create:
    """Raises InvalidRequest for what is not to be created."""
    generate = event.get("generate")
    if not isinstance(generate, bool | None):
        raise InvalidRequest(
            "Invalid type for 'generate': expected a boolean.",
            code="invalid_type",
            param="generate",
        )
    if event.get("background"):
        raise InvalidRequest(
            "Background mode is not supported over a WebSocket: use POST /v1/responses.",
            code="unsupported_parameter",
            param="background",
        )
    body = {name: value for name, value in event.items() if name not in _NOT_OF_A_BODY}
    return Create({**body, "stream": True}, lane_of(event), generate is not False)


def unknown_event(event: JsonObject) -> InvalidRequest:
    """Why an event that is neither a create nor steering is refused."""
    kind = event.get("type")
    if kind in _STOPS:
        message = f"'{kind}' is not supported: close the WebSocket to stop its responses."
        return InvalidRequest(message, code="unsupported_event", param="type")
    shown = json.dumps(kind).decode()[:80]
    message = f"Invalid value for 'type': {shown}. Supported values are: '{CREATE}' and '{STEER}'."
    return InvalidRequest(message, code="invalid_value", param="type")


def steer_failed(event: JsonObject) -> JsonObject:
    """The answer to steering, with its input: the backend steers no run over HTTP."""
    return {
        "type": "response.steer.failed",
        "sequence_number": 0,
        "error": {
            "type": "invalid_request_error",
            "code": "steering_not_supported",
            "message": "The Codex backend steers no response over HTTP: send the input with the "
            "next response.create.",
        },
        "steer": {
            "previous_response_id": get_str(event, "previous_response_id"),
            "input": event.get("input") or [],
        },
    }


def error_event(
    status: int,
    error: JsonObject,
    headers: Mapping[str, str],
    *,
    number: int | None = None,
    for_codex: bool = False,
) -> JsonObject:
    """An error with all that an HTTP response would say of it. `number` is its place in the stream,
    where the stream has begun. A code is never null here, by the schema of Open Responses; Codex
    looks for the headers outside of the error."""
    detail = {**error, "code": error.get("code") or error.get("type")}
    event: JsonObject = {"type": "error", "status": status, "error": detail}
    if number is not None:
        event["sequence_number"] = number
    if headers:
        detail["headers"] = dict(headers)
        if for_codex:
            event["headers"] = dict(headers)
    return event


def metadata_events(headers: Mapping[str, str]) -> list[JsonObject]:
    """What a Codex client reads from the headers of an answer over HTTP."""
    events: list[JsonObject] = [{"type": "response.metadata", "headers": dict(headers)}]
    known = limits.from_headers(headers)
    if known.primary or known.secondary:
        events.append(_rate_limits(known, headers))
    return events


def headers_of(metadata: JsonObject) -> dict[str, str]:
    """The headers that a Codex client would send over HTTP, from its `client_metadata`."""
    found: dict[str, str] = {}
    for name, value in metadata.items():
        if name.startswith(_OF_A_HEADER):
            name = name.removeprefix(_OF_A_HEADER).replace("_", "-")
        elif name in ("session_id", "thread_id"):
            name = name.replace("_", "-")
        if name in FROM_CODEX_CLIENTS and isinstance(value, str):
            found[name] = value
    return found


def for_http(body: JsonObject) -> JsonObject:
    """A Codex client's body without what it says over a socket alone."""
    metadata = get_dict(body, "client_metadata")
    rest = {name: value for name, value in metadata.items() if not name.startswith(_OF_A_SOCKET)}
    return body if len(rest) == len(metadata) else {**body, "client_metadata": rest}


def check_outputs(history: Sequence[JsonObject], own: Iterable[JsonObject]) -> None:
    """Raises InvalidRequest for a tool's output whose call is not in the chain. A compaction may
    stand for the call."""
    calls = {(kind_of(item), get_str(item, "call_id")) for item in history}
    if any(kind == "compaction" for kind, _ in calls):
        return
    for item in own:
        kind, name = kind_of(item), get_str(item, "call_id")
        call = _OUTPUTS.get(kind)
        if call is not None and (call, name) not in calls:
            words = call.replace("_", " ")
            message = f"No tool call found for {words} output with call_id {name[:64]}."
            raise InvalidRequest(message, param="input")
        calls.add((kind, name))


def _rate_limits(known: limits.Limits, headers: Mapping[str, str]) -> JsonObject:
    windows = {
        name: window
        and {
            "used_percent": window.used_percent,
            "window_minutes": window.minutes,
            "reset_at": window.resets_at,
        }
        for name, window in (("primary", known.primary), ("secondary", known.secondary))
    }
    has = headers.get("x-codex-credits-has-credits")
    credits = {  # noqa: A001  (the wire's word)
        "has_credits": str(has).lower() == "true",
        "unlimited": headers.get("x-codex-credits-unlimited", "").lower() == "true",
        "balance": headers.get("x-codex-credits-balance"),
    }
    return {
        "type": "codex.rate_limits",
        "plan_type": known.plan,
        "rate_limits": {"allowed": not known.reached, "limit_reached": known.reached, **windows},
        "credits": credits if has is not None else None,
    }
