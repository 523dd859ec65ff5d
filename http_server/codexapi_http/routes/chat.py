"""The Chat Completions endpoint."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from codexapi_engine import Codex, CodexError
from codexapi_engine.aside import aside
from codexapi_engine.errors import JsonObject
from codexapi_engine.protocol import chat, json
from codexapi_engine.protocol.chat.params import chat_param
from codexapi_engine.protocol.choices import merged
from codexapi_engine.protocol.event_log import EventLog, RecordingTranslator
from codexapi_engine.protocol.shapes import get_str
from codexapi_engine.storage import Owner

from ..audio_input import with_audio, with_audio_header
from ..pump import NOT_OPEN, Run, attach
from ..requests import change_state, codex_of, context_of, not_kept, settings_of, state_of
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

Keep = Callable[[JsonObject], Awaitable[CodexError | None]]
"""Stores a complete reply where the client requests it."""


@with_audio_header
@with_caller_names(chat_param)
async def chat_completions(request: Request, body: JsonObject) -> Response:
    """POST /v1/chat/completions"""
    body = with_model(request, body)
    created, codex = int(time.time()), codex_of(request)
    owner = await codex.owner(get_str(body, "model"))
    sent, form, ignored = await _understood(request, body, owner)
    heavy = json.is_heavy(sent, texts=False)
    sent = await with_files(request, body, sent, heavy=heavy)
    sent = await with_audio(request, body, sent, heavy=heavy)
    # The model's reasoning before the tool calls of earlier turns: chat has no field for it.
    restored = partial(codex.reasoning.restore, sent["input"], owner=owner)
    sent["input"] = await aside(heavy, restored)
    stored = body.get("store") is True and "messages" in body
    keep = partial(change_state, request, state_of(request).store_chat, body) if stored else None
    open_runs = partial(codex.open_all, [sent] * form.n)
    if body.get("stream"):
        choices = _translated(codex, form, created, owner, keep)
        return stream_response(open_runs, *choices, ignored=ignored)
    runs = await open_runs()
    headers = answer_headers(runs[0], ignored)
    if form.stop:  # a run ends at its stop sequence, and then has no finished response
        options = replace(form, include_usage=True)
        choices = _translated(codex, options, created, owner)
        attach(choices, runs)
        chunks = await collected_chunks(choices)
        return await _complete_reply(chat.collected(chunks), headers, keep)
    responses = await collect_responses(runs)
    for run, response in zip(runs, responses, strict=True):
        codex.reasoning.remember(response["output"], owner=owner.with_account(run.account))
    replies = [chat.from_response(response, form, created=created) for response in responses]
    return await _complete_reply(merged(replies), headers, keep)


async def _understood(
    request: Request, body: JsonObject, owner: Owner
) -> tuple[JsonObject, chat.ReplyOptions, tuple[str, ...]]:
    """The Responses request behind a body, what shapes the reply, and what is ignored of it."""
    strict = settings_of(request).strict
    if not chat.mixed.is_mixed(body):
        return await aside(json.is_heavy(body), _from_messages, body, strict)
    history, own = await context_of(request, body, owner)
    full, mixed = {**body, "input": own}, chat.mixed.from_client
    return await aside(json.is_heavy(history, full), mixed, full, strict=strict, history=history)


def _from_messages(
    body: JsonObject, strict: bool
) -> tuple[JsonObject, chat.ReplyOptions, tuple[str, ...]]:
    chat_request, ignored = chat.from_client(body, strict=strict)
    return chat.to_responses(chat_request), chat.form(chat_request), ignored


async def _complete_reply(
    reply: JsonObject, headers: dict[str, str], keep: Keep | None
) -> Response:
    lost = await keep(reply) if keep is not None else None
    return json_response(reply, {**headers, **not_kept(lost)})


def _translated(
    codex: Codex, form: chat.ReplyOptions, created: int, owner: Owner, keep: Keep | None = None
) -> list[Run]:
    """The choices of a reply, each of a run that is not open yet."""
    shared, event_log, running = (
        chat.shared_envelope(form, created=created),
        EventLog(),
        set(range(form.n)),
    )

    def ended(index: int, stream: chat.ChatStream, run: Run) -> Awaitable[object] | None:
        running.discard(index)
        codex.reasoning.remember(stream.thread, owner=owner.with_account(run.account))
        if keep is not None and not running and not event_log.overflow:
            return keep(chat.collected(event.json for event in event_log.events if event.json))
        return None

    choices = []
    for index in range(form.n):
        stream = chat.ChatStream(form, shared=shared, index=index)
        translator = RecordingTranslator(stream, event_log) if keep else stream
        choices.append(Run(NOT_OPEN, translator, partial(ended, index, stream)))
    return choices
