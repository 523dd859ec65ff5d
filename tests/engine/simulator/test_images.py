"""Pictures, edits and searches of the simulated backend."""

from __future__ import annotations

import base64

import pytest
from tests.engine.simulator.exchanges import (
    PIXEL,
    SEARCH,
    SEARCHES,
    JsonObject,
    draw,
    pixels_of,
    send,
)

from codexapi_engine.simulator import Simulator
from codexapi_engine.simulator.encryption import decrypt
from codexapi_engine.simulator.png import png
from codexapi_engine.simulator.refusals import REFUSALS


@pytest.mark.parametrize("transparent", [False, True])
@pytest.mark.parametrize(("width", "height"), [(1, 1), (3, 500), (1024, 1024), (1536, 1024)])
def test_a_png_is_a_png(width: int, height: int, transparent: bool) -> None:
    data = png(width, height, "a cat", transparent=transparent)
    assert pixels_of(data) == (width, height, 4 if transparent else 3)


def test_pictures_differ_as_their_prompts_do() -> None:
    assert png(64, 64, "a cat") == png(64, 64, "a cat")
    assert png(64, 64, "a cat") != png(64, 64, "a dog")
    assert png(64, 64, "a cat") != png(64, 64, "a cat", done=0.5)


@pytest.mark.parametrize(
    ("prompt", "size", "given"),
    [
        ("a cat", "auto", "1024x1024"),
        ("a cat", None, "1024x1024"),
        ("a cat", "1536x1024", "1536x1024"),
        ("a cat", "2160x3040", "1024x1536"),
        ("a cat", "512x512", "1024x1024"),
        ("a cat", "3000x1000", "1536x1024"),
        ("[[exact]] a cat", "640x200", "640x200"),
    ],
)
@pytest.mark.parametrize("edit", [False, True])
async def test_an_image_has_a_size_that_the_backend_gives(
    prompt: str, size: str | None, given: str, edit: bool
) -> None:
    answer = await draw(prompt, size=size, edit=edit)
    assert answer.status == 200
    assert answer.json["size"] == given
    [image] = answer.json["data"]
    width, height, _ = pixels_of(base64.b64decode(image["b64_json"]))
    assert f"{width}x{height}" == given
    usage = answer.json["usage"]
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]


async def test_a_transparent_image_has_an_alpha_channel() -> None:
    answer = await draw(background="transparent")
    assert answer.json["background"] == "transparent"
    assert pixels_of(base64.b64decode(answer.json["data"][0]["b64_json"]))[2] == 4


@pytest.mark.parametrize(
    ("changes", "edit", "param"),
    [
        ({"prompt": ""}, False, "prompt"),
        ({"model": None}, False, "model"),
        ({"images": []}, True, "images"),
        ({"images": [{"image_url": "https://example.com/a.png"}]}, True, "images[0].image_url"),
        ({"images": [{"image_url": "data:image/png;base64,aGk="}]}, True, "input"),
        ({"images": [{"image_url": PIXEL}] * 17}, True, "images"),
    ],
)
async def test_an_image_request_is_checked(changes: JsonObject, edit: bool, param: str) -> None:
    answer = await draw(**changes, edit=edit)
    assert (answer.status, answer.json["error"]["param"]) == (400, param)


async def test_a_search_finds_what_was_looked_for() -> None:
    answer = await send(Simulator(), "POST", SEARCHES, SEARCH)
    assert answer.status == 200
    assert set(answer.json) == {"encrypted_output", "output", "results"}
    assert "“hello”" in answer.json["output"]
    assert decrypt(answer.json["encrypted_output"]) is not None


@pytest.mark.parametrize(
    ("name", "status"),
    [("rate_limited", 429), ("usage_limit_reached", 429), ("token_expired", 401)],
)
async def test_a_search_can_be_refused_by_script(name: str, status: int) -> None:
    commands = {"search_query": [{"q": f"[[status {name}]] hello"}]}
    answer = await send(Simulator(), "POST", SEARCHES, {**SEARCH, "commands": commands})
    assert answer.status == status


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"model": None}, "model"),
        ({"commands": None}, "commands"),
        ({"commands": {"search_query": "a"}}, "commands.search_query"),
        ({"commands": {"search_query": ["a"]}}, "commands.search_query[0]"),
    ],
)
async def test_a_search_request_is_checked(changes: JsonObject, param: str) -> None:
    answer = await send(Simulator(), "POST", SEARCHES, {**SEARCH, **changes})
    assert (answer.status, answer.json["error"]["param"]) == (400, param)


async def test_an_image_can_be_refused_by_script() -> None:
    answer = await draw("[[status moderation_blocked]]")
    assert (answer.status, answer.json) == (400, REFUSALS["moderation_blocked"].body)
