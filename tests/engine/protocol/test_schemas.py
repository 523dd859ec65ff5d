"""Schemas with what the backend insists on, wherever in a request they stand."""

from __future__ import annotations

import copy

import pytest
from tests.engine.protocol.dialects import DIALECTS, HI

from codexapi_engine.protocol import JsonObject
from codexapi_engine.protocol.responses import to_backend
from codexapi_engine.protocol.responses.schemas import complete, complete_parameters

EMPTY: JsonObject = {"type": "object", "properties": {}}
every_dialect = pytest.mark.parametrize("dialect", DIALECTS)

SCHEMAS: list[tuple[JsonObject, JsonObject]] = [
    ({"type": "object"}, EMPTY),
    ({"type": "object", "properties": None}, EMPTY),
    ({"type": ["object", "null"]}, {"type": ["object", "null"], "properties": {}}),
    ({"type": "array"}, {"type": "array", "items": {}}),
    ({"type": ["array", "string"]}, {"type": ["array", "string"], "items": {}}),
    (
        {"type": "array", "prefixItems": [{"type": "object"}]},
        {"type": "array", "prefixItems": [EMPTY], "items": {}},
    ),
    ({"type": "array", "items": {"type": "object"}}, {"type": "array", "items": EMPTY}),
    ({"type": "array", "items": [{"type": "object"}]}, {"type": "array", "items": [EMPTY]}),
    ({"properties": {"meta": {"type": "object"}}}, {"properties": {"meta": EMPTY}}),
    ({"anyOf": [{"type": "object"}, {"type": "null"}]}, {"anyOf": [EMPTY, {"type": "null"}]}),
    ({"$defs": {"a": {"type": "object"}}}, {"$defs": {"a": EMPTY}}),
    ({"definitions": {"a": {"type": "array"}}}, {"definitions": {"a": {"type": "array", "items": {}}}}),
    ({"additionalProperties": {"type": "object"}}, {"additionalProperties": EMPTY}),
    ({"not": {"type": "object"}}, {"not": EMPTY}),
    # Properties that are called like keywords.
    (
        {"properties": {"type": {"type": "object"}, "items": {"type": "array"}}},
        {"properties": {"type": EMPTY, "items": {"type": "array", "items": {}}}},
    ),
    ({"properties": {"enum": {"type": "object"}}}, {"properties": {"enum": EMPTY}}),
]  # fmt: skip
LEFT = [
    {"type": "string", "enum": [{"type": "object"}]},
    {"const": {"type": "array"}},
    {"default": {"type": "object"}, "examples": [{"type": "array"}]},
    {"type": "object", "properties": {"type": {"type": "string"}}, "required": ["type"]},
    {"type": "array", "items": True},
    {"additionalProperties": False},
    {"$ref": "#/$defs/a"},
    {"x-vendor": {"type": "object"}},
]


@pytest.mark.parametrize(("schema", "expected"), SCHEMAS)
def test_an_object_has_properties_and_an_array_items_at_any_depth(
    schema: JsonObject, expected: JsonObject
) -> None:
    before = copy.deepcopy(schema)
    assert complete(schema) == expected
    assert schema == before
    assert complete(complete(schema)) == expected


@pytest.mark.parametrize("schema", LEFT)
def test_a_complete_schema_is_left_as_it_is(schema: JsonObject) -> None:
    assert complete(schema) is schema


@pytest.mark.parametrize("schema", [None, {}, {"type": None}, {"type": "object"}])
def test_a_function_takes_an_object(schema: JsonObject | None) -> None:
    assert complete_parameters(schema) == EMPTY


def test_what_is_no_schema_is_for_the_backend_to_refuse() -> None:
    assert complete_parameters("x") == "x"
    assert complete(True) is True


def function(dialect: str, **more: object) -> JsonObject:
    if dialect == "chat":
        return {"type": "function", "function": {"name": "f", **more}}
    return {"type": "function", "name": "f", **more}


@every_dialect
@pytest.mark.parametrize(
    "given", [{}, {"parameters": None}, {"parameters": {}}, {"parameters": {"type": "object"}}]
)
def test_a_tool_without_arguments_is_complete(dialect: str, given: JsonObject) -> None:
    (tool,) = DIALECTS[dialect](tools=[function(dialect, **given)])["tools"]
    assert tool["parameters"] == EMPTY


@every_dialect
def test_the_tools_of_a_namespace_are_complete(dialect: str) -> None:
    space = {"type": "namespace", "name": "srv", "tools": [function(dialect)]}
    (tool,) = DIALECTS[dialect](tools=[space])["tools"]
    assert [inside["parameters"] for inside in tool["tools"]] == [EMPTY]


@pytest.mark.parametrize("dialect", ["responses", "mixed"])
@pytest.mark.parametrize("kind", ["additional_tools", "tool_search_output"])
def test_tools_that_come_as_input_are_complete(dialect: str, kind: str) -> None:
    item = {"type": kind, "tools": [function(dialect, parameters={"type": "object"})]}
    body = DIALECTS[dialect](input=[HI, item])
    assert body["input"][1]["tools"][0]["parameters"] == EMPTY


def test_the_form_of_an_answer_is_complete_and_as_strict_as_before() -> None:
    form = {
        "type": "json_schema", "name": "n", "strict": True,
        "schema": {"type": "object", "properties": {"a": {"type": "array"}}},
    }  # fmt: skip
    body = {"model": "m", "input": [HI], "text": {"format": form, "verbosity": "low"}}
    before = copy.deepcopy(body)
    sent = to_backend(body)["text"]
    assert sent["verbosity"] == "low"
    assert sent["format"]["strict"] is True
    assert "additionalProperties" not in sent["format"]["schema"]
    assert sent["format"]["schema"]["properties"] == {"a": {"type": "array", "items": {}}}
    assert body == before
