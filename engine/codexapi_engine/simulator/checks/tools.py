"""Rules of the tools: their types, names and schemas, and the tool choice."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ...errors import JsonObject
from ..model_request import Tool, tools
from ..refusals import Refused, detail, error
from .items import LONGEST_NAME
from .submission import Submission, invalid, missing, no_match, too_long

TOOLS = ("function", "custom", "namespace", "tool_search", "web_search", "image_generation")
HOSTED = TOOLS[4:]

_SEARCH = re.compile(r"web_search_.+")
_NAME = re.compile(r"[a-zA-Z0-9_-]+")
_NO_SCHEMA = ("enum", "const", "default", "examples")
_Context = tuple[str, ...]


def check_search_names(submission: Submission) -> None:
    for _, tool in submission.all_tools():
        if _SEARCH.fullmatch(str(tool.get("type"))):
            raise detail(f"Unsupported tool type: {tool['type']}")


def check_types(submission: Submission) -> None:
    for _, tool in submission.all_tools():
        kind = str(tool.get("type"))
        if kind not in TOOLS and not _SEARCH.fullmatch(kind):
            raise detail(f"Unsupported tool type: {kind}")  # ours


def check_names(submission: Submission) -> None:
    for path, tool in _client_tools(submission):
        if tool.get("name") is None:
            raise missing(f"{path}.name")
        if not _NAME.fullmatch(str(tool["name"])):
            raise no_match(f"{path}.name")


def check_name_length(submission: Submission) -> None:
    for path, tool in _client_tools(submission):
        if len(name := str(tool.get("name") or "")) > LONGEST_NAME:
            raise too_long(f"{path}.name", name, LONGEST_NAME)


def check_schema_type(submission: Submission) -> None:
    for path, tool in _functions(submission):
        schema = tool.get("parameters")
        if schema is not None and schema.get("type") != "object":
            kind = schema.get("type")
            raise error(
                f"Invalid schema for function '{tool.get('name')}': schema must be a JSON Schema "
                f"of 'type: \"object\"', got 'type: \"{kind}\"'.",
                param=f"{path}.parameters",
                code="invalid_function_parameters",
            )


def check_properties(submission: Submission) -> None:
    for path, tool in _functions(submission):
        schema = tool.get("parameters") or {}
        if _is(schema, "object") and "properties" not in schema:
            raise _unfit(path, tool, (), "object schema missing properties.")


def check_inner_properties(submission: Submission) -> None:
    for path, tool in _functions(submission):
        for context, schema in _schemas(tool.get("parameters"), ()):
            if context and _is(schema, "object") and "properties" not in schema:
                raise _unfit(path, tool, context, "object schema missing properties.")


def check_array_items(submission: Submission) -> None:
    for path, tool in _functions(submission):
        for context, schema in _schemas(tool.get("parameters"), ()):
            if _is(schema, "array") and not {"items", "prefixItems"} & set(schema):
                raise _unfit(path, tool, context, "array schema missing items.")


def check_strict_tools(submission: Submission) -> None:
    for path, tool in _functions(submission):
        if tool.get("strict") is True and (problem := _not_strict(tool.get("parameters"))):
            raise _unfit(path, tool, *problem)


def check_strict_format(submission: Submission) -> None:
    form = (submission.body.get("text") or {}).get("format") or {}
    if form.get("strict") is True and (problem := _not_strict(form.get("schema"))):
        context, what = problem
        raise error(
            f"Invalid schema for response_format '{form.get('name')}': In context={context!r}, "
            f"{what}",
            param="text.format.schema",
            code="invalid_json_schema",
        )


def check_image_tool(submission: Submission) -> None:
    for path, tool in submission.all_tools():
        if tool.get("type") != "image_generation":
            continue
        if tool.get("partial_images") not in (None, 0, 1, 2, 3):
            allowed = ("0", "1", "2", "3")
            raise invalid(f"{path}.partial_images", tool["partial_images"], allowed)
        if "n" in tool:
            message = f"Unknown parameter: '{path}.n'."
            raise error(message, param=f"{path}.n", code="unknown_parameter")
        if tool.get("background") == "transparent":
            raise error(  # ours
                "Transparent background is not supported for this model.",
                param=f"{path}.background",
                code="invalid_value",
            )


def check_choice(submission: Submission) -> None:
    choice = submission.body.get("tool_choice")
    if isinstance(choice, dict) and choice.get("type") != "allowed_tools":
        _check_known(choice, submission.body)


def check_allowed(submission: Submission) -> None:
    choice = submission.body.get("tool_choice")
    if isinstance(choice, dict) and choice.get("type") == "allowed_tools":
        for wanted in choice.get("tools") or []:
            _check_known(wanted, submission.body)


def _check_known(wanted: JsonObject, body: JsonObject) -> None:
    if not any(_fits(tool, wanted) for tool in tools(body, lite=True)):
        name = wanted.get("name") or wanted.get("type")
        raise error(f"Tool choice '{name}' not found in 'tools' parameter.", param="tool_choice")


def _fits(tool: Tool, wanted: JsonObject) -> bool:
    """A tool of the client is chosen by its name, a hosted one by its type."""
    if wanted.get("type") in ("function", "custom"):
        return (tool.kind, tool.name) == (wanted["type"], wanted.get("name"))
    return tool.kind == wanted.get("type")


def _client_tools(submission: Submission) -> Iterator[tuple[str, JsonObject]]:
    for path, tool in submission.all_tools():
        if tool.get("type") in ("function", "custom"):
            yield path, tool


def _functions(submission: Submission) -> Iterator[tuple[str, JsonObject]]:
    for path, tool in submission.all_tools():
        if tool.get("type") == "function":
            yield path, tool


def _schemas(schema: object, context: _Context) -> Iterator[tuple[_Context, JsonObject]]:
    """Each object of a schema with its place, from the outside in."""
    if isinstance(schema, list):
        for part in schema:
            yield from _schemas(part, context)
    if isinstance(schema, dict):
        yield context, schema
        for key, part in schema.items():
            if key not in _NO_SCHEMA:
                yield from _schemas(part, (*context, str(key)))


def _is(schema: JsonObject, kind: str) -> bool:
    kinds = schema.get("type")
    return kinds == kind or (isinstance(kinds, list) and kind in kinds)


def _not_strict(schema: object) -> tuple[_Context, str] | None:
    """Where a schema is not a strict one, and what it lacks."""
    for context, part in _schemas(schema, ()):
        if not _is(part, "object"):
            continue
        if part.get("additionalProperties") is not False:
            return context, "'additionalProperties' is required to be supplied and to be false."
        properties, required = part.get("properties"), part.get("required")
        for name in properties if isinstance(properties, dict) else ():
            if not isinstance(required, list) or name not in required:
                return context, (
                    "'required' is required to be supplied and to be an array including every "
                    f"key in properties. Missing '{name}'."
                )
    return None


def _unfit(path: str, tool: JsonObject, context: _Context, what: str) -> Refused:
    return error(
        f"Invalid schema for function '{tool.get('name')}': In context={context!r}, {what}",
        param=f"{path}.parameters",
        code="invalid_function_parameters",
    )
