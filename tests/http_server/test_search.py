"""The web search of Codex clients: what passes, what is signed, and what its failures look like."""

from __future__ import annotations

import gzip
import json
import logging
from collections.abc import AsyncGenerator, Mapping
from typing import Any

import pytest
from tests.faulty import HOLD, RST, FaultyBackend, Script, Step, TokenEndpoint, by_path, whole
from tests.http_server import raw
from tests.http_server.doors import MODEL, Answer, distant_door, door
from tests.http_server.raw import JsonObject, get, post
from tests.logins import auth_json
from tests.wire_files import table

from codexapi_engine.protocol.secret import Secret

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(60)]

LOGIN = auth_json(exp=4_000_000_000)
SEARCH = "/v1/alpha/search"
KEY = Secret("a local key")
BODY: JsonObject = {
    "id": "01a2023e",
    "model": MODEL,
    "input": [
        {
            "type": "message",
            "role": "user",
            "content": [{"type": "input_text", "text": "look up grüße"}],
            "internal_chat_message_metadata_passthrough": {"create_time": 1795333986.8561363},
        }
    ],
    "commands": {"search_query": [{"q": "grüße"}], "response_length": "short"},
    "settings": {"allowed_callers": ["direct"], "external_web_access": False},
    "max_output_tokens": 10000,
    "unheard_of": [None, {"a": 1}],
}
"""As Codex 0.169.0 sends it, and a field more."""

RESULTS: JsonObject = {"encrypted_output": "gAAA", "output": "L0: hello", "results": None, "new": 1}
FOUND: Script = [whole(200, RESULTS, x_codex_primary_used_percent="9", x_oai_request_id="r1")]
METADATA = 'X-Codex-Turn-Metadata: {"session_id":"s"}'


async def test_body_and_answer_pass_as_they_come() -> None:
    async with FaultyBackend(FOUND) as backend, distant_door(backend.url, LOGIN) as server:
        reply = await server.reply(post(SEARCH, BODY))
    assert (reply.status, reply.json) == (200, RESULTS)
    assert reply.headers["x-codex-primary-used-percent"] == "9"
    assert reply.headers["x-oai-request-id"] == "r1"
    assert reply.headers["x-ratelimit-remaining-requests"] == "91"
    (sent,) = backend.requests
    assert (sent.method, sent.target, sent.json) == ("POST", "/alpha/search", BODY)


async def test_login_is_ours_and_the_turn_is_the_caller_s() -> None:
    async with FaultyBackend(FOUND) as backend, distant_door(backend.url, LOGIN) as server:
        headers = [METADATA, "Authorization: Bearer x", "Originator: codex_exec", "X-Other: o"]
        await server.reply(post(SEARCH, BODY, *headers, "Version: 0.171.0"))
    (sent,) = backend.requests
    assert sent.headers["authorization"] != "Bearer x"
    assert sent.headers["authorization"].startswith("Bearer ")
    assert sent.headers["chatgpt-account-id"]
    assert sent.headers["originator"] == "codexapi"
    assert sent.headers["x-codex-turn-metadata"] == '{"session_id":"s"}'
    assert sent.headers["accept"] == "*/*"
    assert "x-other" not in sent.headers


@pytest.mark.parametrize(
    ("model", "slug"),
    [("quick", "gpt-6-luna"), (MODEL, MODEL), ("unknown", "unknown"), (None, None), (7, 7)],
)
async def test_alias_is_replaced_and_nothing_else(model: Any, slug: Any) -> None:
    models: Script = [whole(200, table("models"))]
    paths = {"/alpha/search": [FOUND], "/models": [models]}
    async with FaultyBackend(otherwise=[by_path(paths)]) as backend:
        aliases = {"quick": "gpt-6-luna:low"}
        async with distant_door(backend.url, LOGIN, model_aliases=aliases) as server:
            assert (await server.reply(post(SEARCH, {**BODY, "model": model}))).status == 200
    (sent,) = [one for one in backend.requests if one.target == "/alpha/search"]
    assert sent.json == {**BODY, "model": slug}


async def test_body_without_a_model_is_the_backend_s_to_judge() -> None:
    async with FaultyBackend(FOUND) as backend, distant_door(backend.url, LOGIN) as server:
        assert (await server.reply(post(SEARCH, {"id": "x"}))).status == 200
    assert backend.requests[0].json == {"id": "x"}


