"""Responses."""

from __future__ import annotations

import time

from starlette.requests import Request
from starlette.responses import Response

from codexapi_engine import folded
from codexapi_engine.errors import JsonObject
from codexapi_engine.protocol import headers as wire
from codexapi_engine.protocol import responses, sse
from codexapi_engine.protocol.responses.request import from_client

from ..requests import codex_of, settings_of
from ..streaming import KEEP_ALIVE_EVENT, EventStreamResponse, Run
from .answer import answer_headers, json_response, with_model


async def responses_create(request: Request, body: JsonObject) -> Response:
    """POST /v1/responses"""
    asked = with_model(request, body)
    by_codex = wire.WINDOW in request.headers  # a Codex client: nothing of it is touched
    taken, ignored = (
        (asked, ()) if by_codex else from_client(asked, strict=settings_of(request).strict)
    )
    events = await codex_of(request).open(taken, caller=request.headers)
    headers = answer_headers(events, ignored)
    created = int(time.time())
    if body.get("stream"):
        return await EventStreamResponse.begin(
            request,
            Run(events, responses.Stream(asked, created=created, verbatim=by_codex)),
            headers=headers,
            keep_alive=KEEP_ALIVE_EVENT if by_codex else sse.KEEP_ALIVE,
        )
    async with events:
        response = await folded(events)
    return json_response(responses.from_response(response, asked, created), headers)
