"""Sessions of the older era over HTTP: they end when nobody uses them, and are not many."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from tests.mcp_server.transports import HELLO
from tests.virtual_time import hurried

from codexapi_engine import Codex, Settings
from codexapi_engine.bounds import MAX_SESSIONS, SESSION_IDLE_TIMEOUT
from codexapi_engine.http.in_process import in_process
from codexapi_engine.login.store import InMemory
from codexapi_engine.simulator import Simulator
from codexapi_mcp import Endpoint

PING = {"jsonrpc": "2.0", "id": 2, "method": "ping"}
pytestmark = pytest.mark.timeout(60)


@asynccontextmanager
async def endpoint() -> AsyncIterator[Endpoint]:
    simulator = Simulator()
    http, store = in_process(simulator.handle), InMemory(simulator.login())
    settings = Settings(base_url="http://127.0.0.1:1")
    async with Codex(settings, http=http, store=store) as codex:
        made = Endpoint(codex)
        async with made.lifespan():
            yield made


async def answer(
    to: Endpoint, message: Any, session: str = "", method: str = "POST"
) -> tuple[int, str]:
    """The status of an answer, and the session that it names."""
    given = {
        "content-type": "application/json", "accept": "application/json, text/event-stream",
        "host": "127.0.0.1", "mcp-protocol-version": "2025-06-18",
    }  # fmt: skip
    if session:
        given["mcp-session-id"] = session
    scope = {
        "type": "http", "method": method, "path": "/mcp", "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
    }  # fmt: skip
    asked, heads = [json.dumps(message).encode()], []

    async def receive() -> Any:
        if not asked:
            await anyio.sleep_forever()
        return {"type": "http.request", "body": asked.pop(), "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            heads.append(message)

    await to(scope, receive, send)
    (head,) = heads
    return head["status"], dict(head["headers"]).get(b"mcp-session-id", b"").decode()


def test_the_session_that_was_used_the_longest_time_ago_makes_room() -> None:
    async def story() -> None:
        async with endpoint() as mcp:
            (_, first), (_, second) = await answer(mcp, HELLO), await answer(mcp, HELLO)
            for _ in range(MAX_SESSIONS - 2):
                assert (await answer(mcp, HELLO))[0] == 200
            assert (await answer(mcp, PING, first))[0] == 200
            status, latest = await answer(mcp, HELLO)
            assert status == 200
            for session, expected in ((second, 404), (first, 200), (latest, 200)):
                assert (await answer(mcp, PING, session))[0] == expected

    hurried(story())


def test_a_session_with_an_open_request_does_not_make_room() -> None:
    async def story() -> None:
        async with endpoint() as mcp, anyio.create_task_group() as group:
            _, listening = await answer(mcp, HELLO)
            group.start_soon(answer, mcp, None, listening, "GET")
            await anyio.wait_all_tasks_blocked()
            for _ in range(MAX_SESSIONS):
                assert (await answer(mcp, HELLO))[0] == 200
            assert (await answer(mcp, PING, listening))[0] == 200
            group.cancel_scope.cancel()

    hurried(story())


def test_sessions_that_clients_end_take_no_room() -> None:
    async def story() -> None:
        async with endpoint() as mcp:
            _, first = await answer(mcp, HELLO)
            for _ in range(MAX_SESSIONS):
                _, session = await answer(mcp, HELLO)
                assert (await answer(mcp, None, session, "DELETE"))[0] == 200
            assert (await answer(mcp, PING, first))[0] == 200

    hurried(story())


def test_a_session_that_nobody_uses_ends() -> None:
    async def story() -> None:
        async with endpoint() as mcp:
            _, session = await answer(mcp, HELLO)
            await anyio.sleep(SESSION_IDLE_TIMEOUT - 1)
            assert (await answer(mcp, PING, session))[0] == 200
            await anyio.sleep(SESSION_IDLE_TIMEOUT + 1)
            assert (await answer(mcp, PING, session))[0] == 404

    hurried(story())
