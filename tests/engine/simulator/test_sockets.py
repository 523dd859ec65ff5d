"""The simulated backend on a socket, and as an ASGI application."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx
import pytest
import uvicorn
from tests.clock import Clock
from tests.engine.simulator.exchanges import (
    NOW,
    RESPONSES,
    Answer,
    Bed,
    JsonObject,
    body,
    listed,
    signed,
)

from codexapi_engine.http.failures import NetworkError
from codexapi_engine.http.in_process import in_process
from codexapi_engine.http.messages import HttpRequest, Url
from codexapi_engine.protocol.responses import TERMINAL
from codexapi_engine.simulator import Simulator
from codexapi_engine.simulator.asgi import app


@asynccontextmanager
async def served(simulator: Simulator) -> AsyncIterator[httpx.AsyncClient]:
    """The simulator on a loopback port, and a client that is signed."""
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app(simulator), log_level="critical", ws="none", lifespan="on")
    server = uvicorn.Server(config)
    serving = asyncio.ensure_future(server.serve(sockets=[listening]))
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    try:
        async with httpx.AsyncClient(
            base_url=url, headers=signed(simulator), timeout=30, trust_env=False
        ) as client:
            yield client
    finally:
        server.should_exit = True
        await serving
        listening.close()


async def test_a_socket_carries_the_same_answers() -> None:
    simulator = Simulator(clock=Clock(NOW))
    async with served(simulator) as client:
        answer = await client.post(RESPONSES, json=body("[[say Hello.]]"))
        assert answer.status_code == 200
        assert "content-type" not in answer.headers
        assert Answer(200, {}, [answer.content]).text == "Hello."
        models = await client.get(listed("0.169.0"))
        assert len(models.json()["models"]) == 14
        unchanged = await client.get(
            listed("0.169.0"), headers={"if-none-match": models.headers["etag"]}
        )
        assert unchanged.status_code == 304
        refused = await client.get(listed("0.169.0"), headers={"authorization": "Bearer no"})
        assert refused.status_code == 401


async def test_a_client_that_hangs_up_ends_its_run() -> None:
    bed = Bed()
    simulator = Simulator(sleep=bed)
    async with served(simulator) as client:
        asked_for = body("[[long 5]] [[slow 60]]")
        async with client.stream("POST", RESPONSES, json=asked_for) as answer:
            await anext(answer.aiter_raw())
            await bed.asleep.wait()
            assert simulator.open_streams == 1
        await asyncio.wait_for(bed.left.wait(), 30)
    assert (simulator.open_streams, simulator.cancelled) == (0, 1)


async def test_a_dropped_connection_is_broken_on_the_socket() -> None:
    simulator = Simulator()
    async with served(simulator) as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.post(RESPONSES, json=body("[[drop 2]]"))
        ended = await client.post(RESPONSES, json=body("[[cut 2]]"))
    assert not TERMINAL & set(Answer(200, {}, [ended.content]).types)


@pytest.mark.parametrize(
    "framing", [b"content-length: 2000\r\n\r\n", b"transfer-encoding: chunked\r\n\r\n7d0\r\n"]
)
async def test_a_body_that_is_too_large_breaks_the_connection_before_a_status(
    framing: bytes,
) -> None:
    simulator = Simulator(max_body=1000)
    async with served(simulator) as client:
        reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
        writer.write(b"POST /responses HTTP/1.1\r\nhost: a\r\n" + framing + b"a" * 1500)
        with suppress(ConnectionResetError):
            assert await reader.read() == b""
        writer.close()
        assert (await client.post(RESPONSES, json=body("a"))).status_code == 200
    assert (simulator.dropped, simulator.runs, len(simulator.requests)) == (1, 1, 1)


async def test_a_body_that_is_too_large_breaks_in_this_process_too() -> None:
    simulator = Simulator(max_body=1000)
    road = in_process(simulator.handle)
    content = json.dumps(body("a" * 1000)).encode()
    url = Url.parse(f"http://simulated{RESPONSES}")
    with pytest.raises(NetworkError):
        await road.send(HttpRequest("POST", url, signed(simulator), content))
    assert simulator.dropped == 1


async def test_a_client_that_leaves_before_a_late_status_is_noticed() -> None:
    bed = Bed()
    simulator = Simulator(sleep=bed)
    async with served(simulator) as client:
        asking = asyncio.ensure_future(client.post(RESPONSES, json=body("[[late 60]]")))
        await bed.asleep.wait()
        asking.cancel()
        await asyncio.wait_for(bed.left.wait(), 30)
    assert (simulator.runs, simulator.open_streams) == (0, 0)


async def over_asgi(simulator: Simulator, *received: JsonObject) -> list[JsonObject]:
    """What the application sends for a POST to /responses."""
    coming = iter(received)
    sent: list[JsonObject] = []

    async def receive() -> JsonObject:
        message = next(coming, None)
        return message if message is not None else await asyncio.Future[JsonObject]()

    async def send_it(message: JsonObject) -> None:
        sent.append(message)

    headers = [(name.encode(), value.encode()) for name, value in signed(simulator).items()]
    scope: JsonObject = {"type": "http", "method": "POST", "path": RESPONSES, "query_string": b""}
    await app(simulator)({**scope, "headers": headers}, receive, send_it)
    return sent


def sending(prompt: str, **more: Any) -> JsonObject:
    return {"type": "http.request", "body": json.dumps(body(prompt)).encode(), **more}


async def test_a_dropped_connection_is_left_unfinished_without_an_exception() -> None:
    sent = await over_asgi(Simulator(), sending("[[drop 2]]"))
    assert sent[0]["status"] == 200
    assert sent[-1]["more_body"] is True
    whole = await over_asgi(Simulator(), sending("hello"))
    assert not whole[-1].get("more_body")


async def test_a_client_that_leaves_while_it_sends_starts_no_run() -> None:
    simulator = Simulator()
    gone = {"type": "http.disconnect"}
    assert await over_asgi(simulator, sending("hello", more_body=True), gone) == []
    assert simulator.runs == 0


async def test_a_websocket_is_told_to_take_http() -> None:
    upgrade = {"connection": "upgrade", "upgrade": "websocket"}
    async with served(Simulator()) as client:
        assert (await client.get(RESPONSES, headers=upgrade)).status_code == 426


@pytest.mark.parametrize(
    ("extensions", "said"),
    [
        ({"websocket.http.response": {}}, "websocket.http.response.start"),
        ({}, "websocket.close"),
    ],
)
async def test_a_server_with_websockets_gets_a_refusal(extensions: JsonObject, said: str) -> None:
    sent: list[JsonObject] = []

    async def send_it(message: JsonObject) -> None:
        sent.append(message)

    async def receive() -> JsonObject:
        return {"type": "websocket.connect"}

    await app(Simulator())({"type": "websocket", "extensions": extensions}, receive, send_it)
    assert sent[0]["type"] == said
    assert sent[0].get("status", 426) == 426
