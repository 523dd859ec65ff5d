"""Streams: when the status is given, what fills silence, and how they end when they break."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Message, Scope
from tests.faulty import FIN, LAST_CHUNK, RST, FaultyBackend, Step, chunk, head, whole
from tests.http_server import raw
from tests.http_server.doors import (
    MODEL,
    Door,
    Stream,
    chat,
    distant,
    distant_door,
    door,
    encoded,
    responses,
)
from tests.http_server.raw import JsonObject, Reply, post
from tests.logins import auth_json
from tests.wire_files import events, table, wire

from codexapi_engine import Codex, CodexError, Settings
from codexapi_engine.http.event_stream import OnEvents
from codexapi_engine.http.in_process import in_process
from codexapi_engine.login.store import InMemory
from codexapi_engine.protocol import sse
from codexapi_engine.protocol.responses import ResponseStream as PassThrough
from codexapi_engine.simulator import Simulator
from codexapi_http import create_app
from codexapi_http.pump import EventStreamResponse, Run

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(60)]

CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"
BOTH = pytest.mark.parametrize("path", [CHAT, RESPONSES])
LOGIN = auth_json(exp=4_000_000_000)
A_WHILE = 0.05
"""Seconds: a keep-alive interval that a test can wait for."""

CREATED = {"type": "response.created", "response": {"id": "resp_1", "created_at": 5}}
COMPLETED = {"type": "response.completed", "response": {"id": "resp_1", "status": "completed"}}


def delta(text: str) -> JsonObject:
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    return {"type": "response.output_text.delta", **place, "delta": text}


def streamed(path: str, prompt: str = "hi", **more: Any) -> JsonObject:
    return (chat if path == CHAT else responses)(prompt, stream=True, **more)


async def on_every_road(server: Door, prompt: str) -> list[Reply]:
    """What becomes of a prompt on both paths, as a stream and whole."""
    asked = [(path, streamed(path, prompt)) for path in (CHAT, RESPONSES)]
    asked += [(path, body | {"stream": False}) for path, body in asked]
    return await asyncio.gather(*(server.reply(post(path, body)) for path, body in asked))


def said(path: str, told: bytes) -> str:
    """The text in what a client got."""
    found = [event for event in events(told) if event.data != b"[DONE]"]
    if path == CHAT:
        parts = [event.json["choices"][0]["delta"] for event in found if event.json["choices"]]
        return "".join(part.get("content") or "" for part in parts)
    return "".join(event.json["delta"] for event in found if event.type.endswith("text.delta"))


def broken(path: str, told: bytes) -> JsonObject:
    """The error object that a stream ends in, in the form of its dialect."""
    assert b"[DONE]" not in told
    *before, last = events(told)
    assert not any(b'"error":{' in event.data for event in before), "one error is enough"
    error: JsonObject = last.json["error"]
    assert list(error)[:4] == ["message", "type", "param", "code"]
    if path == CHAT:
        whole = {"id", "object", "created", "model", "choices", "error"}
        assert set(last.json) == whole
        assert last.json["object"] == "chat.completion.chunk"
        assert last.json["choices"][0]["finish_reason"] is None
    else:
        assert last.type == last.json["type"] == "error"
        flat = {name: last.json[name] for name in ("message", "param", "code")}
        assert flat == {name: error[name] for name in flat}
        assert isinstance(last.json["sequence_number"], int)
    return error


# The status.


@BOTH
async def test_stream_is_given_as_event_stream_that_nobody_may_hold_back(
    server: Door, path: str
) -> None:
    reply = await server.reply(post(path, streamed(path, "[[say All is well.]]")))
    assert reply.status == 200
    assert reply.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert reply.headers["cache-control"] == "no-cache"
    assert reply.headers["x-accel-buffering"] == "no"
    assert said(path, reply.body) == "All is well."
    assert reply.body.endswith(sse.DONE)


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("rate_limited", 429, "rate_limit_exceeded"),
        ("usage_limit_reached", 429, "usage_limit_reached"),
        ("usage_not_included", 429, "usage_not_included"),
        ("forbidden", 403, "upstream_forbidden"),
        ("cloudflare", 502, "upstream_blocked"),
        ("token_revoked", 401, "codex_token_rejected"),
        ("context_length_exceeded_http", 400, "context_length_exceeded"),
        ("redirect", 502, "upstream_redirect"),
        ("server_error", 502, "upstream_error"),
        ("overloaded", 503, "server_is_overloaded"),
        ("gateway_timeout", 504, "upstream_timeout"),
    ],
)
async def test_refusal_of_the_backend_is_a_status(
    server: Door, name: str, status: int, code: str
) -> None:
    for reply in await on_every_road(server, f"[[status {name}]]"):
        reply.refused(status, code)
        assert b"<html" not in reply.body


async def test_usage_limit_says_when_it_resets_and_asks_for_no_retry(server: Door) -> None:
    for reply in await on_every_road(server, "[[status usage_limit_reached]]"):
        error = reply.refused(429, "usage_limit_reached")
        assert error["resets_in_seconds"] == 67_000
        assert "it resets in 18 h 36 min" in error["message"]
        assert "retry-after" not in reply.headers, "some clients would sleep as long, in silence"
        assert reply.headers["x-should-retry"] == "false"


@BOTH
@pytest.mark.parametrize(
    ("seconds", "told"), [("3", "3"), ("59.2", "60"), ("60", "60"), ("60.5", None), ("3600", None)]
)
async def test_retry_after_is_told_up_to_a_minute(
    path: str, seconds: str, told: str | None
) -> None:
    refusal = whole(429, {"error": {"message": "Slow down."}}, retry_after=seconds)
    async with FaultyBackend([refusal]) as backend, distant_door(backend.url, LOGIN) as server:
        reply = await server.reply(post(path, streamed(path)))
    reply.refused(429, "rate_limit_exceeded")
    assert reply.headers.get("retry-after") == told


@pytest.mark.parametrize(
    ("script", "status", "code"),
    [
        ("fail_first rate_limit_exceeded", 429, "rate_limit_exceeded"),
        ("fail_first usage_limit_reached", 429, "usage_limit_reached"),
        ("fail_first context_length_exceeded", 400, "context_length_exceeded"),
        ("fail_first server_error", 502, "server_error"),
        ("html", 502, "upstream_protocol_error"),
        ("empty", 502, "upstream_disconnected"),
    ],
)
async def test_run_that_fails_in_its_first_event_is_a_status(
    server: Door, script: str, status: int, code: str
) -> None:
    for reply in await on_every_road(server, f"[[{script}]]"):
        reply.refused(status, code)


async def test_chat_run_that_fails_before_any_output_is_a_status(server: Door) -> None:
    reply = await server.reply(post(CHAT, streamed(CHAT, "[[fail rate_limit_exceeded]]")))
    reply.refused(429, "rate_limit_exceeded")
    assert reply.headers["retry-after"] == "2"


async def test_responses_run_that_fails_after_it_began_is_told_as_the_backend_tells_it(
    server: Door,
) -> None:
    asked = streamed(RESPONSES, "[[fail rate_limit_exceeded]]")
    reply = await server.reply(post(RESPONSES, asked))
    assert reply.status == 200
    *_, last = events(reply.body)
    assert last.type == "response.failed"
    assert last.json["response"]["status"] == "failed"
    assert last.json["response"]["error"]["code"] == "rate_limit_exceeded"
    assert b"[DONE]" not in reply.body


async def test_whole_responses_run_that_fails_is_a_status(server: Door) -> None:
    asked = responses("[[fail rate_limit_exceeded]]")
    (await server.reply(post(RESPONSES, asked))).refused(429, "rate_limit_exceeded")


@BOTH
async def test_backend_s_own_headers_reach_the_client(path: str) -> None:
    told = table("headers")
    for stream in (True, False):
        backend = Stream(told)
        async with door(backend) as server:
            async with raw.connect(server.port) as client:
                await client.send(post(path, streamed(path) | {"stream": stream}))
                backend.send_bytes(wire("text"))
                reply = await client.reply()
        assert reply.status == 200
        expected = {name for name in told if name.startswith("x-codex-")}
        expected |= {"openai-model", "x-models-etag", "x-oai-request-id", "x-reasoning-included"}
        assert {name: reply.headers[name] for name in expected} == {
            name: told[name] for name in expected
        }
        assert reply.headers["x-request-id"] != told["x-request-id"]
        assert not {"cf-ray", "x-openai-proxy-wasm", "server"} & set(reply.headers)


async def test_whole_replies_have_the_times_and_ids_of_the_backend(server: Door) -> None:
    one = (await server.reply(post(CHAT, chat("[[say Hi]]")))).json
    assert (one["object"], one["model"]) == ("chat.completion", MODEL)
    assert one["id"].startswith("chatcmpl-")
    assert one["created"] > 1_700_000_000
    other = (await server.reply(post(RESPONSES, responses("[[say Hi]]")))).json
    assert (other["object"], other["status"], other["model"]) == ("response", "completed", MODEL)
    assert other["id"].startswith("resp_")
    assert other["output"][-1]["content"][0]["text"] == "Hi"
    again = (await server.reply(post(CHAT, chat("[[say Hi]]")))).json
    assert again["id"] != one["id"]


# One write for one read.


@BOTH
async def test_each_piece_of_the_backend_is_one_write(path: str) -> None:
    backend = Stream()
    async with door(backend) as server, raw.connect(server.port) as client:
        await client.send(post(path, streamed(path)))
        backend.send(CREATED, delta("a"), delta("b"), delta("c"))
        assert (await client.head()).status == 200
        assert said(path, await client.piece()) == "abc"
        backend.send(delta("d"), delta("e"))
        assert said(path, await client.piece()) == "de"
        backend.send(delta("f"))
        assert said(path, await client.piece()) == "f"
        backend.send(COMPLETED)
        assert (await client.piece()).endswith(sse.DONE)
        assert await client.piece() == b""


async def test_event_is_passed_on_before_the_next_one_comes() -> None:
    backend = Stream()
    async with door(backend) as server, raw.connect(server.port) as client:
        await client.send(post(RESPONSES, streamed(RESPONSES)))
        for number in range(20):
            backend.send(CREATED if number == 0 else delta(str(number)))
            if number == 0:
                await client.head()
            # Before the first delta, its item and its part are announced.
            assert len(events(await client.piece())) == (3 if number == 1 else 1)


@BOTH
async def test_stream_ends_with_the_last_event_though_the_backend_holds_on(path: str) -> None:
    backend = Stream()
    async with door(backend) as server:
        async with raw.connect(server.port) as client:
            await client.send(post(path, streamed(path)))
            backend.send(CREATED, delta("Hi"), COMPLETED)
            reply = await client.reply()
        assert reply.body.endswith(sse.DONE)
        await backend.closed.wait()


# Silence.


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


# Breaks.

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


async def _next(client: raw.Connection) -> bytes:
    """The next piece that is not a comment."""
    while (piece := await client.piece()) == sse.KEEP_ALIVE:
        pass
    return piece


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
