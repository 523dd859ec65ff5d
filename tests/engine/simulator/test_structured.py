"""JSON that satisfies a schema, and tools that must be called."""

from __future__ import annotations

import json

import pytest
from tests.engine.simulator.exchanges import PIXEL, JsonObject, ask, function, of_object, user

from codexapi_engine.simulator import Simulator
from codexapi_engine.simulator.prose import people, places, wanted
from codexapi_engine.simulator.schema import example, strict

TREE = {
    "$ref": "#/$defs/node",
    "$defs": {
        "node": {
            "type": "object",
            "properties": {
                "value": {"type": "integer"},
                "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
                "children": {"type": "array", "items": {"$ref": "#/$defs/node"}},
            },
            "required": ["value", "next", "children"],
        }
    },
}


@pytest.mark.parametrize(
    ("schema", "prompt", "value"),
    [
        ({"type": "string"}, "", "simulated text"),
        ({"type": "string", "minLength": 20}, "", "simulated text......"),
        ({"type": "string", "maxLength": 3}, "", "sim"),
        ({"type": "string", "format": "date"}, "", "2026-01-02"),
        ({"type": "string", "format": "email"}, "", "simulated@example.com"),
        ({"type": "string", "format": "uuid"}, "", "5eed5eed-0000-4000-8000-000000000000"),
        ({"type": "integer"}, "I have 3 cats", 3),
        ({"type": "integer", "minimum": 5, "maximum": 9}, "I have 3 cats", 5),
        ({"type": "integer", "exclusiveMinimum": 5}, "", 6),
        ({"type": "integer", "maximum": -2}, "", -2),
        ({"type": "integer", "multipleOf": 5, "minimum": 7}, "", 10),
        ({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}, "", 0.5),
        ({"type": "number"}, "pi is 3.14", 3.14),
        ({"type": "boolean"}, "", True),
        ({"type": "null"}, "", None),
        ({"type": ["null", "boolean"]}, "", True),
        ({"const": 7}, "", 7),
        ({"enum": ["red", "blue"]}, "", "red"),
        ({"enum": ["red", "blue"]}, "Something Blue", "blue"),
        ({"anyOf": [{"type": "null"}, {"type": "integer"}]}, "", 1),
        ({"oneOf": [{"const": 1}, {"const": 2}]}, "", 1),
        ({"type": "array", "items": {"type": "integer"}}, "", [1]),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 3}, "7 8", [7, 8, 1]),
        ({"type": "array", "items": {"type": "integer"}, "maxItems": 0}, "", []),
        (
            {"type": "array", "items": {"type": "string"}, "minItems": 2, "uniqueItems": True},
            "",
            ["simulated text 1", "simulated text 2"],
        ),
        ({"type": "array", "items": {"type": "string"}}, "", ["simulated text"] * 4),
        ({"type": "array", "prefixItems": [{"const": 1}, {"const": 2}]}, "", [1, 2]),
        ({"properties": {"a": {"const": 1}}}, "", {"a": 1}),
        (
            {"allOf": [{"properties": {"a": {"const": 1}}}, {"properties": {"b": {"const": 2}}}]},
            "",
            {"a": 1, "b": 2},
        ),
        (
            {"properties": {"name": {"type": "string"}, "age": {"type": "integer"}}},
            "name: Ada Lovelace, age: 36",
            {"name": "Ada Lovelace", "age": 36},
        ),
        (
            {"properties": {"name": {"type": "string"}, "age": {"type": "integer"}}},
            "Extract this: John is 25 years old.",
            {"name": "John", "age": 25},
        ),
        (
            {"properties": {"name": {"type": "string"}}},
            "Alice and Bob are going to a fair.",
            {"name": "Alice"},
        ),
        ({"properties": {"city": {"type": "string"}}}, "Rain in Oslo", {"city": "Oslo"}),
        ({"properties": {"s": {"type": "string", "description": "Two words"}}}, "", {"s": "simulated s: Two words"}),
        ({"properties": {"nickname": {"type": "string"}}}, "Someone called 'Ада'.", {"nickname": "Ада"}),
        ({"properties": {"expression": {"type": "string"}}}, "What is 2+2? Hm.", {"expression": "2+2"}),
        (
            {"properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}},
            "multiply 6 by 7",
            {"a": 6, "b": 7},
        ),
    ],
)  # fmt: skip
def test_json_satisfies_its_schema(schema: JsonObject, prompt: str, value: object) -> None:
    assert example(schema, prompt) == value


def test_a_schema_that_refers_to_itself_ends() -> None:
    value = example(TREE)
    depth = 0
    while isinstance(value, dict) and value["next"] is not None:
        assert set(value) == {"value", "next", "children"}
        value, depth = value["next"], depth + 1
    assert 0 < depth < 12


@pytest.mark.parametrize(
    ("prompt", "named"),
    [
        ("in Paris and Rome", ["Paris", "Rome"]),
        ("in Paris, France", ["Paris, France"]),
        ("nowhere", []),
        ("weather for New York, Oslo, and Rio de Janeiro", ["New York", "Oslo", "Rio"]),
    ],
)
def test_places_of_a_prompt(prompt: str, named: list[str]) -> None:
    assert places(prompt) == named


