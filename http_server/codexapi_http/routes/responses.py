"""The Responses endpoints that run a model, or would. `stored.py` has those of stored responses."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from codexapi_engine import CodexError, EventStream, collect_response
from codexapi_engine.aside import aside
from codexapi_engine.errors import JsonObject
from codexapi_engine.protocol import Translator, json, responses
from codexapi_engine.protocol import headers as wire
from codexapi_engine.protocol.event_log import EventLog, RecordingTranslator, Replay
from codexapi_engine.protocol.responses import compaction
from codexapi_engine.protocol.responses.estimate import input_tokens
from codexapi_engine.protocol.responses.request import caller_param, checked, from_client
from codexapi_engine.protocol.shapes import get_str
from codexapi_engine.storage import Owner, listable

from ..audio_input import with_audio, with_audio_header
from ..background import Background
from ..pump import KEEP_ALIVE_EVENT, NOT_OPEN, EventStreamResponse, Rename, Run
from ..requests import codex_of, context_of, not_kept, settings_of, state_of
from ..stored_files import with_files
from .answer import answer_headers, ignored_header, json_response, stream_response, with_model


@with_audio_header
async def responses_create(request: Request, body: JsonObject) -> Response:
    """POST /v1/responses"""
    params, state, created = with_model(request, body), state_of(request), int(time.time())
    if wire.WINDOW in request.headers:
        return await _for_codex(request, params, created)
    owner, history, own, sent, ignored = await _translate(request, params)
    if params.get("background"):
        return await _in_background(request, params, own, sent, ignored, created, owner)
    rename = partial(caller_param, request=params, history=history, own=own)
    if params.get("stream"):
        stream, event_log = responses.ResponseStream(params, created=created), EventLog()
        kept = params.get("store") is not False
        translator: Translator = RecordingTranslator(stream, event_log) if kept else stream

        async def keep(run: Run) -> None:
            response, writer = stream.stored_response or {}, owner.with_account(run.account)
            await state.keep(params, own, response, event_log, owner=writer)

        run = Run(NOT_OPEN, translator, keep)
        open_runs = partial(codex_of(request).open_all, [sent])
        streamed = stream_response(open_runs, run, ignored=ignored)
        streamed.name_fields(rename)
        return streamed
    events = await _open(request, sent, rename)
    headers = answer_headers(events, ignored)
    async with events:
        response = responses.from_response(await collect_response(events), params, created)
    lost = await state.keep(params, own, response, owner=owner.with_account(events.account))
    shown = responses.for_client(response, params.get("include"))
    return json_response(shown, {**headers, **not_kept(lost)})


class _Translation(NamedTuple):
    """A request as the backend gets it."""

    owner: Owner
    history: list[JsonObject]  # the items that go before its own
    own: list[JsonObject]
    sent: JsonObject
    ignored: tuple[str, ...]


async def _translate(request: Request, params: JsonObject) -> _Translation:
    """Raises CodexError, naming the field."""
    shape = await aside(json.is_heavy(params), checked, params)
    owner = await codex_of(request).owner(params["model"])
    history, own = await context_of(request, params, owner)
    full, strict = {**params, "input": own}, settings_of(request).strict
    sent, ignored = await aside(
        json.is_heavy(history, full),
        from_client,
        full,
        strict=strict,
        history=history,
        request=shape,
    )
    sent = await with_audio(request, params, await with_files(request, params, sent))
    return _Translation(owner, history, own, sent, ignored)


async def _open(request: Request, sent: JsonObject, rename: Rename) -> EventStream:
    try:
        return await codex_of(request).open(sent)
    except CodexError as error:
        error.param = rename(error.param)
        raise


@with_audio_header
async def responses_compact(request: Request, body: JsonObject) -> Response:
    """POST /v1/responses/compact"""
    left_out = ("stream", "stream_options", "store", "background")
    fields = {name: value for name, value in body.items() if name not in left_out}
    params = with_model(request, fields)
    _, history, own, sent, ignored = await _translate(request, params)
    sent["input"].append(compaction.TRIGGER)
    events = await _open(
        request, sent, partial(caller_param, request=params, history=history, own=own)
    )
    headers = answer_headers(events, ignored)
    async with events:
        response = await collect_response(events)
    items = await aside(json.is_heavy(history, own), listable, [*history, *own])
    made = compaction.from_response(response, items, int(time.time()))
    return json_response(made, headers)


async def responses_input_tokens(request: Request, body: JsonObject) -> Response:
    """POST /v1/responses/input_tokens: an estimate, made without the backend."""
    params = {**body, "input": body.get("input") or []}
    await aside(json.is_heavy(params), checked, params)
    owner = await codex_of(request).owner(get_str(params, "model"))
    history, own = await context_of(request, params, owner)
    whole = await with_files(request, params, {**params, "input": [*history, *own]})
    tokens = await aside(json.is_heavy(whole), input_tokens, whole)
    counted = {"object": "response.input_tokens", "input_tokens": tokens}
    return json_response(counted, {"x-codexapi-estimate": "1"})


async def _for_codex(request: Request, params: JsonObject, created: int) -> Response:
    """For a Codex client: nothing of its request is touched, and nothing is kept."""
    codex, echo = codex_of(request), {**params, "store": False}

    async def open_runs() -> Sequence[EventStream]:
        return [await codex.open(params, caller=request.headers)]

    if params.get("stream"):
        run = Run(NOT_OPEN, responses.ResponseStream(echo, created=created, verbatim=True))
        return stream_response(open_runs, run, ignored=(), keep_alive=KEEP_ALIVE_EVENT)
    (events,) = await open_runs()
    headers = answer_headers(events, ())
    async with events:
        response = await collect_response(events)
    return json_response(responses.from_response(response, echo, created), headers)


async def _in_background(
    request: Request,
    params: JsonObject,
    own: list[JsonObject],
    sent: JsonObject,
    ignored: tuple[str, ...],
    created: int,
    owner: Owner,
) -> Response:
    """The run is begun, and needs this client no more."""
    background: Background = request.app.state.background
    # Its answer does not wait for the backend's, so the changes of the request are reported here.
    sent, changed = await codex_of(request).named(sent)
    if changed:
        params = {**params, "reasoning": {**params.get("reasoning", {}), **sent["reasoning"]}}
    job = await background.start(params, own, sent, created=created, owner=owner)
    headers = ignored_header(list(dict.fromkeys([*ignored, *changed])))
    if params.get("stream"):
        run = Run(job.follow(), Replay())
        return EventStreamResponse(run, headers=headers)
    return json_response(job.queued, headers)
