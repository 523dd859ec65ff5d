"""Chat Completions."""

from __future__ import annotations

import time

from starlette.requests import Request
from starlette.responses import Response

from codexapi_engine import EventStream
from codexapi_engine.errors import JsonObject
from codexapi_engine.protocol import chat
from codexapi_engine.protocol.choices import merged

from ..requests import codex_of, settings_of
from ..streaming import EventStreamResponse, Run
from .answer import answer_headers, collected_chunks, each_folded, json_response, with_model


async def chat_completions(request: Request, body: JsonObject) -> Response:
    """POST /v1/chat/completions"""
    asked, ignored = chat.from_client(with_model(request, body), strict=settings_of(request).strict)
    form, created = chat.form(asked), int(time.time())
    runs = await codex_of(request).open_all([chat.to_responses(asked)] * form.n)
    headers = answer_headers(runs[0], ignored)
    if asked.stream:
        return await EventStreamResponse.begin(
            request, *_translated(runs, form, created), headers=headers
        )
    if form.stop:  # a run ends at its stop sequence, and then has no finished response
        chunks = await collected_chunks(_translated(runs, form, created))
        return json_response(chat.collected(chunks), headers)
    responses = await each_folded(runs)
    replies = [chat.from_response(response, form, created=created) for response in responses]
    return json_response(merged(replies), headers)


def _translated(runs: list[EventStream], form: chat.Form, created: int) -> list[Run]:
    shared = chat.together(form, created=created)
    return [Run(run, chat.Stream(form, shared=shared, index=n)) for n, run in enumerate(runs)]
