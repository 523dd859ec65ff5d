"""How a WebSocket begins, and what it bears."""

from __future__ import annotations

import asyncio
import socket as sockets
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.http_server import raw
from tests.http_server.doors import Stream, door, encoded
from tests.http_server.raw import JsonObject, get, masked
from tests.http_server.socket_events import BEGINNING, END, KEY, OFFER, Streams, nothing, streaming
from tests.http_server.sockets import client, create, text_of
from websockets.exceptions import InvalidStatus

from codexapi_engine.protocol import json
from codexapi_engine.simulator import Simulator


def delta(number: int, text: str = "x") -> JsonObject:
    return {
        "type": "response.output_text.delta", "sequence_number": number, "item_id": "msg_1",
        "output_index": 0, "content_index": 0, "delta": text,
    }  # fmt: skip


# How it begins.


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"Authorization": "Bearer wrong"}, 401, "invalid_api_key"),
        ({}, 401, "invalid_api_key"),
        ({"Authorization": "Bearer right", "Origin": "https://evil.example"}, 403, "origin_not_allowed"),
        ({"Authorization": "Bearer right", "Sec-Fetch-Site": "cross-site"}, 403, "cross_site"),
        ({"Authorization": "Bearer right", "Origin": "null"}, 403, "origin_not_allowed"),
    ],
)  # fmt: skip
async def test_who_may_not_call_is_refused_by_http(
    headers: dict[str, str], status: int, code: str
) -> None:
    backend = Simulator()
    async with door(backend, api_key="right", cors=("https://page.example",)) as opened:
        with pytest.raises(InvalidStatus) as refused:
            await client(opened.port, additional_headers=headers).__aenter__()
        assert refused.value.response.status_code == status
        assert json.loads(bytes(refused.value.response.body or b""))["error"]["code"] == code
    assert not backend.requests


async def test_an_allowed_page_with_the_key_is_let_in() -> None:
    headers = {"Authorization": "Bearer right", "Origin": "https://page.example"}
    async with door(Simulator(), api_key="right", cors=("https://page.example",)) as opened:
        async with client(opened.port, additional_headers=headers) as socket:
            assert text_of(await socket.ask("[[say hi]]")) == "hi"


async def test_another_host_is_refused_by_http() -> None:
    async with door(Simulator()) as opened:
        reply = await opened.reply(get("/v1/responses", *OFFER, host="evil.example"))
        reply.refused(421, "host_not_allowed")


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ((), 426, "upgrade_required"),
        (("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 12",
          f"Sec-WebSocket-Key: {KEY}"), 426, "invalid_handshake"),
        (("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"),
         400, "invalid_handshake"),
        (("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
          "Sec-WebSocket-Key: AAAA"), 400, "invalid_handshake"),
        (("Upgrade: websocket", "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {KEY}"),
         426, "upgrade_required"),
    ],
)  # fmt: skip
async def test_what_is_no_handshake_is_refused_and_http_goes_on(
    headers: tuple[str, ...], status: int, code: str
) -> None:
    async with door(Simulator()) as opened, raw.connect(opened.port) as connection:
        await connection.send(get("/v1/responses", *headers) + get("/healthz"))
        reply = await connection.reply()
        reply.refused(status, code)
        if status == 426:
            assert reply.headers["upgrade"] == "websocket"
        assert (await connection.reply()).status == 200


async def test_frames_right_behind_the_handshake_are_read() -> None:
    early = masked(json.dumps(create("[[say early]]")))
    async with door(Simulator()) as opened, raw.connect(opened.port) as connection:
        await connection.send(get("/healthz") + get("/v1/responses", *OFFER) + early[:9])
        assert (await connection.reply()).status == 200
        head = await connection.head()
        assert (head.status, head.headers["upgrade"]) == (101, "websocket")
        assert "sec-websocket-extensions" not in head.headers
        await connection.send(early[9:])
        await connection.until(b"response.completed")


