"""Tools of a Messages request, and their schemas."""

from __future__ import annotations

from typing import Any

import pytest

from codexapi_engine.errors import InvalidRequest
from codexapi_engine.protocol import JsonObject, anthropic
from codexapi_engine.protocol.responses import to_backend

HI: JsonObject = {"role": "user", "content": "hi"}
PLAIN: JsonObject = {"type": "object", "properties": {}}


def tool(name: str = "f", schema: JsonObject = PLAIN, **more: Any) -> JsonObject:
    return {"name": name, "input_schema": schema, **more}


def request(
    *tools: JsonObject, messages: list[JsonObject] | None = None, **more: Any
) -> anthropic.Request:
    given = {"model": "m", "max_tokens": 1, "messages": messages or [HI], "tools": tools}
    return anthropic.from_client({**given, "tools": list(tools), **more}, model="m")


def made(*tools: JsonObject, **more: Any) -> list[JsonObject]:
    found: list[JsonObject] = request(*tools, **more).sent.get("tools", [])
    return found


def names(*tools: JsonObject, **more: Any) -> list[str]:
    return [one["name"] for one in made(*tools, **more)]


def schema(given: JsonObject) -> JsonObject:
    """What the backend gets of a tool's schema."""
    found: JsonObject = to_backend(request(tool(schema=given)).sent)["tools"][0]["parameters"]
    return found


def refusal(*tools: JsonObject, **more: Any) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        request(*tools, **more)
    return caught.value


def test_a_tool_is_a_function_that_always_says_whether_it_is_strict() -> None:
    assert made(
        tool(description="d", cache_control={"type": "ephemeral"}, input_examples=[{}])
    ) == [
        {"type": "function", "name": "f", "description": "d", "parameters": PLAIN, "strict": False}
    ]
    assert made(tool(type="custom"))[0]["strict"] is False


def test_a_strict_tool_stays_strict_where_the_backend_can_be() -> None:
    closed = {**PLAIN, "additionalProperties": False}
    assert made(tool(schema=closed, strict=True))[0]["strict"] is True
    loose = request(tool(strict=True))
    assert loose.sent["tools"][0]["strict"] is False
    assert "tools.0.strict" in loose.ignored


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"$schema": "s"}, {"type": "object", "properties": {}}),
        ({"type": "object", "required": None}, {"type": "object", "properties": {}}),
        (
            {"type": "object", "properties": {"a": {"type": "array"}}},
            {"type": "object", "properties": {"a": {"type": "array", "items": {}}}},
        ),
    ],
)
def test_a_schema_is_cleaned(given: JsonObject, sent: JsonObject) -> None:
    assert schema(given) == sent


@pytest.mark.parametrize(
    ("pattern", "stays"),
    [
        ("^[a-z]+$", True), (r"\d{3}", True), ("(?:a|b)", True),
        (r"^\p{L}+$", False), ("(?!x)y", False), ("(?=x)", False), ("(?<=x)y", False),
        ("(?<!x)y", False), ("(", False), ("*", False),
    ],
)  # fmt: skip
def test_a_pattern_that_the_backend_refuses_is_dropped(pattern: str, stays: bool) -> None:
    given = {"type": "object", "properties": {"a": {"type": "string", "pattern": pattern}}}
    assert ("pattern" in schema(given)["properties"]["a"]) == stays
    inside = {"type": "object", "properties": {}, "patternProperties": {pattern: {}, "^x": {}}}
    assert (pattern in schema(inside)["patternProperties"]) == stays
    assert "^x" in schema(inside)["patternProperties"]


def test_a_property_called_pattern_stays() -> None:
    given = {
        "type": "object",
        "properties": {"pattern": {"type": "string"}, "required": {"type": "string"}},
        "required": ["pattern"],
    }
    assert schema(given) == given


def test_values_that_look_like_schemas_stay() -> None:
    value = {"pattern": r"\p{L}", "required": None}
    given = {"type": "object", "properties": {"a": {"enum": [value], "default": value}}}
    assert schema(given) == given


def test_the_clients_schema_is_not_changed_in_its_place() -> None:
    given = {"type": "object", "properties": {"a": {"pattern": "("}}, "$schema": "s"}
    schema(given)
    assert given["$schema"] == "s"
    assert given["properties"] == {"a": {"pattern": "("}}


