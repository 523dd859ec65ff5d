"""The paths, the methods, and the answers that are no model runs."""

from __future__ import annotations

from pathlib import Path

import openai
import pytest
from tests.http_server import raw
from tests.http_server.doors import MODEL, Door, chat, door
from tests.http_server.raw import get, head, post

from codexapi_engine.login.file_store import CodexFile
from codexapi_engine.simulator import Simulator

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(60)]


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/v1/nothing", "GET /v1/nothing"),
        ("/v1/", "a client's base URL is http://127.0.0.1/v1. "),
        ("/chat/completions", "/v1/chat/completions"),
        ("/responses", "/v1/responses"),
        ("/models", "/v1/models"),
        ("/v1/chat/completions/", "try /v1/chat/completions."),
        ("//v1/chat/completions", "try /v1/chat/completions."),
        ("/v1//chat///completions/", "try /v1/chat/completions."),
        ("/v1/v1/chat/completions", "try /v1/chat/completions."),
        ("/v1/v1/v1/models/", "try /v1/models."),
        ("/openai/v1/responses", "try /v1/responses."),
        ("/openai/deployments/gpt/chat/completions", ""),
        ("/api/v1/images/generations", "try /v1/images/generations."),
        ("/v1/responses/compact/", "try /v1/responses/compact."),
        ("/responses/resp_1/input_items", "try /v1/responses/resp_1/input_items."),
        ("/v1/healthz", "try /healthz."),
        ("/healthz/", "try /healthz."),
        ("//", "/v1"),
        ("/v1", "To look round: /v1/models, /openapi.json, /healthz"),
        ("/v1/", "To look round: /v1/models, /openapi.json, /healthz"),
        ("/v1/v1/embeddings/", "Codex backend has no embeddings"),
        ("/v1/embeddings", "Codex backend has no embeddings"),
        ("/embeddings", "Codex backend has no embeddings"),
        ("/v1/audio/speech", "Codex backend has no audio"),
        ("/v1/audio/translations", "Codex backend has no audio but transcriptions"),
        ("/audio/transcriptions", "try /v1/audio/transcriptions"),
        ("/v1/moderations", "Codex backend has no moderations"),
        ("/v1/uploads", "POST /v1/files takes a whole file"),
        ("/v1/batches", "Codex backend has no batches"),
        ("/v1/%2e%2e/healthz", ""),
        ("//evil.example/v1/models", "try /v1/models."),
        ("http://evil.example/v1/models", "no proxy; ask it for the path alone"),
        ("http://example.org/v1/chat/completions", "no proxy; ask it for the path alone"),
        ("/backend-api/codex/responses", ""),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_unknown_path_is_not_found_and_the_right_one_named(
    server: Door, backend: Simulator, method: str, path: str, told: str
) -> None:
    lines = ("Host: 127.0.0.1", "Content-Length: 0", "Accept: text/html")
    error = (await server.reply(head(f"{method} {path}", *lines))).refused(404, "not_found")
    assert told.removeprefix("GET ") in error["message"]
    assert error["type"] == "invalid_request_error"
    assert not backend.requests


async def test_no_path_under_v1_is_named_to_a_client_of_an_api_that_has_none(server: Door) -> None:
    reply = await server.reply(get("/api/tags/x"))
    assert reply.status == 404
    assert reply.json == {"error": "Invalid URL (GET /api/tags/x)."}