async def test_compressed_body_is_read() -> None:
    async with FaultyBackend(FOUND) as backend, distant_door(backend.url, LOGIN) as server:
        data = gzip.compress(json.dumps(BODY).encode())
        assert (await server.reply(post(SEARCH, data, "Content-Encoding: gzip"))).status == 200
    assert backend.requests[0].json == BODY


@pytest.mark.parametrize(
    ("answer", "status", "code", "sent"),
    [
        (whole(429, {"error": {"message": "x"}}), 429, "rate_limit_exceeded", 1),
        (
            whole(429, {"error": {"type": "usage_limit_reached", "message": "x"}}),
            429,
            "usage_limit_reached",
            1,
        ),
        (whole(400, {"detail": "Bad query"}), 400, None, 1),
        (whole(403, b"<html>Just a moment"), 502, "upstream_blocked", 1),
        (whole(404), 404, "not_found", 1),
        (whole(503, {"error": {"message": "x"}}, retry_after="0"), 503, "server_is_overloaded", 2),
        (whole(302, location="/"), 502, "upstream_redirect", 1),
        (whole(200, b"<html>"), 502, "upstream_protocol_error", 1),
        (RST, 502, "upstream_disconnected", 3),
    ],
)
async def test_failure_is_told_in_openai_s_form(
    answer: Step, status: int, code: str | None, sent: int
) -> None:
    async with FaultyBackend(otherwise=[answer]) as backend:
        async with distant_door(backend.url, LOGIN) as server:
            (await server.reply(post(SEARCH, BODY))).refused(status, code)
    assert len(backend.requests) == sent


async def test_rejected_token_is_renewed_once() -> None:
    login, first = TokenEndpoint(), [whole(401, {"detail": "expired"})]
    paths: dict[str, list[Script]] = {"/alpha/search": [first, FOUND], "/oauth/token": [[login]]}
    async with FaultyBackend(otherwise=[by_path(paths)]) as backend:
        token_url = f"{backend.url}/oauth/token"
        async with distant_door(backend.url, LOGIN, token_url=token_url) as server:
            assert (await server.reply(post(SEARCH, BODY))).json == RESULTS
    before, after = [one for one in backend.requests if one.target == "/alpha/search"]
    assert login.granted == 1
    assert before.headers["authorization"] != after.headers["authorization"]
    assert before.body == after.body


async def test_guard_stands_before_it() -> None:
    async with FaultyBackend() as backend, distant_door(backend.url, LOGIN, api_key=KEY) as server:
        (await server.reply(post(SEARCH, BODY))).refused(401, "invalid_api_key")
        keyed = f"Authorization: Bearer {KEY.reveal()}"
        plain = post(SEARCH, BODY, keyed, "Content-Type: text/plain")
        (await server.reply(plain)).refused(415, "unsupported_media_type")
        foreign = post(SEARCH, BODY, keyed, "Origin: https://evil.example")
        (await server.reply(foreign)).refused(403, "origin_not_allowed")
        (await server.reply(post(SEARCH, b"[]", keyed))).refused(400, "invalid_json")
        (await server.reply(get(SEARCH, keyed))).refused(405, "method_not_allowed")
    assert not backend.requests


async def test_backend_is_left_when_the_client_leaves() -> None:
    async with FaultyBackend([HOLD]) as backend, distant_door(backend.url, LOGIN) as server:
        async with raw.connect(server.port) as client:
            await client.send(post(SEARCH, BODY))
            await backend.until(lambda: bool(backend.requests))
            client.leave()
            await backend.until(lambda: not backend.open)


class Finder:
    """A backend in this process that finds something."""

    async def handle(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> Answer:
        return 200, {"content-type": "application/json"}, self._found()

    async def _found(self) -> AsyncGenerator[bytes, None]:
        yield json.dumps(RESULTS).encode()


async def test_it_is_counted_and_logged_without_its_words(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "codexapi.http"):
        async with door(Finder(), metrics=True) as server:
            assert (await server.reply(post(SEARCH, BODY))).status == 200
            page = (await server.reply(get("/metrics"))).body.decode()
    assert f'requests_total{{method="POST",route="{SEARCH}",status="200"}} 1.0' in page
    assert "codexapi_stream_seconds_count 1.0" in page
    assert "codexapi_streams_open 0.0" in page
    (line,) = [text for text in caplog.messages if SEARCH in text]
    assert f"POST {SEARCH} 200" in line
    assert MODEL in line
    assert "grüße" not in caplog.text