@pytest.mark.parametrize(
    ("prompt", "named"),
    [
        ("Extract: Ada is 36, Bob is 25 and Cy is 7", [("Ada", "36"), ("Bob", "25"), ("Cy", "7")]),
        ("Make 2 users: Ada (36), Bob (25)", [("Ada", "36"), ("Bob", "25")]),
        ("A user: Ada Lovelace, age 36", [("Ada Lovelace", "36")]),
        ("Extract ada is 36 years old", [("ada", "36")]),
        ("Bob Roe, 28 years old, at 5 Main St", [("Bob Roe", "28")]),
        ("Nobody is here", []),
    ],
)
def test_people_of_a_prompt(prompt: str, named: list[tuple[str, str]]) -> None:
    assert people(prompt) == named
    schema = {"items": {"properties": {"name": {"type": "string"}, "age": {"type": "string"}}}}
    if len(named) > 1:
        assert example(schema, prompt) == [{"name": name, "age": age} for name, age in named]


@pytest.mark.parametrize(
    ("prompt", "count"),
    [("Generate three fake profiles", 3), ("4 users", 4), ("25 years, 3 years", 1), ("a list", 1)],
)
def test_as_many_are_made_as_are_asked_for(prompt: str, count: int) -> None:
    assert wanted(prompt) == count
    schema = {"properties": {"all": {"items": {"properties": {"a": {"const": 1}}}}}}
    assert example(schema, prompt) == {"all": [{"a": 1}] * count}


async def test_a_picture_is_described_unless_a_tool_is_named() -> None:
    image, tool = {"type": "input_image", "image_url": PIXEL}, function("view_note")
    tool["description"] = "Looks at a note"
    assert (await ask(input=[user("Who looks?", image)], tools=[tool])).calls == []
    assert (await ask(input=[user("Who looks?")], tools=[tool])).calls != []
    assert (await ask(input=[user("My note", image)], tools=[tool])).calls != []


async def test_orders_are_obeyed() -> None:
    rule = {"role": "developer", "content": "If you see an image, reply with 'A cat' only."}
    image = {"type": "input_image", "image_url": PIXEL}
    assert (await ask("Say the word `yes`.")).text == "yes"
    assert (await ask(input=[rule, user("What?", image)])).text == "A cat"
    assert (await ask(input=[rule, user("What?")])).text != "A cat"


async def test_a_demanded_tool_is_called_after_outputs_too_and_hears_them() -> None:
    simulator, choice = Simulator(), {"type": "function", "name": "save"}
    person = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
    tools = [function("save", parameters=person)]
    first = await ask("Ada is 36", by=simulator, tools=tools, tool_choice=choice)
    call = {"call_id": first.items[-1]["call_id"], "output": "Names must be in uppercase"}
    said = [user("Ada is 36"), *first.items, {"type": "function_call_output", **call}]
    again = await ask(by=simulator, tools=tools, tool_choice=choice, input=said)
    assert (first.calls, again.calls) == ([("save", {"name": "Ada"})], [("save", {"name": "ADA"})])


def test_a_strict_schema_requires_everything_and_allows_no_more() -> None:
    inner = {"type": "object", "properties": {"b": {}}}
    made = strict({"type": "object", "properties": {"a": inner, "c": {}}, "required": ["c"]})
    assert made["required"] == ["a", "c"]
    assert made["additionalProperties"] is False
    assert made["properties"]["a"]["required"] == ["b"]


async def test_structured_output_is_json() -> None:
    schema = {**of_object(city={"type": "string"}), "required": ["city"]}
    strictly = {**schema, "additionalProperties": False}
    form = {"type": "json_schema", "name": "place", "strict": True, "schema": strictly}
    answer = await ask("Where? In Oslo", text={"format": form})
    assert json.loads(answer.text) == {"city": "simulated city"}
    answer = await ask("Rain in Oslo", text={"format": form})
    assert json.loads(answer.text) == {"city": "Oslo"}


async def test_an_object_is_filled_from_the_rules_where_the_prompt_names_nobody() -> None:
    properties = {"name": {"type": "string"}, "age": {"type": "integer"}}
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    form = {"type": "json_schema", "name": "user", "strict": False, "schema": schema}
    story = "<story>Mike is 37 years old</story>"
    answer = await ask("Extract a user", instructions=story, text={"format": form})
    assert json.loads(answer.text) == {"name": "Mike", "age": 37}
    answer = await ask("Extract: Ada is 36", instructions=story, text={"format": form})
    assert json.loads(answer.text) == {"name": "Ada", "age": 36}


async def test_a_json_object_has_the_answer() -> None:
    answer = await ask("Say hello in JSON", text={"format": {"type": "json_object"}})
    assert json.loads(answer.text)["answer"].startswith("Hello!")


SCHEMA = '{"type": "object", "properties": {"age": {"type": "integer"}}}'


@pytest.mark.parametrize(
    ("prompt", "rules", "value"),
    [
        ("JSON with 'first' and 'second' keys", "", {"first": "simulated first", "second": "simulated second"}),
        (f"Ada is 36. As JSON: {SCHEMA}", "", {"age": 36}),
        ("Ada is 36. In JSON, please", f"Keep to this: {SCHEMA}.", {"age": 36}),
    ],
)  # fmt: skip
async def test_a_json_object_has_the_form_that_was_asked_for_in_words(
    prompt: str, rules: str, value: JsonObject
) -> None:
    said = [{"role": "developer", "content": rules}] if rules else []
    answer = await ask(input=[*said, user(prompt)], text={"format": {"type": "json_object"}})
    assert json.loads(answer.text) == value
    answer = await ask(f"{prompt} in a ```json block", instructions=rules or "Be brief.")
    assert answer.text == f"```json\n{json.dumps(value)}\n```"


async def test_a_json_object_alone_is_the_answer_where_the_rules_want_it() -> None:
    rules = f"Always respond with a JSON object that's compatible with this schema: {SCHEMA}"
    answer = await ask("Ada is 36", instructions=rules)
    assert json.loads(answer.text) == {"age": 36}
