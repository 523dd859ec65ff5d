"""A field of the request that the backend saw, by the name that the caller gave it.

The backend's refusals name fields of the Responses dialect (`input`, `text.format.schema`), and so
do those of ours that are found behind the translation.
"""

from __future__ import annotations

import re

_WHOLE = {
    "instructions": "messages",
    "max_output_tokens": "max_completion_tokens",
    "reasoning": "reasoning_effort",
    "reasoning.effort": "reasoning_effort",
    "reasoning.summary": "reasoning_summary",
    "text": "response_format",
    "text.verbosity": "verbosity",
    "text.format": "response_format",
    "text.format.type": "response_format.type",
}
_FORMAT = "text.format."
_TOOL = re.compile(r"tools\[\d+\]")
_OF_A_FUNCTION = ("name", "description", "parameters", "strict")


def chat_param(param: str | None) -> str | None:
    """In Chat Completions. A name that is one of Chat's already stays as it is."""
    if param is None:
        return None
    if _is_in(param, "input"):
        return "messages"  # a message may be several items, and their indexes differ
    if param.startswith(_FORMAT) and param not in _WHOLE:
        return f"response_format.json_schema.{param.removeprefix(_FORMAT)}"
    if match := _TOOL.match(param):
        return match[0] + _of_function(param[match.end() :])
    if param == "tool_choice.name":
        return "tool_choice.function.name"
    if _is_in(param, "tool_choice.tools"):
        return param.replace("tool_choice.tools", "tool_choice.allowed_tools.tools", 1)
    return _WHOLE.get(param, param)


def completions_param(param: str | None) -> str | None:
    """In Completions."""
    if param is None:
        return None
    if _is_in(param, "input") or param == "instructions":
        return "prompt"
    return "max_tokens" if param == "max_output_tokens" else param


def _is_in(param: str, field: str) -> bool:
    return param == field or param.startswith((f"{field}.", f"{field}["))


def _of_function(rest: str) -> str:
    return f".function{rest}" if any(_is_in(rest[1:], name) for name in _OF_A_FUNCTION) else rest
