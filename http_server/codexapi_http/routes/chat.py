"""Chat Completions."""

from __future__ import annotations

import time

from starlette.requests import Request
from starlette.responses import Response

from codexapi_engine import folded
from codexapi_engine.errors import JsonObject
from codexapi_engine.protocol import chat

from ..requests import codex_of, settings_of
from ..streaming import EventStreamResponse
from .answer import answer_headers, json_response, with_model


async def chat_completions(request: Request, body: JsonObject) -> Response:
    """POST /v1/chat/completions"""
    asked, ignored = chat.from_client(with_model(request, body), strict=settings_of(request).strict)
    form = chat.form(asked)
    events = await codex_of(request).open(chat.to_responses(asked))
    headers = answer_headers(events, ignored)
    created = int(time.time())
    if asked.stream:
        translator = chat.Stream(form, created=created)
        return await EventStreamResponse.begin(request, events, translator, headers=headers)
    async with events:
        reply = chat.from_response(await folded(events), form, created=created)
    return json_response(reply, headers)
