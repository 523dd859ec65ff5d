"""Chat Completions."""

from __future__ import annotations

import time
from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from codexapi_engine import Codex, EventStream
from codexapi_engine.errors import JsonObject
from codexapi_engine.protocol import chat
from codexapi_engine.protocol.choices import merged

from ..requests import codex_of, settings_of
from ..streaming import EventStreamResponse, Run
from .answer import answer_headers, collected_chunks, each_folded, json_response, with_model


async def chat_completions(request: Request, body: JsonObject) -> Response:
    """POST /v1/chat/completions"""
    asked, ignored = chat.from_client(with_model(request, body), strict=settings_of(request).strict)
    form, created, codex = chat.form(asked), int(time.time()), codex_of(request)
    sent = chat.to_responses(asked)
    # The model's reasoning before the tool calls of earlier turns: chat has no field for it.
    sent["input"] = codex.reasoning.restore(sent["input"], model=form.model)
    runs = await codex.open_all([sent] * form.n)
    headers = answer_headers(runs[0], ignored)
    if asked.stream:
        return await EventStreamResponse.begin(
            request, *_translated(codex, runs, form, created), headers=headers
        )
    if form.stop:  # a run ends at its stop sequence, and then has no finished response
        chunks = await collected_chunks(_translated(codex, runs, form, created))
        return json_response(chat.collected(chunks), headers)
    responses = await each_folded(runs)
    for response in responses:
        codex.reasoning.remember(response["output"], model=form.model)
    replies = [chat.from_response(response, form, created=created) for response in responses]
    return json_response(merged(replies), headers)


def _translated(codex: Codex, runs: list[EventStream], form: chat.Form, created: int) -> list[Run]:
    shared = chat.together(form, created=created)
    translators = [chat.Stream(form, shared=shared, index=n) for n in range(len(runs))]
    return [
        Run(run, translator, partial(codex.reasoning.remember, translator.thread, model=form.model))
        for run, translator in zip(runs, translators, strict=True)
    ]
