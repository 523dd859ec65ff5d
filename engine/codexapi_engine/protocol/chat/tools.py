"""Translates tools and the tool choice from the chat form to the Responses form."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ...errors import InvalidRequest, JsonObject, missing
from ..responses.ids import legal_name
from ..responses.tools import check_name, translate_choice, translate_tool
from ..shapes import get_list
from .fields import require_field, without_nulls
from .schema import ChatRequest


def translate_tools(request: ChatRequest) -> list[JsonObject]:
    tools = [tool_of(tool, f"tools[{n}]") for n, tool in enumerate(request.tools or ())]
    for n, function in enumerate(request.functions or ()):
        tools.append(_function_tool(function, f"functions[{n}]"))
    if request.web_search_options is not None:
        tools.append(_web_search(request.web_search_options))
    return tools


def tool_of(tool: JsonObject, path: str) -> JsonObject:
    kind = tool.get("type")
    if kind == "function":
        if isinstance(tool.get("function"), dict):
            return _function_tool(tool["function"], f"{path}.function")
        return _function_tool(tool, path)  # flat, in the Responses form
    if kind == "custom" and isinstance(tool.get("custom"), dict):
        return _custom_tool(tool["custom"], f"{path}.custom")
    if not isinstance(kind, str):
        raise missing(f"{path}.type")
    if kind == "namespace":
        inside = enumerate(get_list(tool, "tools"))
        tool = {**tool, "tools": [tool_of(one, f"{path}.tools[{n}]") for n, one in inside]}
    # A hosted tool in the Responses form: beyond the official API, and useful.
    return translate_tool(tool, path)


def _function_tool(function: JsonObject, path: str) -> JsonObject:
    made: JsonObject = {"type": "function", "name": _tool_name(function, path)}
    if (description := function.get("description")) is not None:
        made["description"] = description
    made.update(without_nulls(parameters=function.get("parameters")))
    # Left out, chat means not strict and Responses means strict: always say it.
    made["strict"] = bool(function.get("strict"))
    return made


def _custom_tool(custom: JsonObject, path: str) -> JsonObject:
    form = custom.get("format")
    if isinstance(form, dict) and isinstance(form.get("grammar"), dict):
        form = {"type": "grammar", **form["grammar"]}
    return {
        "type": "custom",
        "name": _tool_name(custom, path),
        **without_nulls(description=custom.get("description"), format=form),
    }


def _tool_name(holder: JsonObject, path: str) -> str:
    name = require_field(holder, "name", path)
    check_name(name, f"{path}.name")
    return name


def _web_search(options: JsonObject) -> JsonObject:
    place = options.get("user_location")
    if isinstance(place, dict) and isinstance(place.get("approximate"), dict):
        place = {"type": "approximate", **place["approximate"]}
    size = options.get("search_context_size")
    return {"type": "web_search", **without_nulls(search_context_size=size, user_location=place)}


def tool_choice_of(request: ChatRequest) -> Any:
    if request.functions is not None:
        choice = request.function_call
        if isinstance(choice, dict):
            return {"type": "function", "name": require_field(choice, "name", "function_call")}
        return choice
    choice = request.tool_choice
    if isinstance(choice, str):
        if choice not in ("none", "auto", "required"):
            raise InvalidRequest(
                f"Invalid value: '{choice}'. Supported values are: 'none', 'auto', and 'required'.",
                code="invalid_value",
                param="tool_choice",
            )
        return choice
    if not isinstance(choice, dict):
        return None
    flat = choice_of(choice)
    if flat.get("type") in ("function", "custom"):
        _check_choice(request, flat)
    return flat


def choice_of(choice: JsonObject) -> JsonObject:
    """A `tool_choice` that is an object, flat: those of the Responses form are already."""
    kind = choice.get("type")
    if kind in ("function", "custom"):
        flat = _flat(choice)
        return {**flat, "name": require_field(flat, "name", f"tool_choice.{kind}")}
    allowed = choice.get("allowed_tools")
    if kind == "allowed_tools" and isinstance(allowed, dict):
        tools = [_flat(tool) for tool in get_list(allowed, "tools")]
        choice = {"type": kind, "mode": allowed.get("mode", "auto"), "tools": tools}
        return translate_choice(choice, "tool_choice.allowed_tools")
    return translate_choice(choice)


def _check_choice(request: ChatRequest, choice: JsonObject) -> None:
    name = legal_name(choice["name"])
    if name not in _tool_names(request.tools or []):
        raise InvalidRequest(
            f"Invalid value for 'tool_choice': the tool '{choice['name']}' is not among 'tools'.",
            code="invalid_value",
            param="tool_choice",
        )


def _tool_names(tools: Iterable[JsonObject]) -> Iterator[Any]:
    """What a choice can name, inside namespaces too."""
    for tool in tools:
        yield _flat(tool).get("name")
        yield from _tool_names(get_list(tool, "tools"))


def _flat(tool: JsonObject) -> JsonObject:
    """`{type, function: {name}}` as `{type, name}`."""
    kind = tool.get("type")
    body = tool.get(kind) if isinstance(kind, str) else None
    if not isinstance(body, dict):
        return tool
    return {
        "type": kind,
        "name": body.get("name"),
        **without_nulls(namespace=body.get("namespace")),
    }
