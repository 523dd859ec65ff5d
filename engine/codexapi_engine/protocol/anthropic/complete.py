"""A finished response, or the events of a stream, as one whole message."""

from __future__ import annotations

from collections.abc import Iterable

from ...errors import JsonObject
from .. import json
from ..choices import empty_response
from ..shapes import get_dict, get_list, get_str
from .content import (
    MessageOptions,
    blocks_of,
    citations,
    ending,
    message_id,
    own_sources,
    refusal_of,
    says_something,
    usage_of,
)


def from_response(response: JsonObject, options: MessageOptions) -> JsonObject:
    """The whole reply, a `message`. Raises BackendError if the response says nothing.

    Knows no stop sequences: they end a run, so `fold` makes such a reply, from its events.
    """
    items = get_list(response, "output")
    content: list[JsonObject] = []
    for index, item in enumerate(items):
        sources: list[JsonObject] = []
        if get_str(item, "type") == "web_search_call":
            sources = own_sources(item) or _next_citations(items[index + 1 :])
        content += blocks_of(item, options, sources)
    kinds = [block["type"] for block in content]
    end = ending(response, "tool_use" in kinds, refusal_of(items))
    if end["stop_reason"] == "end_turn" and not says_something(kinds):
        raise empty_response()
    reply: JsonObject = {
        "id": message_id(response),
        "type": "message",
        "role": "assistant",
        "model": options.model,
        "content": content,
        **end,
        "usage": usage_of(response, options, kinds.count("server_tool_use")),
    }
    if options.edits:
        reply["context_management"] = {"applied_edits": []}
    return reply


def _next_citations(items: list[JsonObject]) -> list[JsonObject]:
    """What the message cites that follows a search."""
    message = next((item for item in items if item.get("type") == "message"), {})
    return citations(message)


def fold(events: Iterable[JsonObject]) -> JsonObject:
    """The message that the events of one stream add up to."""
    reply: JsonObject = {}
    inputs: dict[int, str] = {}
    for event in events:
        kind = get_str(event, "type")
        if kind == "message_start":
            reply = {**get_dict(event, "message"), "content": []}
        elif kind == "content_block_start":
            reply["content"].append(dict(get_dict(event, "content_block")))
        elif kind == "content_block_delta":
            _add_delta(
                reply["content"][event["index"]], get_dict(event, "delta"), inputs, event["index"]
            )
        elif kind == "message_delta":
            more = {name: event[name] for name in ("usage", "context_management") if name in event}
            reply.update(**get_dict(event, "delta"), **more)
    for index, text in inputs.items():
        if text:
            reply["content"][index]["input"] = json.loads(text)
    return reply


def _add_delta(block: JsonObject, delta: JsonObject, inputs: dict[int, str], index: int) -> None:
    for name in ("text", "thinking", "signature"):
        if name in delta:
            block[name] += delta[name]
    if "citation" in delta:
        block.setdefault("citations", []).append(delta["citation"])
    if "partial_json" in delta:
        inputs[index] = inputs.get(index, "") + delta["partial_json"]
