"""A field of the request that the backend saw, by the name that it has in a Messages request."""

from __future__ import annotations

from ...errors import JsonObject
from .fields import dotted

_NAMES = {
    "instructions": "system",
    "input": "messages",
    "max_output_tokens": "max_tokens",
    "reasoning": "output_config.effort",
    "reasoning.effort": "output_config.effort",
    "reasoning_effort": "output_config.effort",
    "reasoning.summary": "thinking.display",
    "service_tier": "speed",
    "text.format": "output_config.format",
    "text.format.schema": "output_config.format.schema",
    "parallel_tool_calls": "tool_choice.disable_parallel_tool_use",
}


def messages_param(param: str | None, body: JsonObject) -> str | None:
    """What is found nowhere in `body` keeps its name."""
    if param is None:
        return None
    path = dotted(param)
    if path.startswith("input."):
        return "messages"  # a message may be several items, and their indexes differ
    if path.startswith("tools."):
        return path.replace(".parameters", ".input_schema", 1)
    return _NAMES.get(path, path)
