"""The simulated backend behind an engine."""

from __future__ import annotations

import asyncio

import pytest
from tests.clock import Clock
from tests.engine.simulator.exchanges import NOW, ask
from tests.engine.simulator.test_scripts import PLAYED

from codexapi_engine import Codex, CodexError, Settings, request, text_of
from codexapi_engine.http.in_process import in_process
from codexapi_engine.login.store import InMemory
from codexapi_engine.protocol.responses import Assembler
from codexapi_engine.simulator import Simulator


async def test_the_demo_answers_over_the_whole_real_road() -> None:
    async with Codex(Settings(demo=True)) as codex:
        response = await codex.respond(request("Say hello", model=await codex.model()))
    assert text_of(response).startswith("Hello! This is the simulated Codex backend")
    assert response["output"][0]["type"] == "reasoning"


async def test_an_expired_login_is_renewed_once_for_all() -> None:
    clock = Clock(NOW)
    simulator = Simulator(token_lifetime=1000, clock=clock)
    store = InMemory(simulator.login())
    clock.now += 2000
    http = in_process(simulator.handle)
    async with Codex(Settings(), http=http, store=store, clock=clock) as codex:
        asked_for = request("Say hello", model="gpt-5.5")
        await asyncio.gather(*(codex.respond(asked_for) for _ in range(5)))
    assert (simulator.refreshes, simulator.refused_refreshes) == (1, 0)


@pytest.mark.parametrize(
    "prompt",
    ["[[cut 2]]", "[[empty]]", "[[fail cyber_policy]]", "[[error]]", "[[bad_json]]", "[[html]]"],
)
async def test_no_fault_looks_like_success(prompt: str) -> None:
    simulator = Simulator()
    http = in_process(simulator.handle)
    async with Codex(Settings(), http=http, store=InMemory(simulator.login())) as codex:
        with pytest.raises(CodexError):
            await codex.respond(request(prompt, model="gpt-5.5"))


async def test_every_script_that_ends_well_is_assembled() -> None:
    ends = ("response.completed", "response.incomplete")
    for told in (one for one in PLAYED.values() if one.assembles and one.last in ends):
        answer = await ask(told.prompt)
        assembler = Assembler()
        for event in answer.events:
            assembler.feed(event)
        assert assembler.finish()["output"] == answer.items
