"""What a client makes of a Messages stream of ours: its events, read back and added up."""

from __future__ import annotations

import json
from typing import Any

from tests.wire_files import events

from codexapi_engine.protocol import JsonObject

EVENTS = {
    "message_start", "content_block_start", "content_block_delta", "content_block_stop",
    "message_delta", "message_stop", "ping", "error",
}  # fmt: skip
_DELTAS = {
    "text": {"text_delta": "text", "citations_delta": "citation"},
    "thinking": {"thinking_delta": "thinking", "signature_delta": "signature"},
    "tool_use": {"input_json_delta": "partial_json"},
    "server_tool_use": {"input_json_delta": "partial_json"},
    "web_search_tool_result": {},
}
"""The deltas of each block, and the field of each."""


def told(out: bytes) -> list[JsonObject]:
    """The events of a stream. Fails unless each has an `event:` line that is its type."""
    found = events(out)
    for event in found:
        assert event.raw.startswith(f"event: {event.json['type']}\n".encode()), event.raw
    return [event.json for event in found]


def added_up(out: bytes) -> JsonObject:
    """The message that a stream amounts to. Fails unless its grammar is the API's: blocks follow
    one another, dense from zero, and what is open is ended before the message is."""
    steps = [event for event in told(out) if event["type"] != "ping"]
    assert {event["type"] for event in steps} <= EVENTS
    first, *middle, delta, stop = steps
    assert (first["type"], delta["type"], stop) == (
        "message_start", "message_delta", {"type": "message_stop"},
    )  # fmt: skip
    message: JsonObject = dict(first["message"])
    assert (message["content"], message["stop_reason"]) == ([], None)
    assert message["usage"]["output_tokens"] == 1
    message["content"] = _blocks(middle)
    message.update(delta["delta"])
    message.update((name, delta[name]) for name in ("usage", "context_management") if name in delta)
    return message


def _blocks(steps: list[JsonObject]) -> list[JsonObject]:
    blocks: list[JsonObject] = []
    open_block: JsonObject | None = None
    for event in steps:
        if event["type"] == "content_block_start":
            assert open_block is None
            assert event["index"] == len(blocks)
            open_block = dict(event["content_block"])
            blocks.append(open_block)
            continue
        assert open_block is not None
        assert event["index"] == len(blocks) - 1
        if event["type"] == "content_block_stop":
            _end(open_block)
            open_block = None
        else:
            assert event["type"] == "content_block_delta"
            _add(open_block, event["delta"])
    assert open_block is None
    return blocks


def _add(block: JsonObject, delta: JsonObject) -> None:
    field = _DELTAS[block["type"]][delta["type"]]
    assert not block.get("signature"), "a signature is the last of a block, and comes once"
    if field == "citation":
        assert block["text"]
        block.setdefault("citations", []).append(delta[field])
        return
    block[field] = block.get(field, "") + delta[field]


def _end(block: JsonObject) -> None:
    if "partial_json" in block:
        assert block["input"] == {}
        text: Any = block.pop("partial_json")
        block["input"] = json.loads(text) if text else {}
        assert isinstance(block["input"], dict)
