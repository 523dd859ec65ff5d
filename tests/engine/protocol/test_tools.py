"""Tools and what names them, renamed and refused together, in every dialect."""

from __future__ import annotations

import pytest
from tests.drawn import mask
from tests.engine.protocol.dialects import DIALECTS, from_chat, from_responses

from codexapi_engine.errors import InvalidRequest
from codexapi_engine.protocol import JsonObject
from codexapi_engine.protocol.images import data_url

every_dialect = pytest.mark.parametrize("dialect", DIALECTS)
NAMES = [
    "web_search", "web_search_preview", "web_search_preview_2025_03_11", "web_search_2025_08_26",
    "web_search_2027_01_31",
]  # fmt: skip


def allowed(dialect: str, *tools: JsonObject) -> JsonObject:
    inside = {"mode": "auto", "tools": list(tools)}
    if dialect == "chat":
        return {"type": "allowed_tools", "allowed_tools": inside}
    return {"type": "allowed_tools", **inside}


@every_dialect
@pytest.mark.parametrize("name", NAMES)
def test_a_web_search_has_one_name_wherever_it_is_named(dialect: str, name: str) -> None:
    tool = {"type": name, "search_context_size": "low"}
    body = DIALECTS[dialect](tools=[tool], tool_choice={"type": name})
    assert body["tools"] == [{"type": "web_search", "search_context_size": "low"}]
    assert body["tool_choice"] == {"type": "web_search"}
    body = DIALECTS[dialect](tools=[tool], tool_choice=allowed(dialect, {"type": name}))
    assert body["tool_choice"] == {
        "type": "allowed_tools", "mode": "auto", "tools": [{"type": "web_search"}],
    }  # fmt: skip


@every_dialect
@pytest.mark.parametrize("name", ["web_search_preview", "file_search"])
def test_a_function_may_be_called_like_a_hosted_tool(dialect: str, name: str) -> None:
    tool: JsonObject = {"type": "function", "name": name}
    body = DIALECTS[dialect](tools=[tool], tool_choice=tool)
    assert body["tools"][0]["name"] == body["tool_choice"]["name"] == name


@every_dialect
def test_an_unknown_type_passes_on(dialect: str) -> None:
    body = DIALECTS[dialect](tools=[{"type": "web_search_deluxe"}])
    assert body["tools"] == [{"type": "web_search_deluxe"}]


@every_dialect
@pytest.mark.parametrize(
    "name", ["file_search", "code_interpreter", "computer", "computer_use_preview", "mcp"]
)
def test_a_tool_that_the_backend_lacks_is_refused_by_name(dialect: str, name: str) -> None:
    inside = "allowed_tools.tools" if dialect == "chat" else "tools"
    space = {"type": "namespace", "name": "n", "tools": [{"type": name}]}
    for more, param in (
        ({"tools": [{"type": "web_search"}, {"type": name}]}, "tools[1].type"),
        ({"tools": [space]}, "tools[0].tools[0].type"),
        ({"tool_choice": {"type": name}}, "tool_choice.type"),
        ({"tool_choice": allowed(dialect, {"type": name})}, f"tool_choice.{inside}[0].type"),
    ):
        with pytest.raises(InvalidRequest) as caught:
            DIALECTS[dialect](**more)
        assert (caught.value.param, caught.value.code) == (param, "unsupported_value")
        assert name in caught.value.message


def test_tools_that_come_as_input_are_looked_at_too() -> None:
    item = {"type": "additional_tools", "tools": [{"type": "web_search_preview"}]}
    assert from_responses(input=[item])["input"][0]["tools"] == [{"type": "web_search"}]
    with pytest.raises(InvalidRequest) as caught:
        from_responses(input=[{**item, "tools": [{"type": "mcp"}]}])
    assert caught.value.param == "input[0].tools[0].type"


@every_dialect
@pytest.mark.parametrize("kind", ["function", "custom"])
def test_a_name_of_128_characters_passes_and_an_illegal_one_is_refused_by_name(
    dialect: str, kind: str
) -> None:
    def tool(name: str) -> JsonObject:
        if dialect == "chat":
            return {"type": kind, kind: {"name": name}}
        return {"type": kind, "name": name}

    assert DIALECTS[dialect](tools=[tool("n" * 128)])["tools"][0]["name"] == "n" * 128
    for name in ("n" * 129, "mcp:srv:tool", ""):
        with pytest.raises(InvalidRequest) as caught:
            DIALECTS[dialect](tools=[tool("ok"), tool(name)])
        assert str(caught.value.param).startswith("tools[1].")
        assert str(caught.value.param).endswith("name")


def test_a_choice_in_chats_form_is_flat_on_the_mixed_road() -> None:
    tool = {"type": "function", "function": {"name": "f"}}
    body = DIALECTS["mixed"](tools=[tool], tool_choice=tool)
    assert body["tool_choice"] == {"type": "function", "name": "f"}


def test_chat_may_choose_in_the_responses_form() -> None:
    choice = allowed("responses", {"type": "web_search_preview"})
    assert from_chat(tool_choice=choice)["tool_choice"]["tools"] == [{"type": "web_search"}]


def test_a_mask_is_labelled_by_its_bytes() -> None:
    right = data_url("image/png", mask())
    tool = {
        "type": "image_generation",
        "input_image_mask": {"image_url": right.replace("image/png", "image/x-png"), "x": 1},
    }
    (sent,) = from_responses(tools=[tool])["tools"]
    assert sent["input_image_mask"] == {"image_url": right, "x": 1}
