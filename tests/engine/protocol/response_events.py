"""Events of a made-up response, and what a client has of them."""

from __future__ import annotations

from typing import Any

from tests.wire_files import NAMES, NOT_OF_THE_CLIENT, events, wire

from codexapi_engine.protocol import JsonObject, responses, sse
from codexapi_engine.protocol.sse import Event

# The fields that a public response has, by the Open Responses schema.
COMPLETE = {
    "id", "object", "created_at", "completed_at", "status", "incomplete_details", "model",
    "previous_response_id", "instructions", "output", "error", "tools", "tool_choice", "truncation",
    "parallel_tool_calls", "text", "top_p", "presence_penalty", "frequency_penalty", "top_logprobs",
    "temperature", "reasoning", "usage", "max_output_tokens", "max_tool_calls", "store", "background",
    "service_tier", "metadata", "safety_identifier", "prompt_cache_key",
}  # fmt: skip
ENDED_WELL = [
    name
    for name in NAMES
    if events(wire(name))[-1].type in ("response.completed", "response.incomplete", "response.done")
]
UNOFFICIAL = {
    *NOT_OF_THE_CLIENT,
    "compaction",  # no created_by, no sequence numbers
    "image_generation",  # a tool_usage without web_search
    "web_search", "deltas_without_their_item",  # an item that is added without its action
    "response_done_alias", "lean", "minimal_for_codex_exec",  # not the public stream's shape
}  # fmt: skip
"""Wires that the official client's types refuse as they are, and which we do not mend."""


def folded(name: str) -> JsonObject:
    assembler = responses.Assembler()
    for event in events(wire(name)):
        assembler.feed(event)
    return assembler.finish()


def step(kind: str, **data: Any) -> Event:
    return Event(sse.encode({"type": kind, **data}, kind).strip())


"""Ignored, and echoed all the same: they change no answer."""


def done(item: JsonObject) -> Event:
    return step("response.output_item.done", output_index=0, item=item)