def test_a_name_that_the_backend_refuses_gets_a_legal_one_and_comes_back() -> None:
    name = "mcp:srv/tool " + "x" * 130
    sent = request(tool(name))
    legal = sent.sent["tools"][0]["name"]
    assert legal != name
    assert len(legal) <= 128
    assert sent.options.names[legal] == name
    call = {"type": "tool_use", "id": "c", "name": name, "input": {}}
    history = [HI, {"role": "assistant", "content": [call]}, HI]
    assert request(tool(name), messages=history).sent["input"][1]["name"] == legal


@pytest.mark.parametrize(
    "given", [("a.b", "a_b"), ("a_b", "a.b"), ("a.b", "a b"), ("é", "è"), ("a.b", "a b", "a_b")]
)
def test_tools_whose_legal_names_would_be_one_have_two(given: tuple[str, ...]) -> None:
    calls = [{"type": "tool_use", "id": name, "name": name, "input": {}} for name in given]
    history = [HI, {"role": "assistant", "content": calls}, HI]
    sent = request(*map(tool, given), messages=history)
    legal = [one["name"] for one in sent.sent["tools"]]
    assert [sent.options.names[name] for name in legal] == list(given)
    assert all(sent.options.names[name] == name for name in legal if name in given)
    said = [item["name"] for item in sent.sent["input"] if item["type"] == "function_call"]
    assert said == legal, "a call of an earlier turn has the name of its tool"
    choice = {"type": "tool", "name": given[0]}
    chosen = request(*map(tool, given), tool_choice=choice).sent["tool_choice"]
    assert chosen["name"] == legal[0]


@pytest.mark.parametrize(
    "tools",
    [
        (tool("f"), tool("g"), tool("f")),
        (tool("web_search"), {"type": "web_search_20250305", "name": "web_search"}),
        (tool("not a name"), tool("not a name")),
    ],
)
def test_two_tools_of_one_name_are_refused_in_the_words_of_the_api(
    tools: tuple[JsonObject, ...],
) -> None:
    assert str(refusal(*tools)) == "tools: Tool names must be unique."


def test_a_tool_that_comes_later_takes_no_name_of_another() -> None:
    added = {"type": "tool_definition", "definition": tool("a_b")}
    changed = [HI, {"role": "system", "content": [{"type": "tool_addition", "tool": added}]}]
    sent = request(tool("a.b"), messages=changed)
    legal = [one["name"] for one in sent.sent["tools"]]
    assert [sent.options.names[name] for name in legal] == ["a.b", "a_b"]


# Deferred tools

SEARCH = tool("ToolSearch")


def reference(name: str) -> list[JsonObject]:
    """A search for tools that found this one."""
    use = {"type": "tool_use", "id": "c", "name": "ToolSearch", "input": {}}
    block = {"type": "tool_reference", "tool_name": name}
    found = {"type": "tool_result", "tool_use_id": "c", "content": [block]}
    return [HI, {"role": "assistant", "content": [use]}, {"role": "user", "content": [found]}]


def system(*blocks: JsonObject) -> list[JsonObject]:
    return [HI, {"role": "system", "content": list(blocks)}]


def change(kind: str, target: JsonObject) -> JsonObject:
    return {"type": kind, "tool": target}


def test_a_deferred_tool_is_sent_once_a_search_has_found_it_and_without_the_field() -> None:
    late = tool("late", defer_loading=True, description="d")
    other = tool("other", defer_loading=True)
    assert names(SEARCH, late, other) == ["ToolSearch"]
    found = request(SEARCH, late, other, messages=reference("late")).sent
    assert [one["name"] for one in found["tools"]] == ["ToolSearch", "late"]
    assert all("defer_loading" not in one for one in found["tools"])
    shown = '{"description":"d","name":"late","parameters":{"type":"object","properties":{}}}'
    expected = f"<functions>\n<function>{shown}</function>\n</functions>"
    assert found["input"][-1]["output"] == expected


def test_a_reference_to_a_tool_that_there_is_not_is_nothing() -> None:
    sent = request(SEARCH, messages=reference("gone")).sent
    assert sent["input"][-1]["output"] == ""


def test_where_the_search_is_the_apis_own_all_tools_are_sent() -> None:
    search = {"type": "tool_search_tool_regex_20251119", "name": "tool_search_tool_regex"}
    assert names(search, tool("late", defer_loading=True)) == ["late"]


