"""Responses: those that run a model, or would. What is kept of them is in `stored.py`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from codexapi_engine import CodexError, EventStream, folded
from codexapi_engine.aside import aside
from codexapi_engine.errors import JsonObject
from codexapi_engine.protocol import Translator, json, responses
from codexapi_engine.protocol import headers as wire
from codexapi_engine.protocol.responses import compaction
from codexapi_engine.protocol.responses.estimate import input_tokens
from codexapi_engine.protocol.responses.request import caller_param, checked, from_client
from codexapi_engine.protocol.shapes import word
from codexapi_engine.protocol.tape import Again, Recorded, Tape
from codexapi_engine.state import Owner, listable

from ..background import Background
from ..requests import codex_of, context_of, not_kept, settings_of, state_of
from ..streaming import KEEP_ALIVE_EVENT, NOT_OPEN, EventStreamResponse, Rename, Run
from .answer import answer_headers, ignored_header, json_response, stream_response, with_model


async def responses_create(request: Request, body: JsonObject) -> Response:
    """POST /v1/responses"""
    asked, state, created = with_model(request, body), state_of(request), int(time.time())
    if wire.WINDOW in request.headers:
        return await _for_codex(request, asked, created)
    shape = await aside(json.is_heavy(asked), checked, asked)
    owner = await codex_of(request).owner(asked["model"])
    past, own = await context_of(request, asked, owner)
    full, strict = {**asked, "input": own}, settings_of(request).strict
    sent, ignored = await aside(
        json.is_heavy(past, full), from_client, full, strict=strict, past=past, asked=shape
    )
    if asked.get("background"):
        return await _in_background(request, asked, own, sent, ignored, created, owner)
    rename = partial(caller_param, asked=asked, past=past, own=own)
    if asked.get("stream"):
        stream, tape = responses.Stream(asked, created=created), Tape()
        kept = asked.get("store") is not False
        translator: Translator = Recorded(stream, tape) if kept else stream

        async def keep(run: Run) -> None:
            response, writer = stream.stored_response or {}, owner.with_account(run.account)
            await state.keep(asked, own, response, tape, owner=writer)

        run = Run(NOT_OPEN, translator, keep)
        open_runs = partial(codex_of(request).open_all, [sent])
        streamed = stream_response(open_runs, run, ignored=ignored)
        streamed.name_fields(rename)
        return streamed
    events = await _opened(request, sent, rename)
    headers = answer_headers(events, ignored)
    async with events:
        response = responses.from_response(await folded(events), asked, created)
    lost = await state.keep(asked, own, response, owner=owner.with_account(events.account))
    shown = responses.for_client(response, asked.get("include"))
    return json_response(shown, {**headers, **not_kept(lost)})


async def _opened(request: Request, sent: JsonObject, rename: Rename) -> EventStream:
    try:
        return await codex_of(request).open(sent)
    except CodexError as error:
        error.param = rename(error.param)
        raise


async def responses_compact(request: Request, body: JsonObject) -> Response:
    """POST /v1/responses/compact"""
    left_out = ("stream", "stream_options", "store", "background")
    given = {name: value for name, value in body.items() if name not in left_out}
    asked = with_model(request, given)
    shape = await aside(json.is_heavy(asked), checked, asked)
    owner = await codex_of(request).owner(asked["model"])
    past, own = await context_of(request, asked, owner)
    full, strict = {**asked, "input": own}, settings_of(request).strict
    sent, ignored = await aside(
        json.is_heavy(past, full), from_client, full, strict=strict, past=past, asked=shape
    )
    sent["input"].append(compaction.TRIGGER)
    events = await _opened(request, sent, partial(caller_param, asked=asked, past=past, own=own))
    headers = answer_headers(events, ignored)
    async with events:
        response = await folded(events)
    items = await aside(json.is_heavy(past, own), listable, [*past, *own])
    made = compaction.from_response(response, items, int(time.time()))
    return json_response(made, headers)


async def responses_input_tokens(request: Request, body: JsonObject) -> Response:
    """POST /v1/responses/input_tokens: an estimate, which no backend is asked for."""
    asked = {**body, "input": body.get("input") or []}
    await aside(json.is_heavy(asked), checked, asked)
    owner = await codex_of(request).owner(word(asked, "model"))
    past, own = await context_of(request, asked, owner)
    whole = {**asked, "input": [*past, *own]}
    tokens = await aside(json.is_heavy(whole), input_tokens, whole)
    counted = {"object": "response.input_tokens", "input_tokens": tokens}
    return json_response(counted, {"x-codexapi-estimate": "1"})


async def _for_codex(request: Request, asked: JsonObject, created: int) -> Response:
    """For a Codex client: nothing of its request is touched, and nothing is kept."""
    codex, echo = codex_of(request), {**asked, "store": False}

    async def open_runs() -> Sequence[EventStream]:
        return [await codex.open(asked, caller=request.headers)]

    if asked.get("stream"):
        run = Run(NOT_OPEN, responses.Stream(echo, created=created, verbatim=True))
        return stream_response(open_runs, run, ignored=(), keep_alive=KEEP_ALIVE_EVENT)
    (events,) = await open_runs()
    headers = answer_headers(events, ())
    async with events:
        response = await folded(events)
    return json_response(responses.from_response(response, echo, created), headers)


async def _in_background(
    request: Request,
    asked: JsonObject,
    own: list[JsonObject],
    sent: JsonObject,
    ignored: tuple[str, ...],
    created: int,
    owner: Owner,
) -> Response:
    """The run is begun, and needs this client no more."""
    background: Background = request.app.state.background
    # Its answer does not wait for the backend's, which else tells what of a request has changed.
    sent, changed = await codex_of(request).named(sent)
    if changed:
        asked = {**asked, "reasoning": {**asked.get("reasoning", {}), **sent["reasoning"]}}
    job = await background.start(asked, own, sent, created=created, owner=owner)
    headers = ignored_header(list(dict.fromkeys([*ignored, *changed])))
    if asked.get("stream"):
        run = Run(job.follow(), Again())
        return EventStreamResponse(run, headers=headers)
    return json_response(job.queued, headers)
