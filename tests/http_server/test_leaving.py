"""Clients that leave, and clients that do not take what they asked for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from tests.faulty import HOLD, Exchange, FaultyBackend, Step, chunk, endless, head, stream
from tests.http_server import raw
from tests.http_server.doors import Stream, chat, distant_door, door, encoded, responses
from tests.http_server.raw import get, post
from tests.logins import auth_json
from tests.wire_files import wire

from codexapi_engine import Codex, Settings
from codexapi_engine.login.store import InMemory
from codexapi_http import create_app
from codexapi_http.server.process import listen

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(60)]

CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"
LOGIN = auth_json(exp=4_000_000_000)
CREATED = encoded({"type": "response.created", "response": {"id": "resp_1", "created_at": 5}})
DELTA = encoded(
    {
        "type": "response.output_text.delta",
        "item_id": "msg_1",
        "output_index": 0,
        "content_index": 0,
        "delta": "x" * 1000,
    }
)


@pytest.fixture(autouse=True)
def no_complaints(caplog: pytest.LogCaptureFixture) -> Any:
    """A client that leaves is no error: not ours, uvicorn's or asyncio's."""
    yield
    complaints = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert not complaints, caplog.text


@pytest.mark.parametrize("path", [CHAT, RESPONSES])
@pytest.mark.parametrize("streamed", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize(
    "script",
    [
        [HOLD],
        [head(), HOLD],
        [head(), chunk(CREATED), HOLD],
        [head(), chunk(CREATED + DELTA), HOLD],
        [head(), chunk(CREATED), endless(chunk(DELTA))],
    ],
    ids=["before headers", "before events", "before output", "in the middle", "in a flood"],
)
async def test_backend_is_left_when_the_client_leaves(
    path: str, streamed: bool, script: list[Step]
) -> None:
    body = (chat if path == CHAT else responses)(stream=streamed)
    async with FaultyBackend(script) as backend, distant_door(backend.url, LOGIN) as server:
        async with raw.connect(server.port) as client:
            await client.send(post(path, body))
            await backend.until(lambda: bool(backend.requests))
            if streamed and chunk(CREATED + DELTA) in script:
                await client.head()
                await client.piece()
            assert backend.open
            client.leave()
            await backend.until(lambda: not backend.open)
        assert (await server.reply(get("/healthz"))).status == 200
    assert len(backend.requests) == 1


@pytest.mark.parametrize("streamed", [True, False], ids=["stream", "whole"])
async def test_backend_is_left_after_a_large_request_too(streamed: bool) -> None:
    script: list[Step] = [head(), chunk(CREATED), HOLD]
    async with FaultyBackend(script) as backend, distant_door(backend.url, LOGIN) as server:
        async with raw.connect(server.port) as client:
            await client.send(post(RESPONSES, responses("x" * 900_000, stream=streamed)))
            await backend.until(lambda: bool(backend.requests))
            client.leave()
            await backend.until(lambda: not backend.open)


@pytest.mark.parametrize("streamed", [True, False], ids=["stream", "whole"])
async def test_backend_is_left_though_another_request_waits_behind(streamed: bool) -> None:
    script: list[Step] = [head(), chunk(CREATED), HOLD]
    async with FaultyBackend(script) as backend, distant_door(backend.url, LOGIN) as server:
        async with raw.connect(server.port) as client:
            await client.send(post(RESPONSES, responses(stream=streamed)))
            await backend.until(lambda: bool(backend.requests))
            await client.send(get("/healthz"))
            assert (await server.reply(get("/healthz"))).status == 200  # and so that one is read
            client.leave()
            await backend.until(lambda: not backend.open)


class Plain(uvicorn.Server):
    """uvicorn as it is, but that the signals stay the tests'."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@pytest.mark.parametrize("path", [CHAT, RESPONSES])
