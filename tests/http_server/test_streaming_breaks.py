"""Streams that break, on either side."""

from __future__ import annotations

import asyncio

import pytest
from tests.faulty import FIN, LAST_CHUNK, RST, FaultyBackend, Step, chunk, head
from tests.http_server import raw
from tests.http_server.doors import (
    Door,
    Stream,
    chat,
    distant,
    distant_door,
    door,
    encoded,
    responses,
)
from tests.http_server.raw import JsonObject, post
from tests.http_server.streaming import (
    BOTH,
    CHAT,
    COMPLETED,
    CREATED,
    LOGIN,
    RESPONSES,
    broken,
    delta,
    said,
    streamed,
)
from tests.wire_files import events, wire

from codexapi_engine import CodexError
from codexapi_engine.http.event_stream import OnEvents
from codexapi_engine.protocol import sse
from codexapi_engine.protocol.responses import ResponseStream as PassThrough
from codexapi_engine.simulator import Simulator
from codexapi_http.pump import Run

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(60)]


CUT = [LAST_CHUNK]  # HTTP is in order, and the last event is missing
HALF = [chunk(encoded(delta("lost"))[:-9]), LAST_CHUNK]
BAD_CHUNK = [b"nonsense\r\n"]


@BOTH
@pytest.mark.parametrize(
    ("script", "code"),
    [
        (CUT, "upstream_disconnected"),
        (HALF, "upstream_disconnected"),
        ([FIN], "upstream_disconnected"),
        ([RST], "upstream_disconnected"),
        (BAD_CHUNK, "upstream_disconnected"),
        ([chunk(encoded({"type": "error", "code": "slow_down"}))], "slow_down"),
        ([chunk(encoded({"type": "error", "error": {"code": "bio_policy"}}))], "bio_policy"),
    ],
    ids=["cut", "half an event", "closed", "reset", "bad chunk", "error", "nested error"],
)
async def test_broken_stream_ends_with_one_error_in_the_form_of_its_dialect(
    path: str, script: list[Step], code: str
) -> None:
    seen = asyncio.Event()
    backend = FaultyBackend([head(), chunk(encoded(CREATED, delta("All is"))), seen, *script])
    async with backend, distant_door(backend.url, LOGIN) as server:
        async with raw.connect(server.port) as client:
            await client.send(post(path, streamed(path)))
            assert (await client.head()).status == 200
            told = await client.piece()
            assert said(path, told) == "All is"
            seen.set()
            told = b"".join([piece async for piece in client.pieces()])
            assert broken(path, told)["code"] == code
            # The HTTP answer itself is whole, so the connection goes on.
            await client.send(raw.get("/healthz"))
            assert (await client.reply()).status == 200
    assert len(backend.requests) == 1, "never tried again after output"


@pytest.mark.parametrize("path", [CHAT, RESPONSES])
async def test_a_stream_with_an_unreadable_event_ends_with_an_error(path: str) -> None:
    seen = asyncio.Event()
    junk = chunk(b"event: response.output_text.delta\ndata: {nonsense\n\n")
    backend = FaultyBackend([head(), chunk(encoded(CREATED, delta("All is"))), seen, junk])
    async with backend, distant_door(backend.url, LOGIN) as server:
        async with raw.connect(server.port) as client:
            await client.send(post(path, streamed(path)))
            await client.head()
            assert said(path, await client.piece()) == "All is"
            seen.set()
            told = b"".join([piece async for piece in client.pieces()])
    assert broken(path, told)["code"] == "upstream_protocol_error"


@pytest.mark.parametrize(
    "script", ["cut 0", "cut 3", "drop 3", "error server_error", "empty", "bad_json"]
)
async def test_broken_run_is_never_a_whole_reply(script: str) -> None:
    async with distant(Simulator()) as server:
        for path, asked in ((CHAT, chat), (RESPONSES, responses)):
            reply = await server.reply(post(path, asked(f"[[long 9]] [[{script}]]")))
            assert reply.status == 502, reply
            assert reply.error["type"] == "server_error"


@pytest.mark.parametrize("name", ["failed_midway", "dropped_midway"])
async def test_output_that_came_with_a_failure_is_kept(name: str) -> None:
    backend = Stream()
    async with door(backend) as server, raw.connect(server.port) as client:
        await client.send(post(CHAT, streamed(CHAT)))
        backend.send_bytes(wire(name))
        backend.end()
        reply = await client.reply()
    assert reply.status == 200
    assert said(CHAT, reply.body)
    broken(CHAT, reply.body)


async def test_to_stop_early_is_no_failure(server: Door) -> None:
    prompt = "[[long 9]] [[incomplete max_output_tokens]]"
    reply = await server.reply(post(CHAT, streamed(CHAT, prompt)))
    assert b'"finish_reason":"length"' in reply.body
    assert reply.body.endswith(sse.DONE)
    reply = await server.reply(post(RESPONSES, streamed(RESPONSES, prompt)))
    assert events(reply.body)[-2].type == "response.incomplete"
    assert reply.body.endswith(sse.DONE)


class Recorded:
    """A sink that keeps each write, and what was done between."""

    def __init__(self) -> None:
        self.seen: list[bytes | str] = []

    def write(self, data: bytes) -> bool:
        self.seen.append(data)
        return True

    async def drain(self) -> None:
        self.seen.append("drained")


class Scripted:
    """Events that are pushed one by one, each in a batch of its own."""

    def __init__(self, sink: Recorded, *payloads: JsonObject) -> None:
        self._sink = sink
        self._left = [sse.Event(encoded(payload).rstrip()) for payload in payloads]

    async def push(self, on_events: OnEvents) -> bool:
        while self._left:
            if not on_events([self._left.pop(0)]):
                break
        return bool(self._left)

    async def aclose(self) -> None:
        self._sink.seen.append("closed")


async def test_a_run_is_closed_and_stored_before_its_end_is_written() -> None:
    sink = Recorded()

    async def store(run: Run) -> None:
        sink.seen.append("stored")

    stream = Scripted(sink, CREATED, COMPLETED, delta("behind the end"))
    last = await Run(stream, PassThrough({}, created=0), store).pump(sink)
    first, *others = sink.seen
    assert [event.type for event in events(bytes(first))] == ["response.created"]  # type: ignore[arg-type]
    assert others == ["closed", "stored"]
    assert last.endswith(sse.DONE)
    assert b"response.completed" in last


async def test_what_came_before_a_failure_is_written_and_nothing_is_stored() -> None:
    sink = Recorded()
    failed = {"type": "error", "code": "slow_down", "message": "Wait."}
    stream = Scripted(sink, CREATED, failed, delta("behind it"))
    run = Run(stream, PassThrough({}, created=0), lambda run: sink.seen.append("stored"))
    with pytest.raises(CodexError, match="Wait"):
        await run.pump(sink)
    (only,) = sink.seen
    assert b"response.created" in bytes(only)  # type: ignore[arg-type]
