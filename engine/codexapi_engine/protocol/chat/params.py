"""Maps the parameter that an error names to the field of the caller's chat request.

The backend's refusals name fields of the Responses dialect (`input`, `text.format.schema`), and so
do our own that are raised behind the translation.
"""

from __future__ import annotations

import re

from ...errors import JsonObject
from ..shapes import get_dict, get_list, get_str

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
_FIRST = re.compile(r"[.\[]")
_TOOL = re.compile(r"(\.?)tools\[(\d+)\]")
_OF_A_TOOL = ("name", "description", "parameters", "strict", "format")


def chat_param(param: str | None, body: JsonObject) -> str | None:
    """In Chat Completions. What `body` has under the backend's name keeps it, and so does a name
    that is one of Chat's already."""
    if param is None:
        return None
    if match := _TOOL.match(param):
        return _tool_param(match, param[match.end() :], body)
    if _is_in(param, "tool_choice"):
        return _choice_param(param, body)
    if _is_named_so(param, body):
        return param
    if _is_in(param, "input"):
        return "messages"  # a message may be several items, and their indexes differ
    if param.startswith(_FORMAT) and param not in _WHOLE:
        return f"response_format.json_schema.{param.removeprefix(_FORMAT)}"
    return _WHOLE.get(param, param)


def completions_param(param: str | None, body: JsonObject) -> str | None:
    """In Completions, likewise."""
    if param is None or _is_named_so(param, body):
        return param
    if _is_in(param, "input") or param == "instructions":
        return "prompt"
    return "max_tokens" if param == "max_output_tokens" else param


def _is_named_so(param: str, body: JsonObject) -> bool:
    return _FIRST.split(param)[0] in body


def _is_in(param: str, field: str) -> bool:
    return param == field or param.startswith((f"{field}.", f"{field}["))


def _tool_param(match: re.Match[str], rest: str, holder: JsonObject) -> str:
    """The backend's tools are flat, and in their list the legacy functions come last."""
    tools, functions, index = (
        get_list(holder, "tools"),
        get_list(holder, "functions"),
        int(match[2]),
    )
    if 0 <= index - len(tools) < len(functions):
        return f"{match[1]}functions[{index - len(tools)}]{rest}"
    tool = tools[index] if index < len(tools) else {}
    if inside := _TOOL.match(rest):
        return match[0] + _tool_param(inside, rest[inside.end() :], tool)
    kind = get_str(tool, "type")
    nested = get_dict(tool, kind) and any(_is_in(rest[1:], name) for name in _OF_A_TOOL)
    return f"{match[0]}.{kind}{rest}" if nested else match[0] + rest


def _choice_param(param: str, body: JsonObject) -> str:
    choice = get_dict(body, "tool_choice")
    kind, (head, dot, rest) = get_str(choice, "type"), param.partition(".")
    if "tool_choice" not in body and "function_call" in body:
        head = "function_call"
    elif _is_in(rest, "name") or _is_in(rest, "tools"):
        head = f"{head}.{kind}" if get_dict(choice, kind) else head
    return head + dot + rest
