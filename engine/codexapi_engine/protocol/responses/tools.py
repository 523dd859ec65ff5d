"""Translates tools and references to them into the backend's form, for Responses and Chat alike."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from ...bounds import MAX_TOOL_NAME
from ...errors import InvalidRequest, JsonObject
from ..images import data_urls
from ..shapes import get_dict, get_str
from .ids import is_name

_NOT_AVAILABLE = frozenset(
    {"file_search", "code_interpreter", "computer", "computer_use_preview", "mcp"}
)
_WEB_SEARCH = re.compile(r"web_search(?:_preview)?(?:_\d{4}_\d{2}_\d{2})?")
"""The backend knows `web_search`. SDKs also have its older names and those with a date."""


def translate_tools(tools: Sequence[Any], path: str) -> list[Any]:
    """Raises InvalidRequest for a tool that the backend lacks, naming it."""
    return [
        translate_tool(tool, f"{path}[{index}]") if isinstance(tool, dict) else tool
        for index, tool in enumerate(tools)
    ]


def translate_tool(tool: JsonObject, path: str) -> JsonObject:
    """A tool in the Responses form."""
    kind = get_str(tool, "type")
    if kind in ("function", "custom") and isinstance(tool.get("name"), str):
        check_name(tool["name"], f"{path}.name")
    if kind == "namespace" and isinstance(tool.get("tools"), list):
        tool = {**tool, "tools": translate_tools(tool["tools"], f"{path}.tools")}
    if mask := get_str(get_dict(tool, "input_image_mask"), "image_url"):
        url = data_urls.picture(mask, f"{path}.input_image_mask.image_url")
        tool = {**tool, "input_image_mask": {**tool["input_image_mask"], "image_url": url}}
    return _with_backend_type(tool, path)


def translate_choice(choice: JsonObject, path: str = "tool_choice") -> JsonObject:
    """A `tool_choice` that is an object, in the Responses form: it names a tool as `tools` do."""
    tools = choice.get("tools")
    if isinstance(tools, list):
        entries = [
            _with_backend_type(tool, f"{path}.tools[{index}]") if isinstance(tool, dict) else tool
            for index, tool in enumerate(tools)
        ]
        choice = {**choice, "tools": entries}
    return _with_backend_type(choice, path)


def check_name(name: str, path: str) -> None:
    """Raises InvalidRequest for a name that no tool can have, at OpenAI neither."""
    if not is_name(name):
        raise InvalidRequest(
            f"Invalid '{path}': expected up to {MAX_TOOL_NAME} letters, digits, '_' or '-'.",
            code="invalid_value",
            param=path,
        )


def _with_backend_type(holder: JsonObject, path: str) -> JsonObject:
    kind = get_str(holder, "type")
    if kind in _NOT_AVAILABLE:
        raise InvalidRequest(
            f"The tool type '{kind}' is not available on the Codex backend.",
            code="unsupported_value",
            param=f"{path}.type",
        )
    if kind != "web_search" and _WEB_SEARCH.fullmatch(kind):
        return {**holder, "type": "web_search"}
    return holder
