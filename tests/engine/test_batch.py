"""Several pictures of one request."""

from __future__ import annotations

import asyncio

import pytest
from tests.engine.test_drawing import codex

from codexapi_engine import CodexError, Overloaded
from codexapi_engine.bounds import IMAGES_AT_ONCE
from codexapi_engine.images.batch import draw_many
from codexapi_engine.protocol.images import Image, ImageRequest, Images


def _answer(usage: int = 1) -> Images:
    return Images((Image(b"picture"),), 1, None, {"output_tokens": usage})


async def _index(index: int, answer: Images) -> int:
    return index


class Backend:
    """Draws when it is let to, and knows how many it draws."""

    def __init__(self) -> None:
        self.drawing = self.most = self.calls = 0
        self.fails: set[int] = set()

    async def draw(self) -> Images:
        call, self.calls = self.calls, self.calls + 1
        self.drawing += 1
        self.most = max(self.most, self.drawing)
        try:
            await asyncio.sleep(0)
        finally:
            self.drawing -= 1
        if call in self.fails:
            raise Overloaded(f"picture {call}")
        return _answer()


async def test_so_many_pictures_are_drawn_at_a_time_and_no_more() -> None:
    backend = Backend()
    batch = await draw_many(backend.draw, 5, _index)
    assert batch.images == [0, 1, 2, 3, 4]
    assert backend.most == IMAGES_AT_ONCE
    assert batch.answer.usage == {"output_tokens": 5}
    assert batch.answer.images == ()  # those are the caller's, who need not keep them


async def test_a_failure_leaves_the_others_and_their_order() -> None:
    backend = Backend()
    backend.fails = {1, 3}
    batch = await draw_many(backend.draw, 4, _index)
    assert batch.images == [0, 2]
    assert [str(error) for error in batch.errors()] == ["picture 1", "picture 3"]


async def test_where_none_comes_the_first_failure_is_raised() -> None:
    backend = Backend()
    backend.fails = {0, 1, 2}
    with pytest.raises(Overloaded, match="picture 0"):
        await draw_many(backend.draw, 3, _index)
    assert backend.calls == 3


async def test_a_picture_that_cannot_be_saved_leaves_the_others() -> None:
    async def finish(index: int, answer: Images) -> int:
        if index == 0:
            raise OSError("no room")
        return index

    batch = await draw_many(Backend().draw, 3, finish)
    assert batch.images == [1, 2]
    with pytest.raises(OSError, match="no room"):
        batch.errors()


async def test_each_picture_is_finished_before_the_last_is_drawn() -> None:
    backend, drawn_at = Backend(), []

    async def finish(index: int, answer: Images) -> None:
        drawn_at.append(backend.calls)

    await draw_many(backend.draw, 6, finish)
    assert drawn_at[0] < 6


async def test_cancelled_it_draws_no_more_and_keeps_what_is_finished() -> None:
    saved: list[int] = []
    backend, second = Backend(), asyncio.Event()

    async def draw() -> Images:
        if saved:
            second.set()
            await asyncio.Event().wait()
        return await backend.draw()

    async def finish(index: int, answer: Images) -> None:
        saved.append(index)

    task = asyncio.create_task(draw_many(draw, 4, finish))
    await second.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    begun = backend.calls
    await asyncio.sleep(0)
    assert saved == list(range(len(saved))) != [0, 1, 2, 3]
    assert backend.calls == begun


async def test_the_backend_is_asked_once_for_each() -> None:
    async with codex() as (opened, simulator):
        batch = await opened.draw_many(ImageRequest("a fox"), 3, _index)
        assert batch.images == [0, 1, 2]
        posts = [request for request in simulator.requests if request.method == "POST"]
        assert len(posts) == 3
        with pytest.raises(CodexError):
            await opened.draw_many(ImageRequest("[[status 400]]"), 2, _index)
