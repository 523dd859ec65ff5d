"""What is sent while the backend is silent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from starlette.types import Message, Scope
from tests.faulty import LAST_CHUNK, FaultyBackend, chunk, head
from tests.http_server import raw
from tests.http_server.doors import (
    MODEL,
    Stream,
    chat,
    distant,
    distant_door,
    door,
    encoded,
    responses,
)
from tests.http_server.raw import post
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
from tests.wire_files import events

from codexapi_engine import Codex, CodexError, Settings
from codexapi_engine.http.in_process import in_process
from codexapi_engine.login.store import InMemory
from codexapi_engine.protocol import sse
from codexapi_engine.protocol.responses import ResponseStream as PassThrough
from codexapi_engine.simulator import Simulator
from codexapi_http import create_app
from codexapi_http.pump import EventStreamResponse, Run

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(60)]


A_WHILE = 0.05


@BOTH
async def test_silence_is_filled_with_comments_and_the_status_no_longer_waits(path: str) -> None:
    backend = Stream()
    async with door(backend, keep_alive=A_WHILE) as server, raw.connect(server.port) as client:
        await client.send(post(path, streamed(path)))
        backend.answer()
        assert (await client.head()).status == 200
        assert await client.piece() == sse.KEEP_ALIVE
        assert await client.piece() == sse.KEEP_ALIVE
        backend.send(CREATED, delta("a"))
        told = await _next(client)
        assert said(path, told) == "a"
        assert await client.piece() == sse.KEEP_ALIVE
        backend.send(delta("b"), COMPLETED)
        told = await _next(client)
        assert (said(path, told), told[-len(sse.DONE) :]) == ("b", sse.DONE)


async def test_chat_is_kept_alive_while_the_model_reasons() -> None:
    """The backend has begun, and there is nothing to say yet."""
    backend = Stream()
    async with door(backend, keep_alive=A_WHILE) as server, raw.connect(server.port) as client:
        await client.send(post(CHAT, streamed(CHAT)))
        backend.send(CREATED)
        assert (await client.head()).status == 200
        assert await client.piece() == sse.KEEP_ALIVE
        backend.send({"type": "response.failed", "response": {"error": {"code": "server_error"}}})
        told = await _next(client)
        assert broken(CHAT, told)["code"] == "server_error"
        assert await client.piece() == b""


async def test_codex_client_is_kept_alive_by_events_since_it_does_not_count_comments() -> None:
    backend = Stream()
    async with door(backend, keep_alive=A_WHILE) as server, raw.connect(server.port) as client:
        asked = streamed(RESPONSES) | {"input": []}
        await client.send(post(RESPONSES, asked, "X-Codex-Window-Id: w:0"))
        backend.send(CREATED)
        assert (await client.head()).status == 200
        assert events(await client.piece())[0].type == "response.created"
        assert await client.piece() == b'data: {"type":"keepalive"}\n\n'


async def test_codex_client_s_request_and_stream_are_left_as_they_are() -> None:
    backend = Stream()
    async with door(backend, strict=True) as server, raw.connect(server.port) as client:
        asked = {"model": MODEL, "input": [], "stream": True, "temperature": 1, "unheard_of": [1]}
        sent = ["X-Codex-Window-Id: w:0", "Session-Id: s", "X-Codex-Turn-State: t", "X-Other: o"]
        await client.send(post(RESPONSES, asked, *sent))
        limits = {"type": "codex.rate_limits", "plan_type": "plus"}
        backend.send(CREATED, limits, {"type": "keepalive"}, COMPLETED)
        reply = await client.reply()
    assert backend.asked == asked | {"store": False}
    assert backend.headers["session-id"] == "s"
    assert backend.headers["x-codex-turn-state"] == "t"
    assert "x-other" not in backend.headers
    types = [event.type for event in events(reply.body)]
    assert types[:3] == ["response.created", "codex.rate_limits", "keepalive"]


async def test_silence_of_the_backend_has_a_limit_for_whole_replies() -> None:
    async with distant(Simulator(), timeout=A_WHILE) as server:
        for path, asked in (
            (CHAT, chat("[[silence 60]]")),
            (RESPONSES, responses("[[silence 60]]")),
        ):
            (await server.reply(post(path, asked))).refused(504, "upstream_timeout")


async def test_silence_before_the_status_is_given_is_a_status() -> None:
    async with distant(Simulator(), timeout=A_WHILE) as server:
        reply = await server.reply(post(CHAT, streamed(CHAT, "[[silence 60]]")))
        reply.refused(504, "upstream_timeout")


async def test_silence_in_a_stream_ends_it_with_an_error() -> None:
    async with distant(Simulator(), timeout=1.0, keep_alive=A_WHILE) as server:
        replies = await asyncio.gather(
            *(
                server.reply(post(path, streamed(path, "[[silence 60]]")))
                for path in (CHAT, RESPONSES)
            )
        )
    for path, reply in zip((CHAT, RESPONSES), replies, strict=True):
        assert reply.status == 200
        assert sse.KEEP_ALIVE in reply.body
        assert broken(path, reply.body)["code"] == "upstream_timeout"


@asynccontextmanager
async def unwritten(backend: Stream) -> AsyncIterator[tuple[EventStreamResponse, Scope]]:
    """A response whose backend has told nothing but its status."""
    settings = Settings(codex_home=Path("nowhere"), keep_alive=0.01)
    http, store = in_process(backend.handle), InMemory(LOGIN)
    async with Codex(settings, http=http, store=store) as codex:
        backend.answer()
        scope: Scope = {"type": "http", "app": create_app(codex), "headers": []}
        run = Run(await codex.open(responses()), PassThrough({}, created=0))
        yield EventStreamResponse(run, headers={}), scope


async def silent() -> Message:
    """A client that sends no more, and stays."""
    return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return]


async def test_stream_is_a_plain_asgi_response_that_ends_with_the_shutdown() -> None:
    backend, begun = Stream(), asyncio.Event()
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)
        begun.set()

    async with unwritten(backend) as (response, scope):
        writing = asyncio.create_task(response(scope, silent, send))
        backend.send(CREATED)
        await begun.wait()
        scope["app"].state.shutdown.watch(writing.cancel)
        scope["app"].state.shutdown.end_all()
        with pytest.raises(asyncio.CancelledError):
            await writing
    told = b"".join(message["body"] for message in sent[1:])
    assert broken(RESPONSES, told)["code"] == "shutting_down"
    assert sent[-1]["more_body"] is False
    assert backend.closed.is_set()


async def test_failure_before_the_status_is_raised() -> None:
    backend, sent = Stream(), []

    async def send(message: Message) -> None:
        sent.append(message)

    async with unwritten(backend) as (response, scope):
        backend.end()
        with pytest.raises(CodexError, match="ended before"):
            await response(scope, silent, send)
    assert sent == []
    assert backend.closed.is_set()


async def test_failure_after_a_silence_is_told_in_the_stream() -> None:
    backend = Stream()
    sent: list[Message] = []

    async def send(message: Message) -> None:
        if not sent:
            backend.end()  # the status is being told
        sent.append(message)

    async with unwritten(backend) as (response, scope):
        await response(scope, silent, send)
    assert sent[0]["status"] == 200
    told = b"".join(message["body"] for message in sent[1:])
    assert broken(RESPONSES, told)["code"] == "upstream_disconnected"
    assert sent[-1]["more_body"] is False


async def test_slow_client_is_not_sent_comments_besides() -> None:
    """Two writes at once, and the comment could come after the end."""
    backend, sending = Stream(), [0]
    sent: list[tuple[int, Message]] = []

    async def send(message: Message) -> None:
        if not sent:
            backend.send(CREATED, delta("a"), COMPLETED)  # while the status is being told
        sending[0] += 1
        sent.append((sending[0], message))
        await asyncio.sleep(0.05)  # five keep-alive intervals
        sending[0] -= 1

    async with unwritten(backend) as (response, scope):
        await response(scope, silent, send)
    assert [together for together, _ in sent] == [1] * len(sent)
    assert sent[0][1]["type"] == "http.response.start"
    assert sent[-1][1]["more_body"] is False


@pytest.mark.parametrize("first", [True, False])
async def test_large_event_comes_whole_before_the_next_one_does(first: bool) -> None:
    """More than one write takes, and no last event: the picture of a run that goes on."""
    picture = {"type": "response.image_generation_call.partial_image", "item_id": "ig_1"}
    drawn = encoded({**picture, "output_index": 0, "partial_image_b64": "A" * 1_000_000})
    seen, gone = asyncio.Event(), asyncio.Event()
    begun = (
        [chunk(encoded(CREATED) + drawn)]
        if first
        else [chunk(encoded(CREATED)), seen, chunk(drawn)]
    )
    script = [head(), *begun, gone, chunk(encoded(delta("b"), COMPLETED)), LAST_CHUNK]
    async with FaultyBackend(script) as backend, distant_door(backend.url, LOGIN) as server:
        async with raw.connect(server.port) as client:
            await client.send(post(RESPONSES, responses(stream=True)))
            await client.head()
            told = await client.piece()
            seen.set()
            while told.count(b"A") < 1_000_000 or not told.endswith(b"\n\n"):
                told += await client.piece()
            gone.set()
            told += b"".join([piece async for piece in client.pieces()])
    kinds = [event.type for event in sse.Decoder().feed(told)]
    drawn_at = kinds.index(picture["type"])
    assert drawn_at < kinds.index("response.output_text.delta")
    assert told.endswith(sse.DONE)


async def _next(client: raw.Connection) -> bytes:
    """The next piece that is not a comment."""
    while (piece := await client.piece()) == sse.KEEP_ALIVE:
        pass
    return piece
