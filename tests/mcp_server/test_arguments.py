"""What models write for an argument that they leave out, or in another form than the schema's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from mcp.types import ImageContent
from tests.mcp_server.test_tools import asked, parts
from tests.mcp_server.transports import MODES, answer, facts, failure, in_memory, structured, texts

from codexapi_engine.simulator import Simulator
from codexapi_mcp.arguments import present

EMPTY: list[Any] = [None, "", "null", " ", [None], [""], ["null", None], "[]", '["null"]', "[null]"]
TEXT = (
    "system", "model", "effort", "images", "files", "json_schema", "max_output_tokens",
    "conversation_id", "threadId", "image_path",
)  # fmt: skip
PICTURE = ("size", "quality", "background", "format", "n", "output_path", "inline", "path")


@pytest.mark.parametrize("mode", MODES)
async def test_an_optional_parameter_that_is_empty_is_left_out(tmp_path: Path, mode: str) -> None:
    simulator = Simulator()
    async with in_memory(tmp_path, simulator, mode=mode) as client:
        for empty in (None, "", "null"):
            given = {"prompt": "[[say Hi]]", **dict.fromkeys(TEXT, empty)}
            result = await client.call_tool("generate_text", given)
            assert answer(result) == "Hi"
            assert len(texts(result)) == 2, texts(result)
            drawn = await client.call_tool(
                "generate_image", {"prompt": "x", **dict.fromkeys(PICTURE, empty)}
            )
            assert structured(drawn)["note"] is None
            assert (
                "logged in"
                in texts(await client.call_tool("account_status", {"include_email": empty}))[
                    0
                ].lower()
            )
    bodies = asked(simulator)
    assert all(
        body == {**bodies[0], "prompt_cache_key": body["prompt_cache_key"]} for body in bodies
    )


@pytest.mark.parametrize("empty", EMPTY, ids=repr)
async def test_a_list_of_nothing_is_left_out(tmp_path: Path, empty: Any) -> None:
    async with in_memory(tmp_path) as client:
        given = {"prompt": "[[say Hi]]", "images": empty, "files": empty}
        assert answer(await client.call_tool("generate_text", given)) == "Hi"


async def test_what_is_in_a_list_beside_nothing_stays(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("the words")
    simulator = Simulator()
    async with in_memory(tmp_path, simulator) as client:
        given = {"prompt": "x", "files": ["", str(tmp_path / "a.txt"), "null"], "file": None}
        answer(await client.call_tool("generate_text", given))
    assert "the words" in parts(simulator)[0]["text"]


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("generate_text", {"prompt": ""}),
        ("generate_text", {"prompt": None}),
        ("edit_image", {"prompt": "x", "images": None}),
        ("edit_image", {"prompt": "x", "images": ["null"]}),
        ("edit_image", {"prompt": "x", "images": ""}),
        ("edit_image", {"prompt": "x"}),
    ],
)
async def test_a_required_parameter_is_never_left_out(
    tmp_path: Path, tool: str, arguments: dict[str, Any]
) -> None:
    simulator = Simulator()
    async with in_memory(tmp_path, simulator) as client:
        said = failure(await client.call_tool(tool, arguments))["message"]
    assert "prompt" in said or "images" in said
    assert simulator.runs == 0


async def test_a_prompt_may_be_the_word_null(tmp_path: Path) -> None:
    simulator = Simulator()
    async with in_memory(tmp_path, simulator) as client:
        answer(await client.call_tool("generate_text", {"prompt": "null"}))
    assert parts(simulator)[0]["text"] == "null"


def test_0_leaves_out_only_what_begins_at_1() -> None:
    schema = {
        "properties": {
            "n": {"type": "integer", "minimum": 1},
            "limit": {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}]},
            "level": {"type": "integer", "minimum": 0},
            "flag": {"type": "boolean"},
        }
    }
    given = {"n": 0, "limit": "0", "level": 0, "flag": False, "other": 0}
    assert present(given, schema) == {"level": 0, "flag": False, "other": 0}
    assert present(given, {**schema, "required": ["n"]})["n"] == 0


async def test_a_number_may_be_text_and_text_a_number(tmp_path: Path) -> None:
    simulator = Simulator()
    async with in_memory(tmp_path, simulator) as client:
        cut = await client.call_tool(
            "generate_text", {"prompt": "[[long 5000]]", "max_output_tokens": "20"}
        )
        answer(await client.call_tool("generate_text", {"prompt": 5, "system": '{"be": "brief"}'}))
        drawn = await client.call_tool("generate_image", {"prompt": 7, "n": "2"})
    assert facts(cut)["finish_reason"] == "length"
    assert parts(simulator)[0]["text"] == "5"
    assert json.loads(asked(simulator)[-1]["instructions"]) == {"be": "brief"}
    assert len(structured(drawn)["images"]) == 2


@pytest.mark.parametrize(("inline", "pictures"), [(True, 1), (False, 0), ("true", 1), ("Never", 0)])
async def test_a_yes_or_no_says_whether_the_picture_comes_along(
    tmp_path: Path, inline: object, pictures: int
) -> None:
    given = {
        "prompt": "x", "inline": inline, "quality": "HIGH", "format": "image/JPG",
        "size": "1024 \N{MULTIPLICATION SIGN} 1024", "background": " Opaque",
    }  # fmt: skip
    async with in_memory(tmp_path) as client:
        result = await client.call_tool("generate_image", given)
    assert structured(result)["images"][0]["mime_type"] == "image/jpeg"
    assert sum(isinstance(part, ImageContent) for part in result.content) == pictures


@pytest.mark.parametrize(
    "given", [{"effort": "minimal", "model": "gpt-5.5"}, {"model": "gpt-5.5:minimal"}]
)
async def test_an_effort_that_the_model_does_not_have_is_named(
    tmp_path: Path, given: dict[str, str]
) -> None:
    async with in_memory(tmp_path) as client:
        changed = await client.call_tool("generate_text", {"prompt": "x", **given})
        plain = await client.call_tool("generate_text", {"prompt": "x", "effort": "LOW"})
    said = texts(changed)[1]
    assert said.startswith("[effort: gpt-5.5")
    assert "does not have minimal; low was used." in said
    assert facts(changed)["ignored"] == ["reasoning_effort"]
    assert "effort" not in texts(plain)[1]
    assert facts(plain)["ignored"] == []
