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
from codexapi_engine.protocol.responses import compaction, socket
from codexapi_engine.protocol.responses.estimate import input_tokens
from codexapi_engine.protocol.responses.items import as_items, without_status
from codexapi_engine.protocol.responses.request import caller_param, checked, from_client
from codexapi_engine.protocol.shapes import get_list, get_str
from codexapi_engine.storage import Owner, listable, new_id
from codexapi_engine.storage.owner import UNKNOWN
from codexapi_engine.storage.responses import no_previous

from ..audio_input import with_audio, with_audio_header
from ..background import Background, StoredEvents
from ..pump import KEEP_ALIVE_EVENT, NOT_OPEN, EventStreamResponse, Rename, Run
from ..requests import Memory, codex_of, context_of, not_kept, settings_of, state_of
from ..stored_files import with_files
from .answer import answer_headers, ignored_header, json_response, stream_response, with_model

NO_USAGE = {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}


@with_audio_header
async def responses_create(request: Request, body: JsonObject) -> Response:
    """POST /v1/responses"""
    return await create(request, body)


async def create(request: Request, body: JsonObject, memory: Memory | None = None) -> Response:
    """The answer to a request for a response. `memory` is that of its connection, if there is one
    that outlives the request."""
    params, created = with_model(request, body), int(time.time())
    if wire.WINDOW in request.headers:
        return await _for_codex(request, params, created, memory)
    translation = await _translate(request, params, memory)
    if params.get("background"):
        return await _in_background(request, params, translation, created)
    rename = partial(caller_param, request=params, history=translation.history, own=translation.own)
    kept = partial(_keep, request, params, translation, memory)
    if params.get("stream"):
        stream, event_log = responses.ResponseStream(params, created=created), EventLog()
        stores = params.get("store") is not False
        translator: Translator = RecordingTranslator(stream, event_log) if stores else stream

        async def keep(run: Run) -> None:
            await kept(stream.stored_response or {}, run.account, event_log)

        run = Run(NOT_OPEN, translator, keep)
        open_runs = partial(codex_of(request).open_all, [translation.sent])
        streamed = stream_response(open_runs, run, ignored=translation.ignored)
        streamed.name_fields(rename)
        return streamed
    events = await _open(request, translation.sent, rename)
    headers = answer_headers(events, translation.ignored)
    async with events:
        response = responses.from_response(await collect_response(events), params, created)
    lost = await kept(response, events.account)
    shown = responses.for_client(response, params.get("include"))
    return json_response(shown, {**headers, **not_kept(lost)})


async def warm_up(request: Request, body: JsonObject, memory: Memory) -> EventStreamResponse:
    """A response without output, made without the backend: its id stands for its input."""
    params = with_model(request, body)
    await aside(json.is_heavy(params), checked, params)
    if wire.WINDOW in request.headers:
        owner, (history, own) = UNKNOWN, _as_sent(params, memory)
    else:
        owner = await codex_of(request).owner(params["model"])
        history, own = await context_of(request, params, owner, memory)
    now = int(time.time())
    ended = {"id": new_id("resp"), "status": "completed", "completed_at": now, "usage": NO_USAGE}
    response = responses.from_response(ended, params, now)
    await _keep(request, params, _Translation(owner, history, own, {}, ()), memory, response)
    return EventStreamResponse(Run(StoredEvents(responses.replay(response)), Replay()), headers={})


class _Translation(NamedTuple):
    """A request as the backend gets it."""

    owner: Owner
    history: list[JsonObject]  # the items that go before its own
    own: list[JsonObject]
    sent: JsonObject
    ignored: tuple[str, ...]


async def _translate(
    request: Request, params: JsonObject, memory: Memory | None = None
) -> _Translation:
    """Raises CodexError, naming the field."""
    shape = await aside(json.is_heavy(params), checked, params)
    owner = await codex_of(request).owner(params["model"])
    history, own = await context_of(request, params, owner, memory)
    if params.get("previous_response_id"):
        await aside(json.is_heavy(history, own), socket.check_outputs, history, own)
    full, strict = {**params, "input": own}, settings_of(request).strict
    heavy = json.is_heavy(history, full)
    sent, ignored = await aside(
        heavy,
        from_client,
        full,
        strict=strict,
        history=history,
        request=shape,
    )
    heavy = json.is_heavy(sent, texts=False)
    sent = await with_files(request, params, sent, heavy=heavy)
    sent = await with_audio(request, params, sent, heavy=heavy)
    return _Translation(owner, history, own, sent, ignored)


