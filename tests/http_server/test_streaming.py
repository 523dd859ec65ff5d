"""The status of a stream, and one write for each read."""

from __future__ import annotations

import asyncio

import pytest
from tests.faulty import FaultyBackend, whole
from tests.http_server import raw
from tests.http_server.doors import (
    MODEL,
    Door,
    Stream,
    chat,
    distant_door,
    door,
    responses,
)
from tests.http_server.raw import Reply, post
from tests.http_server.streaming import (
    BOTH,
    CHAT,
    COMPLETED,
    CREATED,
    LOGIN,
    RESPONSES,
    delta,
    said,
    streamed,
)
from tests.wire_files import events, table, wire

from codexapi_engine.protocol import sse

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(60)]


async def on_every_road(server: Door, prompt: str) -> list[Reply]:
    """What becomes of a prompt on both paths, as a stream and whole."""
    asked = [(path, streamed(path, prompt)) for path in (CHAT, RESPONSES)]
    asked += [(path, body | {"stream": False}) for path, body in asked]
    return await asyncio.gather(*(server.reply(post(path, body)) for path, body in asked))


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
