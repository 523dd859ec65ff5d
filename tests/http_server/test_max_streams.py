"""`--max-streams`: how many runs are at the backend at a time."""

from __future__ import annotations

import asyncio

import pytest
from tests.faulty import Exchange, FaultyBackend, chunk, head
from tests.http_server.doors import chat, distant_door, door, encoded, responses
from tests.http_server.raw import post
from tests.logins import auth_json

from codexapi_engine.simulator import Simulator

pytestmark = pytest.mark.timeout(60)

CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"
LOGIN = auth_json(exp=4_000_000_000)
ANSWER = encoded(
    {"type": "response.created", "response": {"id": "resp_1", "created_at": 5}},
    {"type": "response.completed", "response": {"status": "completed"}},
)


async def test_no_more_run_at_a_time_than_may_and_all_are_answered() -> None:
    running, most = 0, 0

    async def answer(exchange: Exchange) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        for _ in range(50):  # others would have come by now
            await asyncio.sleep(0)
        running -= 1
        await exchange.send(head() + chunk(ANSWER) + b"0\r\n\r\n")

    async with FaultyBackend(otherwise=[answer]) as backend:
        async with distant_door(backend.url, LOGIN, max_streams=2) as server:
            replies = await asyncio.gather(
                *(
                    server.reply(post(RESPONSES, responses(stream=number % 2 == 0)))
                    for number in range(12)
                )
            )
    assert [reply.status for reply in replies] == [200] * 12
    assert most == 2


async def test_request_for_more_runs_than_there_may_be_is_refused() -> None:
    backend = Simulator()
    async with door(backend, max_streams=3) as server:
        error = (await server.reply(post(CHAT, chat(n=4)))).refused(400, "invalid_value")
        assert error["param"] == "n"
        assert "--max-streams" in error["message"]
        assert not backend.requests
        assert (await server.reply(post(CHAT, chat(n=3)))).status == 200
