"""Ollama's API, for programs that speak no other or look for a local model at its port alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from codexapi_engine import (
    Codex,
    CodexError,
    EventStream,
    InvalidRequest,
    ModelNotFound,
    collect_response,
)
from codexapi_engine.aside import aside
from codexapi_engine.codex_config import named_model
from codexapi_engine.errors import JsonObject, missing
from codexapi_engine.protocol import json, models, ollama
from codexapi_engine.protocol.ollama.call_ids import CallIds
from codexapi_engine.protocol.ollama.reply import Elapsed
from codexapi_engine.protocol.ollama.request import Translated
from codexapi_engine.storage import Owner

from ..dialect import Dialect, DialectRoutes, traceable_message
from ..endpoint import got, posted
from ..errors import no_such_path, refusal
from ..pump import NOT_OPEN, Run, attach
from ..requests import codex_of, header, settings_of
from .answer import (
    answer_headers,
    collected_bytes,
    json_response,
    stream_response,
    with_caller_names,
    with_model,
)

_MEDIA_TYPE = "application/x-ndjson"
_RUNNING = "Ollama is running"
"""The words that programs look for."""

_NO_FILES = "the models are the Codex backend's, and no model is kept on this machine"
_NO_VECTORS = "the Codex backend has no embeddings"
_ABSENT = {
    ("POST", "/api/embed"): (400, _NO_VECTORS),
    ("POST", "/api/embeddings"): (400, _NO_VECTORS),
    ("POST", "/api/create"): (403, _NO_FILES),
    ("POST", "/api/copy"): (
        403,
        f"{_NO_FILES}; `codexapi serve --model-alias NEW=NAME` serves a second name",
    ),
    ("DELETE", "/api/delete"): (403, _NO_FILES),
    ("POST", "/api/push"): (403, _NO_FILES),
    ("POST", "/api/blobs/{digest}"): (403, _NO_FILES),
    ("HEAD", "/api/blobs/{digest}"): (403, _NO_FILES),
}
"""Endpoints that are refused: the status, and why."""

_CLOUD = ("/api/me", "/api/status", "/api/experimental")
"""Of Ollama's own cloud."""

_UNDER_V1 = "/v1/api"
"""Where a program calls that was given the base URL of the OpenAI API."""

Endpoint = Callable[[Request, JsonObject], Coroutine[Any, Any, Response]]


def error_body(error: CodexError, request_id: str) -> JsonObject:
    return ollama.error_body(error, traceable_message(error, request_id))


OLLAMA = Dialect(
    "ollama",
    error_body=error_body,
    media_type=_MEDIA_TYPE,
    # `curl -d`, as Ollama's documents have it, calls JSON a form. A web page that sends one without
    # asking names its origin, and the guard refuses that.
    body_types=("application/json", "application/x-www-form-urlencoded"),
)


async def root(request: Request) -> Response:
    """GET and HEAD /, by which programs see whether there is a server. A browser that has no page gets a hint."""
    if request.method not in ("GET", "HEAD") or "text/html" in header(request, b"accept"):
        raise no_such_path(request)
    return PlainTextResponse(_RUNNING)


async def version(request: Request) -> Response:
    """GET /api/version"""
    return json_response({"version": ollama.VERSION})


async def tags(request: Request) -> Response:
    """GET /api/tags"""
    codex, aliases = codex_of(request), settings_of(request).model_aliases
    known = await codex.models()
    return json_response(ollama.tags(known, aliases, _fetched_at(codex)))


async def ps(request: Request) -> Response:
    """GET /api/ps: no model runs on this machine."""
    return json_response({"models": []})


async def show(request: Request, body: JsonObject) -> Response:
    """POST /api/show"""
    codex, aliases = codex_of(request), settings_of(request).model_aliases
    known, name = await codex.models(), _model_name(body)
    found = ollama.show(known, aliases, ollama.resolve(known, aliases, name), _fetched_at(codex))
    if found is None:
        raise await _not_found(request, name)
    return json_response(found)


async def pull(request: Request, body: JsonObject) -> Response:
    """POST /api/pull: a model of the list is there already."""
    name = _model_name(body)
    await _check_model(request, name)
    success = {"status": "success"}
    if body.get("stream") is False:
        return json_response(success)
    return Response(ollama.encode(success), media_type=_MEDIA_TYPE)


@with_caller_names(ollama.ollama_param)
async def chat(request: Request, body: JsonObject) -> Response:
    """POST /api/chat"""
    return await _reply(request, body, generate=False)


@with_caller_names(ollama.ollama_param)
async def generate(request: Request, body: JsonObject) -> Response:
    """POST /api/generate"""
    return await _reply(request, body, generate=True)