def test_a_system_message_adds_and_removes_tools() -> None:
    late, named = tool("late", defer_loading=True), {"type": "tool_reference", "name": "late"}
    assert names(late, messages=system(change("tool_addition", named))) == ["late"]
    assert names(late, messages=system(change("tool_addition", named), change("tool_removal", named))) == []  # fmt: skip
    inline = {"type": "tool_definition", "definition": tool("new")}
    assert names(late, messages=system(change("tool_addition", inline))) == ["new"]
    server = {"type": "mcp_toolset_reference", "name": "srv"}
    error = refusal(late, messages=system(change("tool_addition", server)))
    assert error.param == "messages.1.content.0.tool.type"


# Tools of other types


def test_web_search() -> None:
    place = {"type": "approximate", "city": "Oslo"}
    given = {
        "type": "web_search_20260318", "name": "web_search", "allowed_domains": ["example.org"],
        "blocked_domains": None, "user_location": place,
    }  # fmt: skip
    assert made(given) == [
        {
            "type": "web_search",
            "external_web_access": True,
            "filters": {"allowed_domains": ["example.org"]},
            "user_location": place,
        }
    ]


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("bash_20250124", "bash"),
        ("text_editor_20250728", "str_replace_based_edit_tool"),
        ("memory_20250818", "memory"),
    ],
)
def test_a_tool_that_the_client_runs_gets_its_schema(kind: str, name: str) -> None:
    (sent,) = made({"type": kind, "name": name})
    assert (sent["type"], sent["name"], sent["strict"]) == ("function", name, False)
    assert sent["description"]
    assert "command" in sent["parameters"]["properties"]


@pytest.mark.parametrize(
    "kind",
    ["computer_20250124", "browser_20260101", "web_fetch_20250910", "code_execution_20250825",
     "advisor_20260301", "mcp_toolset", "hologram_20260101"],
)  # fmt: skip
def test_a_tool_that_the_backend_lacks_is_refused_by_path(kind: str) -> None:
    error = refusal(tool(), {"type": kind, "name": "x"})
    assert (error.status, error.param) == (400, "tools.1.type")


def test_a_tool_without_a_schema_or_a_name_is_refused_by_path() -> None:
    assert refusal({"name": "f"}).param == "tools.0.input_schema"
    assert refusal({"input_schema": PLAIN}).param == "tools.0.name"
    assert refusal(tool("")).param == "tools.0.name"


# The choice


@pytest.mark.parametrize(
    ("given", "choice", "parallel"),
    [
        (None, None, True),
        ({"type": "auto"}, "auto", True),
        ({"type": "none"}, "none", True),
        ({"type": "any", "disable_parallel_tool_use": True}, "required", False),
        ({"type": "tool", "name": "f"}, {"type": "function", "name": "f"}, True),
        (
            {"type": "tool", "name": "web_search"},
            {"type": "allowed_tools", "mode": "required", "tools": [{"type": "web_search"}]},
            True,
        ),
    ],
)
def test_tool_choice(given: JsonObject | None, choice: object, parallel: bool) -> None:
    search = {"type": "web_search_20250305", "name": "web_search"}
    sent = request(tool(), search, tool_choice=given).sent
    assert sent.get("tool_choice") == choice
    assert sent["parallel_tool_calls"] is parallel


@pytest.mark.parametrize(
    ("choice", "path"),
    [
        ({"type": "tool", "name": "g"}, "tool_choice.name"),
        ({"type": "tool"}, "tool_choice.name"),
        ({"type": "perhaps"}, "tool_choice.type"),
    ],
)
def test_a_choice_that_there_is_not_is_refused_by_path(choice: JsonObject, path: str) -> None:
    assert refusal(tool(), tool_choice=choice).param == path


def test_a_deferred_tool_that_must_be_called_is_sent() -> None:
    late = tool("late", defer_loading=True)
    sent = request(SEARCH, late, tool_choice={"type": "tool", "name": "late"}).sent
    assert [one["name"] for one in sent["tools"]] == ["ToolSearch", "late"]


@pytest.mark.parametrize("choice", [{"type": "any"}, {"type": "tool", "name": "f"}])
def test_a_call_cannot_be_demanded_where_there_is_no_tool(choice: JsonObject) -> None:
    assert refusal(tool_choice=choice).status == 400


def test_without_tools_nothing_is_said_of_them() -> None:
    sent = request(tool_choice={"type": "auto"}).sent
    assert not {"tools", "tool_choice", "parallel_tool_calls"} & set(sent)
