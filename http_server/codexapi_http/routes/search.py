"""The web search endpoint of Codex clients, which run it themselves: not as a tool of the model."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from codexapi_engine.errors import JsonObject
from codexapi_engine.protocol import headers as wire
from codexapi_engine.protocol import limits

from ..requests import codex_of
from .answer import json_response


async def alpha_search(request: Request, body: JsonObject) -> Response:
    """POST /v1/alpha/search: body and answer as the Codex client and its backend write them."""
    reply = await codex_of(request).search(body, request.headers)
    windows = limits.from_headers(reply.headers).as_headers()
    return json_response(reply.json or {}, {**wire.to_client(reply.headers), **windows})
