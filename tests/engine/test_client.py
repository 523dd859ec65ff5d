"""`Codex`: requests, who makes them, and the models that there are."""

from __future__ import annotations

import pytest
from tests.engine.clients import BASE, CATALOGUE, EXP, asked_for, codex
from tests.faulty import (
    FIN,
    HOLD,
    Script,
    Step,
    chunk,
    head,
    stream,
    whole,
)
from tests.logins import ACCOUNT, access_token
from tests.wire_files import table, wire

from codexapi_engine import request, text_of
from codexapi_engine.errors import (
    ContentRefused,
    StreamInterrupted,
    UsageLimitReached,
)
from codexapi_engine.settings import Settings

UNCHANGED: Script = [whole(304, etag='W/"one"')]


# Responses


async def test_a_response_is_folded_from_its_stream() -> None:
    async with codex() as (opened, backend):
        response = await opened.respond(request("Say hello", model="gpt-6.1-sol"))
        assert response["status"] == "completed"
        assert text_of(response)
        assert text_of(response) in wire("text").decode()
    (sent,) = backend.requests
    assert sent.json["stream"] is True
    assert sent.json["store"] is False
    assert sent.json["instructions"]
    assert sent.headers["authorization"] == f"Bearer {access_token(EXP)}"
    assert sent.headers["chatgpt-account-id"] == ACCOUNT
    assert sent.headers["session-id"] == sent.headers["thread-id"]


async def test_the_output_is_put_together_where_the_last_event_has_none() -> None:
    async with codex([[stream(wire("function_calls_parallel"))]]) as (opened, _):
        response = await opened.respond(request("x", model="m"))
        assert len([item for item in response["output"] if item["type"] == "function_call"]) > 1


@pytest.mark.parametrize(
    ("name", "end", "kind"),
    [
        ("failed_content_policy_violation", [HOLD], ContentRefused),
        ("failed_usage_not_included", [HOLD], UsageLimitReached),
        ("dropped_midway", [FIN], StreamInterrupted),
    ],
)
async def test_a_failed_run_is_an_error_and_its_connection_is_let_go(
    name: str, end: list[Step], kind: type[Exception]
) -> None:
    async with codex([[head(), chunk(wire(name)), *end]]) as (opened, backend):
        with pytest.raises(kind):
            await opened.respond(request("x", model="m"))
        assert len(asked_for(backend, "/responses")) == 1
        await backend.until(lambda: not backend.open)


async def test_a_stream_that_is_left_ends_at_the_backend() -> None:
    first, blank, _ = wire("text").partition(b"\n\n")
    begun: Script = [head(), chunk(first + blank), HOLD]
    async with codex([begun]) as (opened, backend):
        async with await opened.open(request("x", model="m")) as events:
            await events.batch()
        await backend.until(lambda: not backend.open)


# Who calls


async def test_the_cache_key_of_a_conversation_names_its_session() -> None:
    async with codex() as (opened, backend):
        for key in ("my-key", "my-key", None, None, "schlüssel", "schlüssel", "line\nbreak"):
            asked = request("x", model="m")
            if key is not None:
                asked["prompt_cache_key"] = key
            await opened.respond(asked)
        sessions = [sent.headers["session-id"] for sent in backend.requests]
        assert sessions[:2] == ["my-key"] * 2
        assert sessions[2] == sessions[3], "the same beginning is the same conversation"
        assert sessions[4] == sessions[5] != sessions[6]
        assert backend.requests[4].json["prompt_cache_key"] == "schlüssel"
        for sent in backend.requests:
            assert sent.headers["thread-id"] == sent.headers["session-id"]
            assert sent.headers["x-client-request-id"] == sent.headers["session-id"]