@pytest.mark.parametrize("path", ["/v1/models/", "/v1/models//", "//v1/models", "/v1/v1/models/"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_list_of_models_is_named_where_it_was_meant(
    server: Door, backend: Simulator, method: str, path: str
) -> None:
    async with raw.connect(server.port) as client:
        await client.send(head(f"{method} {path}", "Host: 127.0.0.1"))
        assert (await client.head()).status == 404
    error = (await server.reply(get(path))).refused(404, "not_found")
    assert error["message"] == f"Invalid URL (GET {path}): try /v1/models."
    assert not backend.requests


@pytest.mark.parametrize(
    ("path", "methods", "allowed"),
    [
        (
            "/v1/chat/completions",
            ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"],
            {"GET", "HEAD", "POST"},
        ),
        ("/v1/responses", ["PUT", "DELETE", "PROPFIND"], {"GET", "HEAD", "POST"}),
        ("/v1/models", ["POST", "DELETE"], {"GET", "HEAD"}),
        ("/v1/models/x", ["DELETE"], {"GET", "HEAD"}),
        ("/healthz", ["POST"], {"GET", "HEAD"}),
    ],
)
async def test_wrong_method_is_told_the_right_ones(
    server: Door, backend: Simulator, path: str, methods: list[str], allowed: set[str]
) -> None:
    for method in methods:
        request = head(f"{method} {path}", "Host: 127.0.0.1", "Content-Length: 0")
        reply = await server.reply(request)
        error = reply.refused(405, "method_not_allowed")
        assert set(reply.headers["allow"].split(", ")) == allowed
        assert method in error["message"]
    assert not backend.requests


async def test_every_answer_has_an_id_of_its_own(server: Door) -> None:
    requests = [get("/healthz"), get("/v1/models"), post("/v1/chat/completions", chat()), get("/x")]
    replies = [await server.reply(request) for request in requests * 2]
    ids = [reply.headers["x-request-id"] for reply in replies]
    assert all(given.startswith("req_") and len(given) > 20 for given in ids)
    assert len(set(ids)) == len(ids)


async def test_model_list_is_for_openai_clients_and_the_codex_client(
    server: Door, backend: Simulator
) -> None:
    told = (await server.reply(get("/v1/models?client_version=0.169.0"))).json
    assert told["object"] == "list"
    first = {"id": backend.models[0]["slug"], "object": "model"}
    assert first.items() <= told["data"][0].items()
    assert all({"id", "object", "created", "owned_by"} <= set(entry) for entry in told["data"])
    slugs = [entry["slug"] for entry in told["models"]]
    assert set(slugs) >= {entry["id"] for entry in told["data"]}
    original = next(entry for entry in backend.models if entry["slug"] == MODEL)
    assert original.items() <= told["models"][slugs.index(MODEL)].items()


async def test_hidden_models_are_usable_and_not_shown(server: Door, backend: Simulator) -> None:
    told = (await server.reply(get("/v1/models"))).json
    hidden = {model["slug"] for model in backend.models if model.get("visibility") == "hide"}
    assert hidden, "the simulated catalogue has one"
    assert not hidden & {entry["id"] for entry in told["data"]}
    assert hidden & {entry["slug"] for entry in told["models"]}


async def test_official_client_reads_the_models(server: Door) -> None:
    url = f"http://127.0.0.1:{server.port}/v1"
    async with openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0) as client:
        listed = await client.models.list()
        assert MODEL in [model.id for model in listed.data]
        assert (await client.models.retrieve(MODEL)).id == MODEL
        with pytest.raises(openai.NotFoundError) as raised:
            await client.models.retrieve("gpt-6.1-soul")
        assert MODEL in raised.value.message
        assert (raised.value.param, raised.value.code) == ("model", "model_not_found")


async def test_unknown_model_of_a_run_is_the_backend_s_word_with_what_helps(
    server: Door, backend: Simulator
) -> None:
    for path, body in (
        ("/v1/chat/completions", chat(model="gpt-6.1-soul")),
        ("/v1/responses", {"model": "gpt-6.1-soul", "input": "hi"}),
    ):
        reply = await server.reply(post(path, body))
        error = reply.refused(404, "model_not_found")
        assert "gpt-6.1-soul" in error["message"]
        assert f"Did you mean `{MODEL}`? The default is `" in error["message"]
        assert f"`codexapi serve --model-alias gpt-6.1-soul={MODEL}`" in error["message"]
        assert "GET /v1/models" in error["message"]
        assert error["param"] == "model"
    assert "/responses" in [request.path for request in backend.requests]


async def test_model_list_is_asked_of_the_backend_once_in_a_while() -> None:
    backend = Simulator()
    async with door(backend) as server:
        for _ in range(3):
            assert (await server.reply(get("/v1/models"))).status == 200
    assert [request.path for request in backend.requests] == ["/models"]


async def test_usage_tells_the_windows_of_the_plan(server: Door) -> None:
    told = (await server.reply(get("/v1/usage"))).json
    assert told["object"] == "usage_limits"
    assert told["primary"]["used_percent"] == 12


async def test_health_asks_nobody(server: Door, backend: Simulator) -> None:
    async with raw.connect(server.port) as connection:
        await connection.send(get("/healthz"))
        assert (await connection.reply()).json["status"] == "ok"
        await connection.send(head("HEAD /healthz", "Host: 127.0.0.1", "Connection: close"))
        assert (await connection.head()).status == 200
        assert await connection.ended()
    assert not backend.requests


async def test_health_needs_no_login(tmp_path: Path) -> None:
    backend = Simulator()
    async with door(backend, store=CodexFile(tmp_path)) as server:
        assert (await server.reply(get("/healthz"))).json["status"] == "ok"
        for request in (
            get("/v1/models"),
            get("/v1/usage"),
            post("/v1/chat/completions", chat()),
            post("/v1/responses", {"model": MODEL, "input": "hi"}),
        ):
            reply = await server.reply(request)
            error = reply.refused(401, "auth_file_not_found")
            assert error["type"] == "authentication_error"
            assert "codex login" in error["message"]
            assert reply.headers["x-should-retry"] == "false"
            assert "www-authenticate" not in reply.headers
    assert not backend.requests
