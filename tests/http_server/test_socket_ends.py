"""How a WebSocket ends."""

from __future__ import annotations

import asyncio
import struct
from typing import Any

import pytest
from tests.http_server import raw
from tests.http_server.doors import door
from tests.http_server.raw import JsonObject, get, masked
from tests.http_server.socket_events import BEGINNING, END, OFFER, streaming
from tests.http_server.sockets import Client, client, create

from codexapi_engine.bounds import MAX_BODY_BYTES
from codexapi_engine.protocol import json
from codexapi_engine.simulator import Simulator
from codexapi_http.server.uvicorn_protocol import Deadlines


class Broken:
    """A backend that ends in a bug of its own."""

    async def handle(self, method: str, target: str, headers: Any, body: bytes) -> Any:
        raise RuntimeError("a bug")


async def test_a_bug_closes_with_1011_and_stays_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with door(Broken()) as opened:
        async with client(opened.port) as socket:
            await socket.send(create())
            assert await socket.close_code() == 1011
    (record,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert record.exc_info is not None


async def test_closing_ends_the_run_at_the_backend() -> None:
    async with streaming() as (opened, (stream,)):
        async with client(opened.port) as socket:
            await socket.send(create())
            await stream.reached.wait()
            stream.send(*BEGINNING)
            await socket.event()
        await stream.closed.wait()


async def test_a_client_that_vanishes_ends_its_runs() -> None:
    async with streaming(2) as (opened, streams):
        async with client(opened.port) as socket:
            await socket.send(create(stream_id="a"), create(stream_id="b"), create(stream_id="b"))
            for stream in streams:
                await stream.reached.wait()
            socket.connection.transport.abort()
            for stream in streams:
                await stream.closed.wait()


async def test_half_a_connection_ends_its_run() -> None:
    """The client sends nothing more, and says no close."""
    async with streaming() as (opened, (stream,)):
        async with raw.connect(opened.port) as connection:
            await connection.send(get("/v1/responses", *OFFER))
            assert (await connection.head()).status == 101
            await connection.send(masked(json.dumps(create())))
            await stream.reached.wait()
            connection.end()
            await stream.closed.wait()


async def test_a_client_that_answers_no_ping_is_gone() -> None:
    """Its machine is off, or its network: no close will come."""
    async with streaming(deadlines=Deadlines(silence=0.05), keep_alive=0.02) as (opened, (stream,)):
        async with raw.connect(opened.port) as connection:
            await connection.send(get("/v1/responses", *OFFER))
            await connection.send(masked(json.dumps(create())))
            await stream.reached.wait()
            await stream.closed.wait()


async def test_a_client_that_answers_pings_stays() -> None:
    async with streaming(deadlines=Deadlines(silence=0.4), keep_alive=0.01) as (opened, (stream,)):
        async with client(opened.port) as socket:
            await socket.send(create())
            await stream.reached.wait()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(stream.closed.wait(), 0.8)
            stream.send(*BEGINNING, END)
            assert (await socket.rest())[-1]["type"] == "response.completed"


@pytest.mark.parametrize("pieces", [[masked(b"x" * 400)[:200]], [masked(b"{", 0x01)]])
async def test_half_a_message_that_pauses_closes_with_1008(pieces: list[bytes]) -> None:
    async with door(Simulator(), deadlines=Deadlines(body=0.05), keep_alive=0.02) as opened:
        async with raw.connect(opened.port) as connection:
            await connection.send(get("/v1/responses", *OFFER))
            assert (await connection.head()).status == 101
            for piece in pieces:
                await connection.send(piece)
            await connection.until(struct.pack("!H", 1008))


async def test_half_a_large_message_counts_until_it_is_gone() -> None:
    half = masked(bytes(2**20))[: 2**19]
    async with door(Simulator()) as opened:
        bodies = opened.app.state.bodies
        async with client(opened.port) as other, raw.connect(opened.port) as connection:
            await connection.send(get("/v1/responses", *OFFER) + half)
            assert (await connection.head()).status == 101
            while not bodies.size:
                await (await other.connection.ping())
            assert bodies.size > 2**18
        while bodies.size:  # noqa: ASYNC110  (the server's own turn)
            await asyncio.sleep(0)


async def test_too_large_a_message_closes_with_1009() -> None:
    """The client hears why, though it has not sent all of it."""
    async with streaming() as (opened, (stream,)):
        async with raw.connect(opened.port) as connection:
            large = masked(bytes(MAX_BODY_BYTES + 2**23))
            await connection.send(get("/v1/responses", *OFFER) + masked(json.dumps(create())))
            assert (await connection.head()).status == 101
            await stream.reached.wait()
            await connection.send(large[: len(large) // 2])
            await connection.until(struct.pack("!H", 1009))
            await connection.send(large[len(large) // 2 :])
            await stream.closed.wait()


@pytest.mark.parametrize(
    ("frame", "code"),
    [(masked(b"\xff\xfe"), 1007), (b"\x81\x02hi", 1002), (masked(b"", 0x83), 1002)],
    ids=["not UTF-8", "not masked", "an unknown opcode"],
)
async def test_what_is_no_websocket_message_closes(frame: bytes, code: int) -> None:
    async with door(Simulator()) as opened, raw.connect(opened.port) as connection:
        await connection.send(get("/v1/responses", *OFFER))
        assert (await connection.head()).status == 101
        await connection.send(frame)
        await connection.until(struct.pack("!H", code))


async def test_after_its_lifetime_it_ends_when_its_runs_have() -> None:
    async with streaming(deadlines=Deadlines(socket=0.05)) as (opened, (stream,)):
        async with client(opened.port) as socket:
            await socket.send(create())
            await stream.reached.wait()
            error = await until_refused(socket)
            assert error["error"]["code"] == "websocket_connection_limit_reached"
            stream.send(*BEGINNING, END)
            events = await socket.rest()
            assert events[-1]["type"] == "response.completed"
            assert (await socket.event())["error"]["code"] == error["error"]["code"]
            assert await socket.close_code() == 1000


async def until_refused(socket: Client) -> JsonObject:
    """The first error for a warm-up, asked for again and again."""
    while True:
        await socket.send(create([], generate=False, stream_id="probe"))
        (*_, last) = await socket.rest()
        if last["type"] == "error":
            return last
