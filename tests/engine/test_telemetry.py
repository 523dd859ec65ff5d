"""What the engine tells of its work, and how many runs it lets in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.http_server.doors import Stream
from tests.virtual_time import hurried

from codexapi_engine import Codex, Settings, collect_response
from codexapi_engine.errors import CodexError, InvalidRequest, Unavailable
from codexapi_engine.http.in_process import in_process
from codexapi_engine.login.store import InMemory
from codexapi_engine.protocol import images
from codexapi_engine.protocol.responses.backend import request
from codexapi_engine.simulator import Simulator
from codexapi_engine.telemetry import FinishedRun, Observer

MODEL = "gpt-6.1-sol"


@dataclass
class Heard(Observer):
    open: int = 0
    runs: list[FinishedRun] = field(default_factory=list)
    others: list[tuple[str, object]] = field(default_factory=list)

    def began(self) -> None:
        self.open += 1

    def finished(self, run: FinishedRun) -> None:
        self.open -= 1
        self.runs.append(run)

    def retried(self, why: str) -> None:
        self.others.append(("retried", why))

    def refreshed(self, outcome: str) -> None:
        self.others.append(("refreshed", outcome))

    def images_generated(self, pictures: int) -> None:
        self.others.append(("drew", pictures))


@asynccontextmanager
async def observed(
    backend: Any = None, **settings: Any
) -> AsyncIterator[tuple[Codex, Heard, Simulator]]:
    issuer, heard = Simulator(sleep=_at_once), Heard()
    async with Codex(
        Settings(base_url="http://127.0.0.1:1", **settings),
        http=in_process((backend or issuer).handle),
        store=InMemory(issuer.login()),
        observer=heard,
    ) as codex:
        yield codex, heard, issuer


async def _at_once(seconds: float) -> None:
    await asyncio.sleep(0)


def asked(prompt: str) -> dict[str, Any]:
    return request(prompt, model=MODEL)


async def test_run_is_told_once_when_it_has_ended() -> None:
    async with observed() as (codex, heard, _):
        async with await codex.open(asked("[[say hello]]")) as events:
            assert heard.open == 1
            assert heard.runs == []
            await collect_response(events)
            await events.aclose()
        (run,) = heard.runs
    assert heard.open == 0
    assert (run.model, run.code, run.backend_id) == (MODEL, None, "req_simulated_000001")
    assert run.events > 3
    assert run.usage["input_tokens"] > 0
    assert run.first_after is not None
    assert 0 <= run.first_after <= run.seconds


async def test_run_that_was_left_is_told_without_a_code() -> None:
    async with observed() as (codex, heard, _):
        async with await codex.open(asked("[[long 50]]")) as events:
            await events.batch()
        (run,) = heard.runs
    assert (run.code, run.usage) == (None, {})
    assert run.events >= 1


@pytest.mark.parametrize(
    ("script", "code", "events"),
    [
        ("[[status usage_limit_reached]]", "usage_limit_reached", 0),
        ("[[fail_first server_error]]", "server_error", 1),
        ("[[fail invalid_prompt]]", "invalid_prompt", 2),
        ("[[error slow_down]]", "slow_down", 2),
        ("[[error_nested slow_down]]", "slow_down", 2),
    ],
)
async def test_run_that_fails_has_the_code_of_its_error(
    script: str, code: str, events: int
) -> None:
    async with observed() as (codex, heard, _):
        with pytest.raises(CodexError):
            await codex.respond(asked(script))
    (run,) = heard.runs
    assert heard.open == 0
    assert run.code == code
    assert run.events >= events


async def test_further_tries_are_told() -> None:
    async with observed() as (codex, heard, _):
        await codex.respond(asked("[[status overloaded 1]]"))
    assert heard.others == [("retried", "server")]
    assert len(heard.runs) == 1


async def test_renewal_is_told_with_its_outcome() -> None:
    async with observed() as (codex, heard, simulator):
        simulator.accounts.invalidate()
        await codex.respond(asked("hi"))
        assert heard.others == [("refreshed", "ok"), ("retried", "login")]


async def test_pictures_are_told_by_either_road() -> None:
    async with observed() as (codex, heard, _):
        await codex.draw(images.ImageRequest(prompt="a fox"))
        await codex.draw(images.ImageRequest(prompt="a fox", partial_images=1))
    assert heard.others == [("drew", 1), ("drew", 1)]
    assert heard.open == 0
    assert heard.runs[0].model == images.MODEL


async def test_all_runs_of_a_request_end_with_the_first_that_cannot_begin() -> None:
    async with observed(max_streams=3) as (codex, heard, _):
        runs = [asked("a"), asked("[[status forbidden]]"), asked("b")]
        for _ in range(5):  # a turn that got lost would be missed
            with pytest.raises(CodexError):
                await codex.open_all(runs)
        assert (heard.open, len(heard.runs)) == (0, 15)


async def test_runs_that_were_given_up_before_they_began_are_over_too() -> None:
    async with observed(max_streams=3) as (codex, heard, simulator):
        opening = asyncio.create_task(codex.open_all([asked("a")] * 3))
        await asyncio.sleep(0)  # it has its turns, and has asked for nothing yet
        assert heard.open == 3
        opening.cancel()
        await asyncio.wait({opening})
        assert (heard.open, len(heard.runs)) == (0, 3)
        assert not simulator.requests


def test_one_run_more_than_there_may_be_waits_for_its_turn() -> None:
    async def story() -> None:
        backend = Stream()
        async with observed(backend, max_streams=1) as (codex, heard, _):
            opening = asyncio.create_task(codex.open(asked("a")))
            await backend.reached.wait()
            with pytest.raises(Unavailable) as caught:
                await codex.open(asked("b"))  # the backend here takes one request, and no other
            assert caught.value.code == "too_many_streams"
            assert asyncio.get_running_loop().time() == 30
            with pytest.raises(Unavailable):
                await codex.draw(images.ImageRequest(prompt="a fox"))
            with pytest.raises(InvalidRequest):
                await codex.open_all([asked("b"), asked("c")])
            opening.cancel()
            await asyncio.wait({opening})
            assert backend.closed.is_set()
            assert (heard.open, len(heard.runs)) == (0, 1)

    hurried(story())


async def test_turn_of_a_run_is_free_again_whatever_became_of_it() -> None:
    async with observed(max_streams=1) as (codex, heard, _):
        for script in ("[[say x]]", "[[cut 1]]", "[[status bad_gateway]]", "[[drop 1]]"):
            try:
                await codex.respond(asked(script))
            except CodexError:
                pass
            await codex.draw(images.ImageRequest(prompt="a fox"))
        async with await codex.open(asked("[[long 50]]")) as events:
            await events.batch()
        await codex.respond(asked("hi"))
        assert heard.open == 0
