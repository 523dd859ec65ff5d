"""Models by their names, with an effort, by an alias; and the plan's limits on every answer."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest
import pytest_asyncio
from tests.faulty import FaultyBackend, Script, by_path, stream, whole
from tests.http_server import raw
from tests.http_server.doors import (
    MODEL,
    Door,
    Stream,
    chat,
    distant_door,
    door,
    encoded,
    responses,
)
from tests.http_server.raw import JsonObject, Reply, get, head, post
from tests.logins import auth_json
from tests.wire_files import table, wire

from codexapi_engine.simulator import Simulator

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(60)]

CHAT, RESPONSES, COMPLETIONS = "/v1/chat/completions", "/v1/responses", "/v1/completions"
ALIASES = {"gpt-4o": "gpt-6-luna", "quick": "gpt-6-luna:low"}
LOGIN = auth_json(exp=4_000_000_000)


@pytest.fixture(scope="module")
def renaming() -> Simulator:
    return Simulator()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def named(renaming: Simulator) -> AsyncIterator[Door]:
    async with door(renaming, model_aliases=ALIASES) as opened:
        yield opened


def body_for(path: str, model: str, **more: Any) -> JsonObject:
    made = {
        CHAT: chat("[[say Hi]]"),
        RESPONSES: responses("[[say Hi]]"),
        COMPLETIONS: {"prompt": "[[say Hi]]"},
    }[path]
    return {**made, "model": model, **more}


def newest(backend: Simulator) -> JsonObject:
    """The body of the newest request that reached the backend."""
    sent = [request for request in backend.requests if request.path == "/responses"]
    body: JsonObject = json.loads(sent[-1].body)
    return body


# The list's ETag.


async def head_of(door: Door, request: bytes) -> Reply:
    """Status and headers of an answer without a body."""
    async with raw.connect(door.port) as client:
        await client.send(request + get("/healthz"))
        reply = await client.head()
        assert (await client.head()).status == 200, "no body stands between them"
        return reply


@pytest.mark.parametrize("target", ["/v1/models", "/v1/models?client_version=0.171.0"])
async def test_the_list_has_the_etag_that_answers_promise(server: Door, target: str) -> None:
    for path in (CHAT, RESPONSES):
        promised = (await server.reply(post(path, body_for(path, MODEL)))).headers["x-models-etag"]
        assert promised.startswith('W/"')
        for method in ("GET", "HEAD"):
            reply = await status_and_headers(server, method, target)
            assert (reply.status, reply.headers["etag"]) == (200, promised)
            same = await head_of(
                server,
                head(f"{method} {target}", "Host: 127.0.0.1", f"If-None-Match: {promised}"),
            )
            assert (same.status, same.headers["etag"]) == (304, promised)


async def status_and_headers(door: Door, method: str, target: str) -> Reply:
    async with raw.connect(door.port) as client:
        await client.send(head(f"{method} {target}", "Host: 127.0.0.1"))
        return await client.head()


@pytest.mark.parametrize(
    ("condition", "status"),
    [
        ("{etag}", 304),
        ("W/{etag}", 304),
        ('"other", {etag}', 304),
        ('W/"a,b" ,W/{etag},"c"', 304),
        ("*", 304),
        ('"other"', 200),
        ('W/"other", "another"', 200),
        ("{bare}", 200),
        ("", 200),
    ],
)
async def test_a_condition_is_compared_weakly(server: Door, condition: str, status: int) -> None:
    etag = (await server.reply(get("/v1/models"))).headers["etag"].removeprefix("W/")
    line = f"If-None-Match: {condition.format(etag=etag, bare=etag.strip(chr(34)))}"
    async with raw.connect(server.port) as client:
        await client.send(get("/v1/models", line))
        assert (await client.head()).status == status


async def test_aliases_do_not_change_the_etag(named: Door, server: Door) -> None:
    """A Codex client compares it with what answers promise."""
    plain, renamed = [await door.reply(get("/v1/models")) for door in (server, named)]
    assert plain.json["data"] != renamed.json["data"]
    assert plain.json["models"] == renamed.json["models"]
    assert plain.headers["etag"] == renamed.headers["etag"]


async def test_a_backend_without_an_etag_has_none_made_up() -> None:
    models: Script = [whole(200, table("models"))]
    paths = {"/models": [models]}
    async with FaultyBackend(otherwise=[by_path(paths)]) as backend:
        async with distant_door(backend.url, LOGIN) as server:
            reply = await server.reply(get("/v1/models", "If-None-Match: *"))
    assert reply.status == 200
    assert "etag" not in reply.headers


async def test_the_etag_follows_the_list() -> None:
    lists: list[Script] = [[whole(200, table("models"), etag=f'"{name}"')] for name in "ab"]
    answer: Script = [stream(wire("text"), x_models_etag='"b"')]
    paths = {"/models": lists, "/responses": [answer]}
    async with FaultyBackend(otherwise=[by_path(paths)]) as backend:
        async with distant_door(backend.url, LOGIN) as server:
            assert (await server.reply(get("/v1/models"))).headers["etag"] == '"a"'
            reply = await server.reply(post(CHAT, body_for(CHAT, MODEL)))
            assert reply.headers["x-models-etag"] == '"b"'
            assert (await server.reply(get("/v1/models"))).headers["etag"] == '"b"'
            reply = await server.reply(get("/v1/models", 'If-None-Match: "a"'))
            assert reply.status == 200


# Names.


@pytest.mark.parametrize("path", [CHAT, RESPONSES, COMPLETIONS])
@pytest.mark.parametrize(
    ("asked", "slug", "effort"),
    [
        (MODEL, MODEL, None),
        (f"{MODEL}:high", MODEL, "high"),
        ("gpt-4o", "gpt-6-luna", None),
        ("gpt-4o:xhigh", "gpt-6-luna", "xhigh"),
        ("quick", "gpt-6-luna", "low"),
    ],
)
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
async def test_the_backend_and_the_reply_have_the_models_own_name(
    named: Door,
    renaming: Simulator,
    path: str,
    asked: str,
    slug: str,
    effort: str | None,
    streamed: bool,
) -> None:
    reply = await named.reply(post(path, body_for(path, asked, stream=streamed)))
    assert reply.status == 200
    assert "x-codexapi-ignored" not in reply.headers
    sent = newest(renaming)
    assert sent["model"] == slug
    assert (sent.get("reasoning") or {}).get("effort") == effort
    assert f'"model":"{slug}"'.encode() in reply.body
    assert f'"model":"{asked}"'.encode() not in reply.body or asked == slug


@pytest.mark.parametrize(
    ("path", "more"),
    [
        (CHAT, {"reasoning_effort": "low"}),
        (CHAT, {"reasoning": {"effort": "low"}}),
        (RESPONSES, {"reasoning": {"effort": "low", "summary": "auto"}}),
    ],
)
async def test_an_effort_that_the_request_gives_goes_before_the_names(
    named: Door, renaming: Simulator, path: str, more: JsonObject
) -> None:
    reply = await named.reply(post(path, body_for(path, f"{MODEL}:high", **more)))
    assert reply.status == 200
    sent = newest(renaming)
    assert (sent["model"], sent["reasoning"]["effort"]) == (MODEL, "low")
    if path == RESPONSES:
        assert sent["reasoning"]["summary"] == "auto"


@pytest.mark.parametrize("asked", [f"{MODEL}:hard", "gpt-9:high", f"ft:{MODEL}:me"])
async def test_a_name_that_nobody_knows_is_the_backends_to_refuse(
    named: Door, renaming: Simulator, asked: str
) -> None:
    error = (await named.reply(post(CHAT, body_for(CHAT, asked)))).refused(404, "model_not_found")
    assert newest(renaming)["model"] == asked
    assert f"`{asked}`" in error["message"]
    assert (MODEL if MODEL in asked else renaming.models[0]["slug"]) in error["message"]
    assert error["param"] == "model"


async def test_a_plain_name_needs_no_catalogue_and_one_with_a_colon_needs_it_once() -> None:
    backend = Simulator()
    async with door(backend, model_aliases=ALIASES) as server:
        for asked in (MODEL, "gpt-4o"):
            reply = await server.reply(post(CHAT, body_for(CHAT, asked)))
            assert reply.status == 200
        assert {request.path for request in backend.requests} == {"/responses"}
        for asked in ("quick", f"{MODEL}:high", f"{MODEL}:low"):
            assert (await server.reply(post(CHAT, body_for(CHAT, asked)))).status == 200
    assert [request.path for request in backend.requests].count("/models") == 1


async def test_without_a_catalogue_the_name_is_sent_as_it_is() -> None:
    text: Script = [stream(wire("text"))]
    refusal: Script = [whole(403, {"detail": "no"})]
    paths = {"/responses": [text], "/models": [refusal]}
    async with FaultyBackend(otherwise=[by_path(paths)]) as backend:
        async with distant_door(backend.url, LOGIN) as server:
            body = body_for(CHAT, f"{MODEL}:high")
            assert (await server.reply(post(CHAT, body))).status == 200
        (sent,) = (r for r in backend.requests if r.target == "/responses")
    assert sent.json["model"] == f"{MODEL}:high"


async def test_a_request_of_the_codex_client_is_not_touched() -> None:
    backend = Stream()
    async with door(backend, model_aliases={MODEL: "gpt-6-luna"}) as server:
        body = responses(model=MODEL, stream=True, reasoning={"effort": "ultra"})
        backend.send_bytes(wire("text"))
        backend.end()
        reply = await server.reply(post(RESPONSES, body, "x-codex-window-id: w"))
    assert reply.status == 200
    assert backend.asked["model"] == MODEL
    assert backend.asked["reasoning"] == {"effort": "ultra"}


# Efforts that a model lacks.


@pytest.mark.parametrize(
    ("path", "more"),
    [
        (CHAT, {"reasoning_effort": "max"}),
        (RESPONSES, {"reasoning": {"effort": "max"}}),
        (COMPLETIONS, {"model": "gpt-5.5:max"}),
    ],
)
async def test_an_effort_that_the_model_lacks_becomes_the_nearest_and_is_named(
    path: str, more: JsonObject
) -> None:
    backend = Simulator()
    async with door(backend) as server:
        for _ in range(2):  # the first request of a fresh server, and another one
            reply = await server.reply(post(path, body_for(path, "gpt-5.5", temperature=1) | more))
            assert reply.status == 200
            assert reply.headers["x-codexapi-ignored"] == "temperature,reasoning_effort"
            assert newest(backend)["reasoning"]["effort"] == "xhigh"


@pytest.mark.parametrize("stream", [False, True])
async def test_in_the_background_too_it_is_named_and_the_answer_tells_what_is_done(
    stream: bool,
) -> None:
    backend = Simulator()
    async with door(backend) as server:
        body = responses(background=True, stream=stream, reasoning={"effort": "none"})
        reply = await server.reply(post(RESPONSES, body))
    assert reply.headers["x-codexapi-ignored"] == "reasoning_effort"
    if not stream:
        assert reply.json["reasoning"]["effort"] == "low"


@pytest.mark.parametrize("wanted", ["none", "minimal"])
@pytest.mark.parametrize(
    "path", [CHAT, RESPONSES, f"{RESPONSES}/compact", f"{RESPONSES} in {CHAT}"]
)
async def test_an_effort_below_all_that_the_model_has_becomes_its_lowest(
    path: str, wanted: str
) -> None:
    backend, by_responses = Simulator(), responses(reasoning={"effort": wanted})
    body = by_responses if RESPONSES in path else chat(reasoning_effort=wanted)
    async with door(backend) as server:
        reply = await server.reply(post(path.rpartition(" ")[2], body))
    assert reply.status == 200
    assert reply.headers["x-codexapi-ignored"] == "reasoning_effort"
    assert newest(backend)["reasoning"]["effort"] == "low"


@pytest.mark.parametrize("strict", [False, True])
async def test_every_effort_that_the_list_shows_is_taken(strict: bool) -> None:
    backend = Simulator()
    async with door(backend, strict=strict) as server:
        entry = (await server.reply(get(f"/v1/models/{MODEL}"))).json
        assert "ultra" in entry["reasoning_efforts"]
        for effort in entry["reasoning_efforts"]:
            body = body_for(CHAT, f"{MODEL}:{effort}")
            reply = await server.reply(post(CHAT, body))
            assert reply.status == 200
            assert "x-codexapi-ignored" not in reply.headers
            sent = "max" if effort == "ultra" else effort
            assert newest(backend)["reasoning"]["effort"] == sent


async def test_a_lower_effort_is_named_once_for_all_choices(named: Door) -> None:
    body = body_for(CHAT, "gpt-5.5:max", n=2)
    reply = await named.reply(post(CHAT, body))
    assert reply.headers["x-codexapi-ignored"] == "reasoning_effort"


async def test_strict_refuses_an_effort_that_the_model_lacks() -> None:
    backend = Simulator()
    async with door(backend, strict=True) as server:
        reply = await server.reply(post(CHAT, body_for(CHAT, "gpt-5.5:max")))
        error = reply.refused(400, "unsupported_value")
        assert error["param"] == "reasoning_effort"
        assert "low, medium, high, xhigh" in error["message"]
        assert (await server.reply(post(CHAT, body_for(CHAT, "gpt-5.5:high")))).status == 200
    assert backend.runs == 1


async def test_an_effort_that_nobody_knows_is_refused_with_those_of_the_list() -> None:
    backend = Simulator()
    async with door(backend) as server:
        reply = await server.reply(post(CHAT, body_for(CHAT, MODEL, reasoning_effort="hard")))
        error = reply.refused(400, "unsupported_value")
        assert error["param"] == "reasoning_effort"
        assert error["message"].endswith("low, medium, high, xhigh, max, ultra.")
    assert backend.runs == 0


async def test_the_first_strict_request_refuses_an_effort_too() -> None:
    backend = Simulator()
    async with door(backend, strict=True) as server:
        body = responses(model=MODEL, reasoning={"effort": "minimal"})
        reply = await server.reply(post(RESPONSES, body))
        error = reply.refused(400, "unsupported_value")
        assert "low, medium, high" in error["message"]
        assert error["param"] == "reasoning.effort"
    assert backend.runs == 0


# The list.


async def test_aliases_are_listed_after_the_plain_ids(named: Door, renaming: Simulator) -> None:
    data = (await named.reply(get("/v1/models"))).json["data"]
    ids = [entry["id"] for entry in data]
    assert ids[0] == renaming.models[0]["slug"]
    assert ids[-2:] == ["gpt-4o", "quick"]
    assert all("alias_of" not in entry for entry in data[:-2])
    assert data[0]["context_window"] == renaming.models[0]["context_window"]
    assert "high" in data[0]["reasoning_efforts"]


@pytest.mark.parametrize(
    ("asked", "slug"),
    [("gpt-4o", "gpt-6-luna"), ("quick", "gpt-6-luna"), (f"{MODEL}:high", MODEL), (MODEL, MODEL)],
)
async def test_the_official_client_retrieves_every_kind_of_name(
    named: Door, asked: str, slug: str
) -> None:
    url = f"http://127.0.0.1:{named.port}/v1"
    async with openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0) as client:
        model = await client.models.retrieve(asked)
    assert model.id == asked
    assert (model.model_extra or {}).get("alias_of", asked) == slug


@pytest.mark.parametrize("asked", ["gpt-9", f"{MODEL}:hard", "a/b/c"])
async def test_an_unknown_name_is_not_found(named: Door, asked: str) -> None:
    error = (await named.reply(get(f"/v1/models/{asked}"))).refused(404, "model_not_found")
    assert f"`{asked}`" in error["message"]
    assert "The default is `gpt-6.2-sol`" in error["message"]
    assert f"--model-alias {asked}=gpt-" in error["message"]
    assert error["param"] == "model"


async def test_a_model_that_is_too_new_says_what_to_set() -> None:
    async with door(Simulator(), client_version="0.150.0") as server:
        reply = await server.reply(post(CHAT, body_for(CHAT, MODEL)))
        error = reply.refused(404, "model_not_found")
    assert "requires a newer version of Codex" in error["message"]
    assert "CODEXAPI_CLIENT_VERSION" in error["message"]


# Limits.


@pytest.mark.parametrize("path", [CHAT, RESPONSES, COMPLETIONS])
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
async def test_an_answer_tells_the_plans_windows_in_percent_points(
    path: str, streamed: bool
) -> None:
    backend = Stream(table("headers"))
    async with door(backend) as server:
        backend.send_bytes(wire("text"))
        backend.end()
        reply = await server.reply(post(path, body_for(path, MODEL, stream=streamed)))
    told = {k: v for k, v in reply.headers.items() if k.startswith("x-ratelimit-")}
    assert told == {
        "x-ratelimit-limit-requests": "100",
        "x-ratelimit-remaining-requests": "91",
        "x-ratelimit-reset-requests": "27m17s",
        "x-ratelimit-limit-tokens": "100",
        "x-ratelimit-remaining-tokens": "69",
        "x-ratelimit-reset-tokens": "46h29m24s",
    }


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
async def test_a_used_up_plan_says_so_in_every_way(server: Door, streamed: bool) -> None:
    body = chat("[[status usage_limit_reached]]", stream=streamed)
    reply = await server.reply(post(CHAT, body))
    error = reply.refused(429, "usage_limit_reached")
    assert reply.headers["x-ratelimit-remaining-requests"] == "0"
    assert error["resets_in_seconds"] == 67_000
    assert "retry-after" not in reply.headers
    assert "it resets in 18 h 36 min" in error["message"]


@pytest.mark.parametrize("first", [{"type": "error", "code": "slow_down", "message": "no"}])
async def test_a_run_that_fails_at_once_tells_the_windows_that_it_was_told(
    first: JsonObject,
) -> None:
    backend = Stream(table("headers"))
    async with door(backend) as server:
        backend.send_bytes(encoded(first))
        backend.end()
        reply = await server.reply(post(CHAT, body_for(CHAT, MODEL)))
    assert reply.status == 503
    assert reply.headers["x-ratelimit-remaining-requests"] == "91"


async def test_where_nothing_was_told_no_limit_is_made_up() -> None:
    backend = Stream()
    async with door(backend) as server:
        backend.send_bytes(wire("text"))
        backend.end()
        replies = [
            await server.reply(post(CHAT, body_for(CHAT, MODEL))),
            await server.reply(post(CHAT, {"model": MODEL})),
        ]
    assert [reply.status for reply in replies] == [200, 400]
    assert not [name for reply in replies for name in reply.headers if "ratelimit" in name]


async def test_usage_tells_credits_and_the_limits_of_single_models() -> None:
    usage: Script = [whole(200, table("usage"))]
    paths = {"/api/codex/usage": [usage]}
    async with FaultyBackend(otherwise=[by_path(paths)]) as backend:
        async with distant_door(backend.url, LOGIN) as server:
            told = (await server.reply(get("/v1/usage"))).json
    assert told["object"] == "usage_limits"
    assert told["credits"] == {"has_credits": True, "unlimited": False, "balance": "12.5"}
    assert [limit["name"] for limit in told["additional"]] == ["GPT-5.3-Codex-Spark"]
