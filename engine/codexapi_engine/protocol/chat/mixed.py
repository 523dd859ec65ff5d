"""Translates a Responses body that was sent to Chat Completions, as Cursor does.

Its client expects chunks. `input` stands in place of `messages`, tools may be flat or nested, and
fields of both dialects may be present.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...errors import JsonObject
from ..choices import check_stream_options
from ..responses import request as responses
from ..rules import FieldRule, apply
from ..shapes import get_dict, get_str
from ..validation import validated
from .reply_parts import ReplyOptions, tier_of
from .request import text_of_wanted
from .schema import ASKS_NOTHING, RULES, Options
from .tools import choice_of, tool_of

_TAKEN = ("reasoning_effort", "reasoning_summary", "response_format", "verbosity")
"""Chat's own fields that have a place in the other dialect."""


def is_mixed(body: JsonObject) -> bool:
    return "input" in body and "messages" not in body


def from_client(
    body: JsonObject, *, strict: bool = False, history: Sequence[JsonObject] = ()
) -> tuple[JsonObject, ReplyOptions, tuple[str, ...]]:
    """The Responses request, what shapes the reply, and the names of the ignored fields.

    `history` are the items before its own. Raises InvalidRequest, naming the field.
    """
    chats = {name: value for name, value in body.items() if _is_chats(name)}
    own = {name: value for name, value in body.items() if not _is_chats(name)}
    validated(Options, chats)
    ignored = apply(RULES, chats, strict=strict, no_effect=ASKS_NOTHING, unknown=FieldRule.IGNORED)
    lost = tuple(
        name
        for name, value in chats.items()
        if RULES[name] is FieldRule.TRANSLATED and name not in _TAKEN and value is not None
    )
    own.update(_translated(body))
    sent, more = responses.from_client(own, strict=strict, history=history)
    check_stream_options(body.get("stream_options"), body.get("stream"))
    return sent, _reply_options(sent, body), (*ignored, *lost, *more)


def _is_chats(name: str) -> bool:
    return name in RULES and name not in responses.RULES


def _translated(body: JsonObject) -> JsonObject:
    made: JsonObject = {}
    reasoning = {"effort": body.get("reasoning_effort"), "summary": body.get("reasoning_summary")}
    reasoning = {name: value for name, value in reasoning.items() if value is not None}
    if reasoning:
        made["reasoning"] = {**reasoning, **get_dict(body, "reasoning")}
    if text := text_of_wanted(get_dict(body, "response_format"), body.get("verbosity")):
        made["text"] = {**text, **get_dict(body, "text")}
    tools = body.get("tools")
    if isinstance(tools, list):
        made["tools"] = [
            tool_of(tool, f"tools[{index}]") if isinstance(tool, dict) else tool
            for index, tool in enumerate(tools)
        ]
    if isinstance(body.get("tool_choice"), dict):
        made["tool_choice"] = choice_of(body["tool_choice"])
    return made


def _reply_options(sent: JsonObject, body: JsonObject) -> ReplyOptions:
    stop = body.get("stop")
    return ReplyOptions(
        model=sent["model"],
        include_usage=get_dict(body, "stream_options").get("include_usage") is True,
        service_tier=tier_of(body.get("service_tier")),
        reasoning=bool(get_dict(sent, "reasoning").get("summary")),
        json=get_str(get_dict(get_dict(sent, "text"), "format"), "type").startswith("json"),
        stop=(stop,) if isinstance(stop, str) else tuple(stop or ()),
        n=body.get("n") or 1,
    )
