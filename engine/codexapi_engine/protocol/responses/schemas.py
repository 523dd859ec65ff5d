"""Adds the keywords that the backend requires to the JSON Schemas of functions and answers.

It refuses an object without `properties` and an array without `items` (`object schema missing
properties`, `array schema missing items`), at any depth, and with it the whole request: clients
report that one tool of one MCP server, which takes no arguments, ends every conversation. Both
keywords mean nothing when they are empty, so the meaning of the schema stays.

A schema that is complete is returned as it is, and none is changed in place.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ...errors import JsonObject

_ONE = frozenset(
    {
        "additionalItems", "additionalProperties", "contains", "contentSchema", "else", "if",
        "items", "not", "propertyNames", "then", "unevaluatedItems", "unevaluatedProperties",
    }
)  # fmt: skip
_SEVERAL = frozenset({"allOf", "anyOf", "oneOf", "prefixItems", "items"})
_BY_NAME = frozenset(
    {"$defs", "definitions", "dependencies", "dependentSchemas", "patternProperties", "properties"}
)
"""The keywords that hold a schema, a list of them, or one for each name. All others hold values,
such as `enum` and `default`, which only look like schemas."""

_INSISTS_ON = (("object", "properties"), ("array", "items"))


def complete(schema: Any) -> Any:
    """The schema, with `properties` and `items` wherever the backend requires them."""
    if not isinstance(schema, dict):
        return schema
    changes: JsonObject = {}
    for keyword, value in schema.items():
        # Most values are strings: a request has some hundred of them.
        if isinstance(value, dict | list):
            inside = _complete_inside(keyword, value)
            if inside is not value:
                changes[keyword] = inside
    types = schema.get("type")
    for kind, keyword in _INSISTS_ON:
        if (types == kind or (isinstance(types, list) and kind in types)) and (
            schema.get(keyword) is None
        ):
            changes[keyword] = {}
    return {**schema, **changes} if changes else schema


def complete_parameters(schema: Any) -> Any:
    """The same for what a function takes, which is always an object."""
    schema = schema or {}
    if isinstance(schema, dict) and schema.get("type") is None:
        schema = {**schema, "type": "object"}
    return complete(schema)


def complete_tools(tools: Iterable[Any]) -> list[Any]:
    """Tools with complete schemas, inside namespaces too."""
    return [_complete_tool(tool) if isinstance(tool, dict) else tool for tool in tools]


def _complete_tool(tool: JsonObject) -> JsonObject:
    changes: JsonObject = {}
    if tool.get("type") == "function":
        changes["parameters"] = complete_parameters(tool.get("parameters"))
    elif isinstance(tool.get("parameters"), dict):
        changes["parameters"] = complete(tool["parameters"])
    if isinstance(tool.get("tools"), list):
        changes["tools"] = complete_tools(tool["tools"])
    return {**tool, **changes}


def _complete_inside(keyword: str, value: JsonObject | list[Any]) -> Any:
    if isinstance(value, list):
        if keyword not in _SEVERAL:
            return value
        several = [complete(schema) for schema in value]
        same = all(new is old for new, old in zip(several, value, strict=True))
        return value if same else several
    if keyword in _BY_NAME:
        by_name = {name: complete(schema) for name, schema in value.items()}
        same = all(by_name[name] is value[name] for name in value)
        return value if same else by_name
    return complete(value) if keyword in _ONE else value