async def _keep(
    request: Request,
    params: JsonObject,
    translation: _Translation,
    memory: Memory | None,
    response: JsonObject,
    account: str | None = None,
    event_log: EventLog | None = None,
) -> CodexError | None:
    """Stores a finished response, or has the connection remember it. Returns why it could not be
    stored, if it could not."""
    owner, own = (
        translation.owner.with_account(account) if account else translation.owner,
        translation.own,
    )
    if memory is not None and params.get("store") is False:
        memory.remember(response, [*translation.history, *own], owner=owner)
    elif memory is not None and memory.history(_previous(params), owner) is not None:
        # What is stored must not lead to what only this connection knows.
        response, own = {**response, "previous_response_id": None}, [*translation.history, *own]
    return await state_of(request).keep(params, own, response, event_log, owner=owner)


def _previous(params: JsonObject) -> str:
    return get_str(params, "previous_response_id")


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
    whole: JsonObject = {**params, "input": [*history, *own]}
    heavy = json.is_heavy(whole)
    sent = await with_files(request, params, whole, heavy=heavy)
    tokens = await aside(heavy or sent is not whole, input_tokens, sent)
    counted = {"object": "response.input_tokens", "input_tokens": tokens}
    return json_response(counted, {"x-codexapi-estimate": "1"})


async def _for_codex(
    request: Request, params: JsonObject, created: int, memory: Memory | None
) -> Response:
    """For a Codex client: nothing of its request is touched, and nothing is stored."""
    codex, echo, sent = codex_of(request), {**params, "store": False}, params
    history, own = list[JsonObject](), list[JsonObject]()
    if memory is not None:
        history, own = _as_sent(params, memory)
        await aside(json.is_heavy(history, own), socket.check_outputs, history, own)
        sent = {name: value for name, value in params.items() if name != "previous_response_id"}
        sent["input"] = [*history, *own]

    async def open_runs() -> Sequence[EventStream]:
        return [await codex.open(sent, caller=request.headers)]

    if params.get("stream"):
        stream = responses.ResponseStream(echo, created=created, verbatim=True)

        def keep(run: Run) -> None:
            if memory is not None:
                response = stream.stored_response or {}
                output = [without_status(item) for item in get_list(response, "output")]
                finished = {**response, "output": output}
                memory.remember(finished, [*history, *own], owner=UNKNOWN)

        run = Run(NOT_OPEN, stream, keep)
        return stream_response(open_runs, run, ignored=(), keep_alive=KEEP_ALIVE_EVENT)
    (events,) = await open_runs()
    headers = answer_headers(events, ())
    async with events:
        response = await collect_response(events)
    return json_response(responses.from_response(response, echo, created), headers)


def _as_sent(params: JsonObject, memory: Memory) -> tuple[list[JsonObject], list[JsonObject]]:
    """What goes before a Codex client's request in its connection, and its own items. Raises
    InvalidRequest if it is not there."""
    own = as_items(params.get("input"))
    if not (previous := _previous(params)):
        return [], own
    if (history := memory.history(previous, UNKNOWN)) is None:
        raise no_previous(f"Previous response with id '{previous}' not found.")
    return history, own


async def _in_background(
    request: Request, params: JsonObject, translation: _Translation, created: int
) -> Response:
    """The run is begun, and needs this client no more."""
    background: Background = request.app.state.background
    # Its answer does not wait for the backend's, so the changes of the request are reported here.
    sent, changed = await codex_of(request).named(translation.sent)
    if changed:
        params = {**params, "reasoning": {**params.get("reasoning", {}), **sent["reasoning"]}}
    job = await background.start(
        params, translation.own, sent, created=created, owner=translation.owner
    )
    headers = ignored_header(list(dict.fromkeys([*translation.ignored, *changed])))
    if params.get("stream"):
        run = Run(job.follow(), Replay())
        return EventStreamResponse(run, headers=headers)
    return json_response(job.queued, headers)