async def _reply(request: Request, body: JsonObject, *, generate: bool) -> Response:
    began, created_at = time.monotonic_ns(), _timestamp(time.time())
    body = with_model(request, body)
    if reason := ollama.loads_only(body, generate=generate):
        await _check_model(request, body["model"])
        loaded = ollama.OllamaOptions(body["model"], created_at, generate)
        line = loaded.last_line({"done_reason": reason})
        return Response(line, media_type="application/json")
    codex, aliases = codex_of(request), settings_of(request).model_aliases
    known = await codex.available_models()
    name = ollama.resolve(known, aliases, body["model"])
    slug, _ = models.resolve(known, aliases, name)
    made = await aside(
        json.is_heavy(body),
        partial(
            ollama.from_client,
            body,
            name=name,
            entry=models.find(known, slug),
            generate=generate,
            created_at=created_at,
            strict=settings_of(request).strict,
        ),
    )
    owner = await codex.owner(name)
    # The reasoning before the calls of earlier turns, which this API has no field for.
    restored = partial(codex.reasoning.restore, made.sent["input"], owner=owner)
    made.sent["input"] = await aside(json.is_heavy(made.sent["input"]), restored)
    return await _run_answer(codex, body, made, owner, lambda: time.monotonic_ns() - began)


async def _run_answer(
    codex: Codex, body: JsonObject, made: Translated, owner: Owner, elapsed: Elapsed
) -> Response:
    async def open_runs() -> Sequence[EventStream]:
        runs = await codex.open_all([made.sent])
        for run in runs:
            run.changed = ollama.changed_names(run.changed, body)
        return runs

    stream = ollama.OllamaStream(made.options, elapsed)
    run = Run(NOT_OPEN, stream, partial(_remember, codex, stream, made.call_ids, owner))
    if body.get("stream") is not False:
        keep_alive = made.options.line()  # lines have no comments
        return stream_response(open_runs, run, ignored=made.ignored, keep_alive=keep_alive)
    runs = await open_runs()
    headers = answer_headers(runs[0], made.ignored)
    attach([run], runs)
    if made.options.stop:  # the run ends there, and then has no finished response
        lines = (await collected_bytes([run])).splitlines()
        return json_response(ollama.fold(map(json.loads, lines)), headers)
    async with runs[0] as events:
        response = await collect_response(events, on_item=stream.note_beginning)
    reply = stream.whole(response)
    _remember(codex, stream, made.call_ids, owner, run)
    return json_response(reply, headers)


def _remember(
    codex: Codex, stream: ollama.OllamaStream, call_ids: CallIds, owner: Owner, run: Run
) -> None:
    whose = owner.with_account(run.account)
    codex.reasoning.remember(stream.thread, owner=whose)
    codex.reasoning.remember(call_ids.with_ids(stream.thread), owner=whose)


async def absent(request: Request) -> Response:
    """What has no meaning here."""
    found = _ABSENT.get((request.method, request.scope["route"].path))
    if found is None:
        raise no_such_path(request)
    status, why = found
    raise refusal(status, "not_supported", f"{request.method} {request.scope['path']}: {why}")


ROUTES = DialectRoutes(
    OLLAMA,
    [
        Route("/api/chat", posted(chat), methods=["POST"]),
        Route("/api/generate", posted(generate), methods=["POST"]),
        Route("/api/version", got(version), methods=["GET"]),
        Route("/api/tags", got(tags), methods=["GET"]),
        Route("/api/ps", got(ps), methods=["GET"]),
        Route("/api/show", posted(show), methods=["POST"]),
        Route("/api/pull", posted(pull), methods=["POST"]),
        *(Route(path, got(absent)) for path in dict.fromkeys(path for _, path in _ABSENT)),
    ],
    prefixes=(
        "/api/chat", "/api/generate", "/api/version", "/api/tags", "/api/ps", "/api/show",
        "/api/pull", *(path.partition("/{")[0] for _, path in _ABSENT), *_CLOUD, _UNDER_V1,
    ),
)  # fmt: skip


def _model_name(body: JsonObject) -> str:
    """The model of a request that is about one. Raises InvalidRequest."""
    name = body.get("model") or body.get("name")
    if name is None or name == "":
        raise missing("model")
    if not isinstance(name, str):
        raise InvalidRequest("Invalid type for 'model': expected a string.", param="model")
    return name


async def _check_model(request: Request, name: str) -> None:
    """Raises ModelNotFound for a model that the list lacks."""
    aliases, known = settings_of(request).model_aliases, await codex_of(request).models()
    if models.named(known, aliases, ollama.resolve(known, aliases, name)) is None:
        raise await _not_found(request, name)


async def _not_found(request: Request, name: str) -> ModelNotFound:
    known, settings = await codex_of(request).models(), settings_of(request)
    hint = models.hint(known, name, named_model(settings))
    error = ModelNotFound(f"the backend has no such model.{hint.text}", param="model")
    error.model, error.instead = name, hint.instead
    return error


def _fetched_at(codex: Codex) -> str:
    """When the list was fetched: the catalogue has no date of a model."""
    return _timestamp(codex.models_fetched_at or 0)


def _timestamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