async def test_the_path_in_the_log_has_no_query(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    async with door(Simulator()) as opened:
        async with client(opened.port, path="/v1/responses?key=secret-1") as socket:
            await socket.ask("hi there, secret-2")
    lines = [record.getMessage() for record in caplog.records if record.name == "codexapi.http"]
    assert [line.split()[:3] for line in lines] == [
        ["GET", "/v1/responses", "101"],
        ["WS", "/v1/responses", "200"],
    ]
    assert "tokens" in lines[1]
    assert not any("secret" in record.getMessage() for record in caplog.records)


# What it bears.


async def test_a_create_behind_a_long_run_waits_and_pings_are_answered() -> None:
    """A server that does not read while it works takes its client for dead."""
    async with streaming(2, keep_alive=0.01) as (opened, streams):
        async with client(opened.port, ping_interval=0.01, ping_timeout=2) as socket:
            await socket.send(create("one"), create("two"))
            await streams[0].reached.wait()
            for _ in range(20):  # a ping of ours is answered, each behind the waiting create
                await (await socket.connection.ping())
            assert not streams[1].reached.is_set()
            streams[0].send(*BEGINNING, END)
            streams[1].send(*BEGINNING, END)
            for _ in range(2):
                assert (await socket.rest())[-1]["type"] == "response.completed"


async def test_sixteen_runs_are_made_at_a_time() -> None:
    async with streaming(17) as (opened, streams):
        async with client(opened.port) as socket:
            await socket.send(*(create(stream_id=f"l{number}") for number in range(17)))
            for stream in streams[:16]:
                await stream.reached.wait()
            await (await socket.connection.ping())
            assert not streams[16].reached.is_set()
            streams[3].send(*BEGINNING, END)
            await streams[16].reached.wait()


async def test_a_client_that_asks_for_more_than_may_wait_is_not_read() -> None:
    async with streaming(50) as (opened, streams):
        async with client(opened.port) as socket:

            async def ask() -> None:
                await socket.send(*(create("x" * 40_000) for _ in streams))
                await (await socket.connection.ping())

            asking = asyncio.create_task(ask())
            await streams[0].reached.wait()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(asyncio.shield(asking), 0.3)
            for stream in streams:
                await stream.reached.wait()
                stream.send(*BEGINNING, END)
                await socket.rest()
            await asking


class Endless:
    """A backend that says 64 MB."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()

    async def handle(self, method: str, target: str, headers: Any, body: bytes) -> Any:
        return 200, {}, self._chunks() if target.endswith("/responses") else nothing()

    async def _chunks(self) -> AsyncIterator[bytes]:
        yield encoded(*BEGINNING)
        for number in range(1000):
            yield encoded(delta(number + 1, "x" * 65536))
        self.ended.set()
        yield encoded(END)


async def test_a_slow_reader_holds_the_backend_back() -> None:
    backend = Endless()
    async with door(backend) as opened, raw.connect(opened.port, limit=2**20) as connection:
        await connection.send(get("/v1/responses", *OFFER))
        assert (await connection.head()).status == 101
        await connection.send(masked(json.dumps(create())))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(backend.ended.wait(), 0.5)
        while b"response.completed" not in await connection.some():
            pass


async def test_a_flood_of_pings_that_nobody_hears_is_not_read() -> None:
    async with streaming() as (opened, _):
        with sockets.create_connection(("127.0.0.1", opened.port)) as flood:
            flood.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
            flood.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(flood, get("/v1/responses", *OFFER))
            ping = masked(b"p" * 125, 0x89) * 1000
            with pytest.raises(TimeoutError):  # 50 MB
                await asyncio.wait_for(loop.sock_sendall(flood, ping * 400), 1)


async def test_a_message_in_pieces_is_one() -> None:
    data = json.dumps(create("[[say pieces]]"))
    frames = masked(data[:10], 0x01) + masked(b"ping", 0x89) + masked(data[10:20], 0x00)
    frames += masked(data[20:], 0x80)
    async with door(Simulator()) as opened, raw.connect(opened.port) as connection:
        await connection.send(get("/v1/responses", *OFFER) + frames)
        assert (await connection.head()).status == 101
        await connection.until(b"response.completed")


async def test_a_large_event_is_one_frame_among_those_of_other_lanes() -> None:
    """It is translated in pieces, between which others are written."""
    picture = {
        "type": "response.image_generation_call.partial_image", "sequence_number": 1,
        "item_id": "ig_1", "output_index": 0, "partial_image_b64": "A" * 3_000_000,
    }  # fmt: skip
    async with streaming(2) as (opened, streams):
        async with client(opened.port) as socket:
            await socket.send(create(stream_id="a"), create(stream_id="b"))
            for stream in streams:
                await stream.reached.wait()
            for number, stream in enumerate(streams):
                stream.send(*BEGINNING, picture, *(delta(n) for n in range(2, 5 + number)), END)
            ends = 0
            pictures = []
            while ends < 2:
                event = await socket.event()
                ends += event["type"] == "response.completed"
                pictures += [event] if "partial_image_b64" in event else []
    assert {event["stream_id"] for event in pictures} == {"a", "b"}
    assert {len(event["partial_image_b64"]) for event in pictures} == {3_000_000}


async def test_a_type_that_stands_in_the_name_of_an_event_alone_is_in_the_message() -> None:
    async with streaming() as (opened, (stream,)):
        async with client(opened.port) as socket:
            await socket.send(create())
            stream.send(*BEGINNING)
            stream.send_bytes(b'event: response.news\ndata: {"sequence_number":1,"news":"x"}\n\n')
            stream.send(END)
            events = await socket.rest()
    assert {"type": "response.news", "sequence_number": 1, "news": "x"} in events


async def test_a_stream_that_breaks_ends_in_an_error_with_a_status_and_a_number() -> None:
    async with streaming() as (opened, (stream,)):
        async with client(opened.port) as socket:
            await socket.send(create(stream_id="a"))
            stream.send(*BEGINNING, delta(1))
            stream.end()
            *_, before, error = await socket.rest()
            assert (error["type"], error["status"], error["stream_id"]) == ("error", 502, "a")
            assert error["error"]["code"] == "upstream_disconnected"
            assert error["sequence_number"] == before["sequence_number"] + 1


async def test_a_codex_client_is_kept_alive_by_events_and_others_are_not() -> None:
    """Its idle timer does not count pings."""
    async with streaming(2, keep_alive=0.02) as (opened, streams):
        window = {"x-codex-window-id": "w:0"}
        async with (
            client(opened.port, additional_headers=window) as codex,
            client(opened.port) as other,
        ):
            await codex.send(create([], store=False))
            await streams[0].reached.wait()
            await other.send(create())
            assert [(await codex.event())["type"] for _ in range(3)] == ["keepalive"] * 3
            for stream in streams:
                stream.send(*BEGINNING, END)
            assert (await other.event())["type"] == "response.created"


async def test_a_codex_client_has_its_limits_and_its_turn_token_as_events() -> None:
    headers = {
        "x-codex-turn-state": "token-1", "x-codex-plan-type": "pro",
        "x-codex-primary-used-percent": "42", "x-codex-primary-window-minutes": "300",
        "x-codex-primary-reset-at": "1795332700", "x-codex-credits-has-credits": "True",
        "x-codex-credits-unlimited": "False", "x-codex-credits-balance": "12.5",
    }  # fmt: skip
    stream = Stream(headers)
    async with door(stream_only(stream)) as opened:
        window = {"x-codex-window-id": "w:0"}
        async with client(opened.port, additional_headers=window) as socket:
            await socket.send(create([{"role": "user", "content": "hi"}], store=False))
            stream.send(*BEGINNING, END)
            metadata, limits, *events = await socket.rest()
    assert metadata["type"] == "response.metadata"
    assert metadata["headers"].items() >= headers.items()
    assert limits == {
        "type": "codex.rate_limits", "plan_type": "pro",
        "rate_limits": {
            "allowed": True, "limit_reached": False, "secondary": None,
            "primary": {"used_percent": 42.0, "window_minutes": 300, "reset_at": 1795332700},
        },
        "credits": {"has_credits": True, "unlimited": False, "balance": "12.5"},
    }  # fmt: skip
    assert [event["type"] for event in events] == ["response.created", "response.completed"]


def stream_only(stream: Stream) -> Streams:
    backend = Streams(0)
    backend.streams.append(stream)
    return backend
