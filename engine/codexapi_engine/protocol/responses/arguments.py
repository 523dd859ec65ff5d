"""The input of a finished tool call, as the JSON object that most dialects need."""

from __future__ import annotations

from ...errors import BackendError, JsonObject
from .. import json
from ..shapes import get_str

CALLS = {"function_call": "arguments", "custom_tool_call": "input"}
"""The items that are calls, and the field of their input."""


def arguments_of(item: JsonObject) -> JsonObject:
    """The arguments of a call; a custom tool has one, `input`.

    Raises BackendError where they are no object: clients end, or run the tool with half of its
    input.
    """
    text = get_str(item, CALLS[item["type"]])
    if item["type"] == "custom_tool_call":
        return {"input": text}
    if not text:
        return {}
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise BackendError(
            f"the model called '{get_str(item, 'name')[:60]}' with arguments that are no JSON object",
            code="upstream_error",
        )
    return value