async def test_a_codex_client_passes_as_it_is_with_its_headers_and_our_login() -> None:
    caller = {
        "x-codex-window-id": "window-1",
        "x-openai-internal-codex-responses-lite": "true",
        "session-id": "session-of-the-client",
        "authorization": "Bearer of-the-client",
        "chatgpt-account-id": "of-the-client",
        "originator": "codex_cli_rs",
        "user-agent": "codex_cli_rs/0.169.0",
        "cookie": "a=b",
        "x-codex-turn-metadata": "schlüssel",
    }
    body = {"model": "m", "input": [], "include": [], "instructions": "", "unknown": [1]}
    async with codex() as (opened, backend):
        async with await opened.open(body, caller=caller) as events:
            await events.batch()
    (sent,) = backend.requests
    assert sent.json == {**body, "stream": True, "store": False}
    assert sent.headers["x-codex-window-id"] == "window-1"
    assert sent.headers["x-openai-internal-codex-responses-lite"] == "true"
    assert sent.headers["session-id"] == "session-of-the-client"
    assert sent.headers["authorization"] == f"Bearer {access_token(EXP)}"
    assert sent.headers["chatgpt-account-id"] == ACCOUNT
    assert sent.headers["originator"] == "codexapi"
    assert sent.headers["user-agent"].startswith("codexapi/")
    assert "cookie" not in sent.headers
    assert "x-codex-turn-metadata" not in sent.headers


async def test_the_headers_of_any_other_client_stay_with_us() -> None:
    async with codex() as (opened, backend):
        caller = {"session-id": "of-the-client", "x-codex-turn-state": "x"}
        async with await opened.open(request("x", model="m"), caller=caller) as events:
            await events.batch()
    assert backend.requests[0].headers["session-id"] != "of-the-client"
    assert "x-codex-turn-state" not in backend.requests[0].headers
    assert backend.requests[0].json["instructions"]


# Models


async def test_the_catalogue_is_fetched_once_and_kept() -> None:
    async with codex() as (opened, backend):
        models = await opened.models()
        assert await opened.models() is models
        assert [model.priority for model in models] == sorted(m.priority for m in models)
    (sent,) = backend.requests
    assert sent.target == f"{BASE}/models?client_version={Settings().protocol_version}"
    assert sent.headers["version"] == Settings().protocol_version
    assert "if-none-match" not in sent.headers


def answered(etag: str) -> Script:
    return [stream(wire("text"), x_models_etag=etag)]


@pytest.mark.parametrize("unchanged", [UNCHANGED, [whole(304)]])
async def test_another_etag_in_an_answer_makes_the_catalogue_stale(unchanged: Script) -> None:
    responses = [answered('W/"one"'), answered('W/"two"'), answered('W/"one"'), answered('W/"3"')]
    changed = [whole(200, {"models": []}, etag='W/"3"')]
    async with codex(responses, [CATALOGUE, unchanged, changed]) as (opened, backend):
        models = await opened.models()
        await opened.respond(request("x", model="m"))
        await opened.models()
        assert len(asked_for(backend, "/models")) == 1, "the same etag: nothing has changed"
        await opened.respond(request("x", model="m"))
        assert await opened.models() == models, "304: what we have is what there is"
        assert asked_for(backend, "/models")[1].headers["if-none-match"] == 'W/"one"'
        await opened.respond(request("x", model="m"))
        await opened.models()
        assert len(asked_for(backend, "/models")) == 2
        await opened.respond(request("x", model="m"))
        assert await opened.models() == []


async def test_a_catalogue_that_fails_is_asked_for_again_next_time() -> None:
    async with codex(models=[[whole(400, b"")], CATALOGUE]) as (opened, _):
        with pytest.raises(Exception, match="400"):
            await opened.models()
        assert await opened.models()


async def test_the_etag_of_the_catalogue_is_told() -> None:
    async with codex(models=[CATALOGUE, UNCHANGED]) as (opened, _):
        assert opened.models_etag is None
        await opened.models()
        assert opened.models_etag == 'W/"one"'
    async with codex(models=[[whole(200, table("models"))]]) as (opened, _):
        await opened.models()
        assert opened.models_etag is None