@pytest.mark.parametrize("http", ["h11", "httptools"])
async def test_another_server_does_as_well(path: str, http: Any) -> None:
    """The application has to make do with what ASGI tells."""
    body = (chat if path == CHAT else responses)(stream=True)
    script: list[Step] = [head(), chunk(CREATED), chunk(DELTA), chunk(DELTA), HOLD]
    async with FaultyBackend(script) as backend:
        settings = Settings(codex_home=Path("nowhere"), base_url=backend.url)
        async with Codex(settings, store=InMemory(LOGIN)) as codex:
            config = uvicorn.Config(create_app(codex, settings), http=http, log_config=None)
            listening, server = listen("127.0.0.1", 0), Plain(config)
            serving = asyncio.create_task(server.serve(sockets=[listening]))
            async with raw.connect(listening.getsockname()[1]) as client:
                await client.send(post(path, body))
                assert (await client.head()).status == 200
                told = b""
                while told.count(b"x" * 1000) < 2:
                    told += await client.piece()
                client.leave()
                await backend.until(lambda: not backend.open)
            server.should_exit = True
            await serving
    assert len(backend.requests) == 1


@pytest.mark.parametrize("streamed", [True, False], ids=["stream", "whole"])
async def test_backend_is_left_after_keep_alives_too(streamed: bool) -> None:
    backend = Stream()
    async with door(backend, keep_alive=0.02) as server, raw.connect(server.port) as client:
        await client.send(post(CHAT, chat(stream=streamed)))
        await backend.reached.wait()
        backend.answer()
        if streamed:
            await client.head()
            await client.piece()
        client.leave()
        await backend.closed.wait()


async def test_half_a_body_asks_the_backend_nothing() -> None:
    backend = Stream()
    async with door(backend) as server:
        async with raw.connect(server.port) as client:
            whole = post(CHAT, chat())
            await client.send(whole[:-5])
            client.leave()
        assert (await server.reply(get("/healthz"))).status == 200
    assert not backend.reached.is_set()


async def test_many_who_leave_do_not_wedge_the_connections_to_the_backend() -> None:
    answers = [b"", head(), head() + chunk(CREATED), head() + chunk(CREATED + DELTA)]
    running: set[Exchange] = set()

    async def answer(exchange: Exchange) -> None:
        if b"patient" in exchange.request.body:
            await exchange.send(stream(wire("text")))
            return
        running.add(exchange)
        await exchange.send(answers[len(backend.requests) % len(answers)])
        await HOLD(exchange)

    async with FaultyBackend(otherwise=[answer]) as backend:
        async with distant_door(backend.url, LOGIN) as server:

            async def leave(number: int) -> None:
                async with raw.connect(server.port) as client:
                    await client.send(post(CHAT, chat("rude", stream=number % 2 == 0)))
                    for _ in range(number):  # each a little later than the one before
                        await asyncio.sleep(0)
                    client.leave()

            for _ in range(4):
                await asyncio.gather(*(leave(number) for number in range(60)))
            await backend.until(lambda: all(exchange.gone.is_set() for exchange in running))
            for reply in await asyncio.gather(
                *(server.reply(post(CHAT, chat("patient"))) for _ in range(10))
            ):
                assert reply.status == 200, reply


async def test_one_who_does_not_read_holds_back_the_backend_and_nobody_else() -> None:
    script: list[Step] = [head(), chunk(CREATED), endless(chunk(DELTA))]
    async with FaultyBackend(script, otherwise=[stream(wire("text"))]) as backend:
        async with distant_door(backend.url, LOGIN) as server:
            async with raw.connect(server.port, limit=1024) as lazy:
                await lazy.send(post(RESPONSES, responses(stream=True)))
                await lazy.head()
                await lazy.piece()
                for _ in range(5):
                    reply = await server.reply(post(CHAT, chat()))
                    assert reply.status == 200
                lazy.leave()
                await backend.until(lambda: len(backend.open) <= 1)
