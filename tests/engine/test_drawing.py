"""Pictures of the engine: by which road, and what comes back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.drawn import mask, opened, picture

from codexapi_engine import Codex, Settings
from codexapi_engine.errors import (
    CodexError,
    ContentRefused,
    ModelNotFound,
    Overloaded,
    UsageLimitReached,
)
from codexapi_engine.http.in_process import in_process
from codexapi_engine.login.store import InMemory
from codexapi_engine.protocol.images import ImageRequest, data_url
from codexapi_engine.simulator import Simulator

URL = data_url("image/png", picture())
MASK = data_url("image/png", mask())


@asynccontextmanager
async def codex(**settings: Any) -> AsyncIterator[tuple[Codex, Simulator]]:
    simulator = Simulator()
    chosen = Settings(codex_home=Path("nowhere"), base_url="http://127.0.0.1:1", **settings)
    http, store = in_process(simulator.handle), InMemory(simulator.login())
    async with Codex(chosen, http=http, store=store) as made:
        yield made, simulator


def roads(simulator: Simulator) -> list[str]:
    return [request.path for request in simulator.requests if request.method == "POST"]


@pytest.mark.parametrize(
    ("asked", "road"),
    [
        (ImageRequest("a fox"), "/images/generations"),
        (ImageRequest("a fox", inputs=(URL,)), "/images/edits"),
        (ImageRequest("a fox", inputs=(URL,), mask=MASK), "/responses"),
        (ImageRequest("a fox", partial_images=1), "/responses"),
    ],
)
async def test_a_picture_takes_the_road_that_has_what_it_needs(
    asked: ImageRequest, road: str
) -> None:
    async with codex() as (made, simulator):
        told = await made.draw(asked)
    assert roads(simulator) == [road]
    assert opened(told.images[0].data).size == (1024, 1024)
    assert told.usage is not None
    assert told.usage["output_tokens"] > 0


async def test_the_tool_stands_in_where_the_endpoint_is_gone() -> None:
    async with codex() as (made, simulator):
        told = await made.draw(ImageRequest("a fox [[status not_found 1]]", size="1024x1536"))
    assert roads(simulator) == ["/images/generations", "/responses"]
    assert opened(told.images[0].data).size == (1024, 1536)


@pytest.mark.parametrize(
    ("script", "kind", "code"),
    [
        ("status moderation_blocked", ContentRefused, "moderation_blocked"),
        ("status usage_limit_reached", UsageLimitReached, "usage_limit_reached"),
        ("status model_not_found", ModelNotFound, "model_not_found"),
        ("status overloaded", Overloaded, None),
    ],
)
async def test_what_the_endpoint_refuses_the_tool_is_not_asked(
    script: str, kind: type[CodexError], code: str | None
) -> None:
    async with codex() as (made, simulator):
        with pytest.raises(kind) as caught:
            await made.draw(ImageRequest(f"a fox [[{script}]]"))
    assert set(roads(simulator)) == {"/images/generations"}
    assert code in (None, caught.value.code)


@pytest.mark.parametrize(
    "asked", [ImageRequest("[[blocked]]"), ImageRequest("[[blocked]]", inputs=(URL,), mask=MASK)]
)
async def test_what_moderation_blocks_is_told_alike_on_both_roads(asked: ImageRequest) -> None:
    async with codex() as (made, _):
        with pytest.raises(ContentRefused) as caught:
            await made.draw(asked)
    assert caught.value.body()["type"] == "image_generation_user_error"
    assert (caught.value.status, caught.value.code) == (400, "moderation_blocked")


async def test_a_model_that_talks_in_place_of_drawing_is_no_success() -> None:
    async with codex() as (made, _):
        with pytest.raises(ContentRefused, match="I would rather not"):
            await made.draw(ImageRequest("[[say I would rather not.]]", partial_images=1))


async def test_partial_pictures_are_counted() -> None:
    seen = []
    async with codex() as (made, _):
        await made.draw(ImageRequest("a fox", partial_images=3), partial=lambda: seen.append(1))
    assert len(seen) == 3


async def test_a_fault_of_the_server_is_tried_once_more() -> None:
    async with codex() as (made, simulator):
        assert (await made.draw(ImageRequest("a fox [[status bad_gateway 1]]"))).images
    assert len(roads(simulator)) == 2


async def test_an_alias_names_an_image_model_too() -> None:
    async with codex(model_aliases={"my-painter": "gpt-image-9"}) as (made, simulator):
        await made.draw(ImageRequest("a fox", model="my-painter"))
    assert b'"gpt-image-9"' in simulator.requests[-1].body


async def test_a_clear_background_comes_clear() -> None:
    async with codex() as (made, _):
        told = await made.draw(ImageRequest("a fox", background="transparent"))
    assert opened(told.images[0].data).mode == "RGBA"


@pytest.mark.parametrize("kind", ["webp", "jpeg"])
async def test_the_simulated_tool_draws_in_the_format_that_it_is_asked_for(kind: str) -> None:
    async with codex() as (made, _):
        told = await made.draw(ImageRequest("a fox", partial_images=1, output_format=kind))
    assert opened(told.images[0].data).format == kind.upper()


@pytest.mark.parametrize("partial_images", [0, 1])
async def test_a_simulated_picture_can_be_heavy(partial_images: int) -> None:
    async with codex() as (made, _):
        told = await made.draw(ImageRequest("a fox [[heavy 20]]", partial_images=partial_images))
    assert len(told.images[0].data) > 20 << 20
    assert opened(told.images[0].data).size == (1024, 1024)
