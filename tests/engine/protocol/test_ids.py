"""Ids and names of input items: what several clients report to be refused never goes up."""

from __future__ import annotations

import copy
import re

import pytest
from tests.engine.protocol.dialects import CALLERS, HI, calling, from_responses, responses_call

from codexapi_engine.protocol import JsonObject
from codexapi_engine.protocol.responses import to_backend
from codexapi_engine.protocol.responses.ids import PREFIXES, legal_name, repair_items, short_call_id

LONG = "call_" + "a" * 78
ILLEGAL = [LONG, "", "call 1", "call_abc|fc_1", "toolu:1", "größe", "a\n"]
every_dialect = pytest.mark.parametrize("dialect", CALLERS)


def call_ids(body: JsonObject) -> list[tuple[str, str]]:
    return [(item["type"], item["call_id"]) for item in body["input"] if "call_id" in item]


@every_dialect
@pytest.mark.parametrize("call_id", ILLEGAL)
def test_an_illegal_call_id_is_short_and_the_same_on_call_and_output(
    dialect: str, call_id: str
) -> None:
    (call, short), (output, other) = call_ids(calling(dialect, call_id))
    assert (call, output) == ("function_call", "function_call_output")
    assert short == other
    assert re.fullmatch(r"call_[a-z0-9]{1,59}", short)
    assert call_ids(calling(dialect, call_id)) == [(call, short), (output, other)]


@every_dialect
@pytest.mark.parametrize("call_id", ["c", "call_1", "a-b_C9", "x" * 64])
def test_a_legal_call_id_stays(dialect: str, call_id: str) -> None:
    assert {name for _, name in call_ids(calling(dialect, call_id))} == {call_id}


@every_dialect
def test_ids_that_differ_stay_different(dialect: str) -> None:
    names = [*ILLEGAL, LONG + "b", "a" * 64, "a" * 65, "call_1"]
    assert len({name for _, name in call_ids(calling(dialect, *names))}) == len(names)


@pytest.mark.parametrize(
    "kind", ["custom_tool_call", "tool_search_call", "local_shell_call", "shell_call"]
)
def test_every_kind_of_call_is_joined_so(kind: str) -> None:
    items = [{"type": kind, "call_id": LONG}, {"type": f"{kind}_output", "call_id": LONG}]
    assert {item["call_id"] for item in repair_items(items)} == {short_call_id(LONG)}


def test_a_call_that_only_the_backend_makes_may_have_no_call_id() -> None:
    items: list[JsonObject] = [{"type": "tool_search_call", "call_id": None, "arguments": {}}]
    assert from_responses(input=items)["input"] == items


@pytest.mark.parametrize("kind", [kind for kind in PREFIXES if kind != "image_generation_call"])
@pytest.mark.parametrize("name", ["", "k" * 300, "a|b", "out:1", "other_1", 7, None, "prefix"])
def test_an_item_id_that_would_be_refused_is_left_out(kind: str, name: object) -> None:
    if name in ("k" * 300, "a|b"):
        name = f"{PREFIXES[kind]}_{name}"
    (item,) = repair_items([{"type": kind, "id": name, "encrypted_content": "x"}])
    assert item == {"type": kind, "encrypted_content": "x"}


@pytest.mark.parametrize("kind", PREFIXES)
def test_an_item_id_of_its_kind_stays(kind: str) -> None:
    item = {"type": kind, "id": f"{PREFIXES[kind]}_" + "k" * 50}
    assert repair_items([item])[0] is item


def test_an_unknown_kind_keeps_any_legal_id() -> None:
    items = [{"type": "hologram", "id": "holo_1"}, {"type": "hologram", "id": "holo 2"}]
    assert repair_items(items) == [items[0], {"type": "hologram"}]


def test_a_picture_keeps_an_id_since_it_needs_one() -> None:
    first, again, bare = repair_items(
        [
            {"type": "image_generation_call", "id": "ig_" + "a" * 300, "result": "x"},
            {"type": "image_generation_call", "id": "ig_" + "a" * 300, "result": "y"},
            {"type": "image_generation_call", "id": ""},
        ]
    )
    assert re.fullmatch(r"ig_[0-9a-f]{40}", first["id"])
    assert re.fullmatch(r"ig_[0-9a-f]{40}", again["id"])
    assert first["id"] != again["id"]
    assert "id" not in bare


def test_items_of_the_past_and_restored_reasoning_are_repaired_likewise() -> None:
    name = "rs_" + "k" * 400
    thought: JsonObject = {
        "type": "reasoning", "id": name, "summary": [], "encrypted_content": "x",
    }  # fmt: skip
    (item,) = to_backend({"model": "m", "input": [thought]})["input"]
    assert item == {"type": "reasoning", "summary": [], "encrypted_content": "x"}
    assert thought["id"] == name


def test_of_two_items_with_one_id_the_second_goes_without() -> None:
    def said(text: str) -> JsonObject:
        content = [{"type": "output_text", "text": text}]
        return {"type": "message", "id": "msg_1", "role": "assistant", "content": content}

    first, second, third = from_responses(input=[said("a"), said("b"), HI])["input"]
    assert (first["id"], "id" in second) == ("msg_1", False)
    assert second["content"][0]["text"] == "b"
    assert third["role"] == "user"


def test_an_item_that_is_there_twice_goes_up_once_with_its_output() -> None:
    turn = responses_call("c1", id="fc_1")
    again = copy.deepcopy(turn)
    again[0]["status"] = "completed"
    assert from_responses(input=[HI, *turn, *again])["input"][1:] == turn
    thought = {"type": "reasoning", "id": "rs_1", "encrypted_content": "x", "summary": []}
    told = {**thought, "summary": [{"type": "summary_text", "text": "hm"}]}
    assert repair_items([thought, told]) == [thought]


def test_equal_items_without_an_id_are_no_mistake() -> None:
    turn = responses_call("c1")
    assert from_responses(input=[HI, HI, *turn, *turn])["input"][2:] == [*turn, *turn]


@every_dialect
@pytest.mark.parametrize(
    ("name", "legal"),
    [
        ("mcp:srv:tool", "mcp_srv_tool"),
        ("functions.shell", "functions_shell"),
        ("n" * 128, "n" * 128),
        ("a-b_C9", "a-b_C9"),
    ],
)
def test_a_call_in_a_history_has_a_name_that_a_tool_can_have(
    dialect: str, name: str, legal: str
) -> None:
    assert calling(dialect, "c1", name=name)["input"][1]["name"] == legal


@pytest.mark.parametrize("name", ["", "::", "工具", "n" * 129])
def test_a_name_of_which_nothing_is_left_is_told_from_others(name: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,128}", legal_name(name))
    assert legal_name(name) != legal_name(f"{name}:")


def test_what_chooses_a_tool_names_it_as_calls_do() -> None:
    tool = {"type": "function", "name": "mcp_srv_tool"}
    one = from_responses(tools=[tool], tool_choice={"type": "function", "name": "mcp:srv:tool"})
    assert one["tool_choice"] == tool
    allowed = {"type": "allowed_tools", "mode": "auto", "tools": [{**tool, "name": "mcp:srv:tool"}]}
    assert from_responses(tools=[tool], tool_choice=allowed)["tool_choice"]["tools"] == [tool]
