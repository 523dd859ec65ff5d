"""Streams whose backend is late with its own status: the keep-alive interval counts from the
request, and what fails behind it is told in the stream."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.faulty import (
    HOLD,
    LAST_CHUNK,
    RST,
    FaultyBackend,
    Script,
    Step,
    by_path,
    chunk,
    head,
    stream,
    whole,
)
from tests.http_server import raw
from tests.http_server.doors import MODEL, Door, chat, distant_door, responses
from tests.http_server.raw import JsonObject, get, post
from tests.logins import auth_json
from tests.wire_files import events, table, wire

from codexapi_engine.protocol import sse

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(60)]

LOGIN = auth_json(exp=4_000_000_000)
A_WHILE = 0.05
"""Seconds: a keep-alive interval that a test can wait for."""

CHAT, RESPONSES, COMPLETIONS = "/v1/chat/completions", "/v1/responses", "/v1/completions"
IMAGES = "/v1/images/generations"
BODIES: dict[str, JsonObject] = {
    CHAT: chat(stream=True),
    RESPONSES: responses(stream=True),
    COMPLETIONS: {"model": MODEL, "prompt": "hi", "stream": True},
    IMAGES: {"prompt": "a fox", "stream": True, "partial_images": 1},
}
ODD = {"name": "f", "parameters": {"type": "string"}}
EVERY_ROAD = pytest.mark.parametrize("path", BODIES)
ANSWER = stream(wire("text"), x_codex_plan_type="plus", openai_model=MODEL)
PICTURE = stream(wire("image_generation"))
REFUSAL = whole(429, {"error": {"message": "Slow down.", "code": "rate_limit_exceeded"}})


@asynccontextmanager
async def facing(
    *scripts: Script, keep_alive: float = A_WHILE, **settings: Any
) -> AsyncIterator[tuple[FaultyBackend, Door]]:
    """A server whose backend plays one of these scripts for each run, the last of them for ever."""
    models: Script = [whole(200, table("models"))]
    steps = by_path({"/models": [models], "/responses": list(scripts)})
    async with FaultyBackend(otherwise=[steps]) as backend:
        async with distant_door(backend.url, LOGIN, keep_alive=keep_alive, **settings) as server:
            yield backend, server


def runs(backend: FaultyBackend) -> int:
    return len([one for one in backend.requests if one.target == "/responses"])


def error_of(path: str, told: bytes) -> JsonObject:
    """The error that a stream ends in, in the form of its dialect. Fails for any other end."""
    assert sse.DONE not in told
    (only,) = [event for event in events(told) if event.type != "keepalive"]
    if path in (RESPONSES, IMAGES):
        assert only.type == "error"
    else:
        assert set(only.json) >= {"id", "object", "created", "model", "choices"}
    error: JsonObject = only.json["error"]
    return error


async def rest(client: raw.Connection) -> bytes:
    return b"".join([piece async for piece in client.pieces()])


@EVERY_ROAD
async def test_client_has_its_status_and_a_comment_though_the_backend_has_given_none(
    path: str,
) -> None:
    answered = asyncio.Event()
    script: Script = [answered, PICTURE if path == IMAGES else ANSWER]
    body = {**BODIES[path], "seed": 1}
    async with facing(script) as (_, server), raw.connect(server.port) as client:
        await client.send(post(path, body))
        reply = await client.head()
        assert reply.status == 200
        assert reply.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert reply.headers["x-request-id"].startswith("req_")
        assert ("x-codexapi-ignored" in reply.headers) is (path != RESPONSES)
        assert not [name for name in reply.headers if name.startswith(("x-codex-", "openai-"))]
        assert await client.piece() == sse.KEEP_ALIVE
        assert await client.piece() == sse.KEEP_ALIVE
        answered.set()
        told = await rest(client)
    assert b'"error":{' not in told
    assert len(events(told)) > 1
    assert told.endswith(sse.DONE)


async def test_status_that_comes_in_time_has_the_backend_s_headers() -> None:
    for path, body in BODIES.items():
        script: Script = [PICTURE if path == IMAGES else ANSWER]
        async with facing(script, keep_alive=30) as (_, server):
            reply = await server.reply(post(path, body))
        assert reply.status == 200
        if path != IMAGES:
            assert reply.headers["x-codex-plan-type"] == "plus"
            assert reply.headers["openai-model"] == MODEL


@EVERY_ROAD
async def test_refusal_within_the_interval_is_a_status(path: str) -> None:
    async with facing([REFUSAL], keep_alive=30) as (_, server):
        (await server.reply(post(path, BODIES[path]))).refused(429, "rate_limit_exceeded")


@EVERY_ROAD
@pytest.mark.parametrize(
    ("end", "code"),
    [([REFUSAL], "rate_limit_exceeded"), ([head(), LAST_CHUNK], "upstream_disconnected")],
    ids=["refused", "empty"],
)
async def test_failure_behind_it_is_one_event_in_the_form_of_the_dialect(
    path: str, end: list[Step], code: str
) -> None:
    answered = asyncio.Event()
    async with facing([answered, *end]) as (_, server), raw.connect(server.port) as client:
        await client.send(post(path, BODIES[path]))
        assert (await client.head()).status == 200
        assert await client.piece() == sse.KEEP_ALIVE
        answered.set()
        told = await rest(client)
        assert error_of(path, told)["code"] == code
        # The HTTP answer itself is whole, so the connection goes on.
        await client.send(get("/healthz"))
        assert (await client.reply()).status == 200


async def test_codex_client_is_kept_alive_by_events() -> None:
    answered = asyncio.Event()
    async with facing([answered, REFUSAL]) as (_, server), raw.connect(server.port) as client:
        body = {"model": MODEL, "input": [], "stream": True}
        await client.send(post(RESPONSES, body, "X-Codex-Window-Id: w:0"))
        assert (await client.head()).status == 200
        assert await client.piece() == b'data: {"type":"keepalive"}\n\n'
        answered.set()
        assert error_of(RESPONSES, await rest(client))["code"] == "rate_limit_exceeded"


async def test_request_is_tried_again_behind_it() -> None:
    answered = asyncio.Event()
    scripts: list[Script] = [[answered, RST], [whole(500)], [ANSWER]]
    async with facing(*scripts) as (backend, server), raw.connect(server.port) as client:
        await client.send(post(CHAT, BODIES[CHAT]))
        assert (await client.head()).status == 200
        answered.set()
        told = await rest(client)
        assert runs(backend) == 3
    assert told.endswith(sse.DONE)
    assert b"error" not in told


async def test_several_choices_begin_behind_it() -> None:
    answered = asyncio.Event()
    script: Script = [answered, ANSWER]
    async with facing(script) as (backend, server), raw.connect(server.port) as client:
        await client.send(post(CHAT, chat(stream=True, n=3)))
        assert (await client.head()).status == 200
        assert await client.piece() == sse.KEEP_ALIVE
        answered.set()
        told = await rest(client)
        assert runs(backend) == 3
    found = [event.json for event in events(told) if event.data != b"[DONE]"]
    assert {choice["index"] for one in found for choice in one["choices"]} == {0, 1, 2}
    assert told.endswith(sse.DONE)


async def test_one_refusal_ends_the_choices_that_wait() -> None:
    answered = asyncio.Event()
    scripts: list[Script] = [[HOLD], [answered, REFUSAL]]
    async with facing(*scripts) as (backend, server), raw.connect(server.port) as client:
        await client.send(post(CHAT, chat(stream=True, n=2)))
        assert (await client.head()).status == 200
        await backend.until(lambda: runs(backend) == 2)
        answered.set()
        assert error_of(CHAT, await rest(client))["code"] == "rate_limit_exceeded"
        await backend.until(lambda: len(backend.open) == 1)  # that of the refusal, which is whole


@EVERY_ROAD
@pytest.mark.parametrize("begun", [False, True], ids=["before the comment", "behind the comment"])
async def test_backend_is_left_when_the_client_leaves(path: str, begun: bool) -> None:
    keep_alive = A_WHILE if begun else 30
    async with facing([HOLD], keep_alive=keep_alive) as (backend, server):
        async with raw.connect(server.port) as client:
            await client.send(post(path, BODIES[path]))
            if begun:
                await client.head()
            await backend.until(lambda: runs(backend) == 1)
            client.leave()
            await backend.until(lambda: len(backend.open) <= (path == IMAGES))
        assert (await server.reply(get("/healthz"))).status == 200
        assert runs(backend) == 1


@EVERY_ROAD
async def test_server_that_goes_down_says_so_in_the_stream_and_leaves_the_backend(
    path: str,
) -> None:
    async with facing([HOLD]) as (backend, server), raw.connect(server.port) as client:
        await client.send(post(path, BODIES[path]))
        assert (await client.head()).status == 200
        await backend.until(lambda: runs(backend) == 1)
        server.app.state.shutdown.end_all()
        assert error_of(path, await rest(client))["code"] == "shutting_down"
        await backend.until(lambda: len(backend.open) <= (path == IMAGES))


async def test_turn_that_has_to_be_waited_for_counts_too() -> None:
    """Under --max-streams the request has not even been sent."""
    async with facing([HOLD], [ANSWER], max_streams=1) as (backend, server):
        async with raw.connect(server.port) as first, raw.connect(server.port) as second:
            await first.send(post(CHAT, BODIES[CHAT]))
            await backend.until(lambda: runs(backend) == 1)
            await second.send(post(CHAT, BODIES[CHAT]))
            assert (await second.head()).status == 200
            assert await second.piece() == sse.KEEP_ALIVE
            assert runs(backend) == 1
            first.leave()
            assert (await rest(second)).endswith(sse.DONE)


@pytest.mark.parametrize("path", [CHAT, RESPONSES, COMPLETIONS])
async def test_whole_reply_waits_for_the_status(path: str) -> None:
    answered = asyncio.Event()
    body = {**BODIES[path], "stream": False}
    async with facing([answered, REFUSAL]) as (backend, server), raw.connect(server.port) as client:
        await client.send(post(path, body))
        await backend.until(lambda: runs(backend) == 1)
        await asyncio.sleep(3 * A_WHILE)
        answered.set()
        (await client.reply()).refused(429, "rate_limit_exceeded")


# The names of fields.


@pytest.mark.parametrize(
    ("path", "param", "told"),
    [
        (CHAT, "input[0].content", "messages"),
        (CHAT, "reasoning.effort", "reasoning_effort"),
        (CHAT, "text.format.schema", "response_format.json_schema.schema"),
        (CHAT, "max_output_tokens", "max_completion_tokens"),
        (CHAT, "instructions", "messages"),
        (CHAT, "tools", "tools"),
        (CHAT, None, None),
        (COMPLETIONS, "input", "prompt"),
        (COMPLETIONS, "max_output_tokens", "max_tokens"),
        (RESPONSES, "input[0].content", "input[0].content"),
        (RESPONSES, "reasoning.effort", "reasoning.effort"),
    ],
)
async def test_error_names_the_caller_s_own_field(
    path: str, param: str | None, told: str | None
) -> None:
    error = {"message": "No.", "type": "invalid_request_error", "param": param, "code": "x"}
    refusal = whole(400, {"error": error})
    async with facing([refusal], keep_alive=30) as (_, server):
        for streams in (True, False):
            reply = await server.reply(post(path, {**BODIES[path], "stream": streams}))
            assert reply.refused(400, "x")["param"] == told
    answered = asyncio.Event()
    async with facing([answered, refusal]) as (_, server), raw.connect(server.port) as client:
        await client.send(post(path, BODIES[path]))
        await client.head()
        answered.set()
        assert error_of(path, await rest(client))["param"] == told


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"tools": [{"type": "function", "function": ODD}]}, "tools[0].function.parameters"),
        ({"tools": [{"type": "function", **ODD}]}, "tools[0].parameters"),
        ({"functions": [ODD]}, "functions[0].parameters"),
    ],
)
async def test_error_names_a_tool_in_the_form_in_which_it_was_sent(
    server: Door, more: JsonObject, told: str
) -> None:
    reply = await server.reply(post(CHAT, chat(**more)))
    assert reply.refused(400, "invalid_function_parameters")["param"] == told


@pytest.mark.parametrize("path", [CHAT, COMPLETIONS])
@pytest.mark.parametrize("stop", [None, "x"], ids=["folded", "from chunks"])
@pytest.mark.parametrize("streams", [True, False], ids=["stream", "whole"])
async def test_failure_of_a_run_names_it_too(path: str, stop: str | None, streams: bool) -> None:
    error = {"code": "invalid_prompt", "message": "No.", "param": "input"}
    failure = chunk(b"data: " + json.dumps({"type": "error", "error": error}).encode() + b"\n\n")
    body = {**BODIES[path], "stream": streams} | ({"stop": stop} if stop else {})
    async with facing([head(), failure, LAST_CHUNK], keep_alive=30) as (_, server):
        reply = await server.reply(post(path, body))
    own = "messages" if path == CHAT else "prompt"
    assert reply.refused(400, "invalid_prompt")["param"] == own


async def test_field_that_the_caller_sent_keeps_its_name() -> None:
    """Chat takes some of the Responses dialect, and whole requests of it."""
    error = {"message": "No.", "param": "reasoning.effort", "code": "x"}
    async with facing([whole(400, {"error": error})], keep_alive=30) as (_, server):
        body = chat(reasoning={"effort": "high"})
        assert (await server.reply(post(CHAT, body))).error["param"] == "reasoning.effort"
    error = {"message": "No.", "param": "input[0].content", "code": "x"}
    async with facing([whole(400, {"error": error})], keep_alive=30) as (_, server):
        assert (await server.reply(post(CHAT, responses()))).error["param"] == "input[0].content"
