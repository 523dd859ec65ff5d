"""Translates a Chat Completions request into a Responses request, field by field."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ...errors import InvalidRequest, JsonObject, missing
from ..choices import check_stream_options
from ..responses.backend import SERVICE_TIERS, cache_key
from ..rules import FieldRule, apply
from ..validation import validated
from .fields import require_field, without_nulls
from .messages import instructions_of, items_of
from .reply_parts import ReplyOptions, tier_of
from .schema import ASKS_NOTHING, RULES, ChatRequest
from .tools import tool_choice_of, translate_tools

_FORMAT_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


def form(request: ChatRequest) -> ReplyOptions:
    """What of a request shapes its reply."""
    options, wanted = request.stream_options or {}, request.response_format or {}
    reasoning = request.reasoning or {}
    return ReplyOptions(
        model=request.model,
        include_usage=options.get("include_usage") is True,
        service_tier=tier_of(request.service_tier),
        reasoning=bool(request.reasoning_summary or reasoning.get("summary")),
        json=wanted.get("type") in ("json_object", "json_schema"),
        legacy=request.functions is not None,
        stop=(request.stop,) if isinstance(request.stop, str) else tuple(request.stop or ()),
        n=request.n or 1,
    )


def from_client(body: JsonObject, *, strict: bool = False) -> tuple[ChatRequest, tuple[str, ...]]:
    """A client's body, checked, and the names of the ignored fields.

    Raises InvalidRequest, naming the field.
    """
    request = validated(ChatRequest, body)
    ignored = apply(RULES, body, strict=strict, no_effect=ASKS_NOTHING, unknown=FieldRule.IGNORED)
    check_stream_options(request.stream_options, request.stream)
    if request.tools and request.functions:
        raise InvalidRequest(
            "Use 'tools' or 'functions', not both.", code="invalid_value", param="functions"
        )
    if request.service_tier not in (None, "auto", "default", *SERVICE_TIERS):
        ignored = (*ignored, "service_tier")
    if request.metadata and not request.store:  # many clients send it all the same
        if strict:
            raise InvalidRequest(
                "The 'metadata' parameter is only allowed when 'store' is enabled.",
                code="invalid_value",
                param="metadata",
            )
        ignored = (*ignored, "metadata")
    return request, ignored


def to_responses(request: ChatRequest) -> JsonObject:
    """The Responses request. Raises InvalidRequest, naming the field."""
    wanted = request.response_format or {}
    made: JsonObject = {"model": request.model}
    by_message = items_of(request.messages)
    instructions, items = instructions_of(request.messages, by_message, wanted)
    if instructions:
        made["instructions"] = instructions
    made["input"] = items
    if text := text_of_wanted(wanted, request.verbosity):
        made["text"] = text
    if reasoning := _reasoning_options(request):
        made["reasoning"] = reasoning
    if tools := translate_tools(request):
        made["tools"] = tools
    if (choice := tool_choice_of(request)) is not None:
        made["tool_choice"] = choice
    parallel = False if request.functions else request.parallel_tool_calls
    if parallel is not None:
        made["parallel_tool_calls"] = parallel
    if tier := SERVICE_TIERS.get(request.service_tier or ""):
        made["service_tier"] = tier
    if request.prompt_cache_key:
        made["prompt_cache_key"] = cache_key(request.prompt_cache_key)
    return made


# Messages.


# Content parts.


# Everything else.


def text_of_wanted(wanted: Mapping[str, Any], verbosity: Any) -> JsonObject:
    """`response_format` and `verbosity` as the other dialect's `text`."""
    made: JsonObject = {} if verbosity is None else {"verbosity": verbosity}
    kind = wanted.get("type")
    if kind == "json_object":
        made["format"] = {"type": "json_object"}
    elif kind == "json_schema":
        made["format"] = _json_schema(wanted.get("json_schema"))
    elif kind not in (None, "text"):
        raise InvalidRequest(
            f"Invalid value: '{kind}'. Supported values are: 'text', 'json_object', and "
            "'json_schema'.",
            code="invalid_value",
            param="response_format.type",
        )
    return made


def _json_schema(wrapper: Any) -> JsonObject:
    path = "response_format.json_schema"
    if not isinstance(wrapper, dict):
        raise missing(path)
    if not isinstance(wrapper.get("schema"), dict):
        raise missing(f"{path}.schema")
    return {
        "type": "json_schema",
        "name": _format_name(wrapper, path),
        "schema": wrapper["schema"],
        "strict": bool(wrapper.get("strict")),
        **without_nulls(description=wrapper.get("description")),
    }


def _format_name(holder: JsonObject, path: str) -> str:
    name = require_field(holder, "name", path)
    if not _FORMAT_NAME.fullmatch(name):
        raise InvalidRequest(
            f"Invalid '{path}.name': expected up to 64 letters, digits, '_' or '-'.",
            code="invalid_value",
            param=f"{path}.name",
        )
    return name


def _reasoning_options(request: ChatRequest) -> JsonObject:
    made = without_nulls(effort=request.reasoning_effort, summary=request.reasoning_summary)
    return {**made, **without_nulls(**request.reasoning)} if request.reasoning else made
