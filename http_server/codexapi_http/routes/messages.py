"""Messages, Anthropic's dialect: for Claude Code, the Anthropic SDKs and what speaks only that."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from codexapi_engine import Codex, CodexError, ContextTooLong, EventStream, ModelNotFound
from codexapi_engine.aside import aside
from codexapi_engine.errors import JsonObject
from codexapi_engine.protocol import anthropic, json, models
from codexapi_engine.protocol.models import Model
from codexapi_engine.protocol.shapes import get_str
from codexapi_engine.storage import Owner

from ..errors import refusal
from ..pump import NOT_OPEN, Run, attach
from ..requests import codex_of, header, settings_of
from ..stored_files import with_files
from .answer import (
    answer_headers,
    collect_responses,
    collected_chunks,
    json_response,
    stream_response,
    with_caller_names,
    with_model,
)
from .messages_dialect import with_request_id

_SESSION = (b"x-claude-code-session-id", b"x-claude-code-agent-id")


@with_request_id
@with_caller_names(anthropic.messages_param)
async def messages_create(request: Request, body: JsonObject) -> Response:
    """POST /v1/messages"""
    body, codex = with_model(request, body), codex_of(request)
    model, entry = await _model(request, body)
    owner = await codex.owner(model)
    sent, options, ignored = await _translate(request, body, model, entry, owner)
    add_sizes = partial(_add_sizes, request, model, options)

    async def open_runs() -> Sequence[EventStream]:
        try:
            streams = await codex.open_all([sent])
        except CodexError as error:
            await add_sizes(error)
            raise
        for stream in streams:
            names = [anthropic.messages_param(name, body) or name for name in stream.changed]
            stream.changed = tuple(names)
        return streams

    if body.get("stream") is True:
        return stream_response(open_runs, _message_run(codex, options, owner), ignored=ignored)
    runs = await open_runs()
    try:
        return await _complete(codex, runs, options, owner, ignored)
    except CodexError as error:
        await add_sizes(error)
        raise


async def _translate(
    request: Request, body: JsonObject, model: str, entry: Model | None, owner: Owner
) -> tuple[JsonObject, anthropic.MessageOptions, Sequence[str]]:
    """The Responses request behind a body, what shapes the reply, and what is ignored of it."""
    translate = partial(
        anthropic.from_client,
        body,
        model=model,
        reader=anthropic.Writer(*owner),
        session=_session(request, body),
        least_effort=_least_effort(entry),
        strict=settings_of(request).strict,
    )
    translation, options, ignored = await aside(json.is_heavy(body), translate)
    heavy = json.is_heavy(translation)
    sent = await with_files(request, body, translation, heavy=heavy)
    tokens = await aside(heavy or sent is not translation, anthropic.tokens, sent)
    window = entry.context_window if entry else None
    # The reasoning before the calls of earlier turns, where the client has none of it.
    restored = partial(codex_of(request).reasoning.restore, sent["input"], owner=owner)
    sent["input"] = await aside(heavy, restored)
    return sent, replace(options, input_tokens=tokens, window=window), ignored


def _message_run(codex: Codex, options: anthropic.MessageOptions, owner: Owner) -> Run:
    stream = anthropic.MessageStream(options)

    def remember(run: Run) -> None:
        codex.reasoning.remember(stream.thread, owner=owner.with_account(run.account))

    return Run(NOT_OPEN, stream, remember)


async def _complete(
    codex: Codex,
    runs: Sequence[EventStream],
    options: anthropic.MessageOptions,
    owner: Owner,
    ignored: Sequence[str],
) -> Response:
    headers = answer_headers(runs[0], ignored)
    if options.stop:  # a run ends at its stop sequence, and then has no finished response
        run = _message_run(codex, options, owner)
        attach([run], runs)
        return json_response(anthropic.fold(await collected_chunks([run])), headers)
    (response,) = await collect_responses(runs)
    codex.reasoning.remember(response["output"], owner=owner.with_account(runs[0].account))
    return json_response(anthropic.from_response(response, options), headers)


@with_request_id
@with_caller_names(anthropic.messages_param)
async def messages_count_tokens(request: Request, body: JsonObject) -> Response:
    """POST /v1/messages/count_tokens: an estimate, which no backend is asked for."""
    translation = await aside(json.is_heavy(body), anthropic.to_count, body)
    heavy = json.is_heavy(translation)
    sent = await with_files(request, body, translation, heavy=heavy)
    tokens = await aside(heavy or sent is not translation, anthropic.tokens, sent)
    return json_response({"input_tokens": tokens}, {"x-codexapi-estimate": "1"})


@with_request_id
async def models_page(request: Request) -> Response:
    """GET /v1/models"""
    known, aliases = await codex_of(request).models(), settings_of(request).model_aliases
    return json_response(anthropic.models_page(known, aliases))


@with_request_id
async def model_get(request: Request) -> Response:
    """GET /v1/models/{id}"""
    name, aliases = request.path_params["model"], settings_of(request).model_aliases
    entry = anthropic.model_entry(await codex_of(request).models(), aliases, name)
    if entry is None:
        error = ModelNotFound("GET /v1/models lists all names", param="model")
        error.model = name
        raise error
    return json_response(entry)


@with_request_id
async def hello(request: Request) -> Response:
    """GET and HEAD /api/hello, by which Claude Code sees whether there is a server."""
    return Response(status_code=200)


ABSENT = {"/v1/messages/batches": "batches", "/v1/complete": "text completions"}
"""By path: what the backend lacks."""


async def absent(request: Request) -> Response:
    path = request.scope["path"]
    what = next(ABSENT[begins] for begins in ABSENT if path.startswith(begins))
    message = f"Invalid URL ({request.method} {path}): the Codex backend has no {what}."
    raise refusal(404, "not_found", message)


async def _model(request: Request, body: JsonObject) -> tuple[str, Model | None]:
    """The name of the model that is to answer, and its entry in the list, where that is known.

    The list is waited for where a name of Claude's depends on it, or an effort, for which the engine
    would wait.
    """
    codex, aliases = codex_of(request), settings_of(request).model_aliases
    name = default = get_str(body, "model")
    known = codex.known_models
    foreign = anthropic.is_foreign(name) and name not in aliases
    if foreign or body.get("thinking") or body.get("output_config"):
        known = await codex.available_models()
    if foreign:
        default = await codex.model()
    model = anthropic.resolve(known, aliases, name, default)
    return model, _entry(request, known, model)


def _entry(request: Request, known: list[Model], model: str) -> Model | None:
    slug, _ = models.resolve(known, settings_of(request).model_aliases, model)
    return models.find(known, slug)


async def _add_sizes(
    request: Request, model: str, options: anthropic.MessageOptions, error: CodexError
) -> None:
    """Gives the error of an input that is too long its numbers. For them the list of models is
    waited for, as no request is that the backend takes."""
    window = options.window
    if window is None and isinstance(error, ContextTooLong):
        entry = _entry(request, await codex_of(request).available_models(), model)
        window = entry.context_window if entry else None
    anthropic.with_sizes(error, options.input_tokens, window)


def _least_effort(entry: Model | None) -> str:
    efforts = entry.efforts if entry is not None else ()
    return efforts[0] if efforts else anthropic.LEAST


def _session(request: Request, body: JsonObject) -> str:
    """The conversation's name for the backend's cache; empty leaves it to how it begins."""
    parts = [header(request, name) for name in _SESSION]
    name = "/".join(parts) if parts[0] else anthropic.session_of(body)
    return hashlib.sha256(name.encode(errors="replace")).hexdigest() if name else ""
