"""The endpoint that reports how much of the plan is used."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from ..requests import codex_of
from .answer import json_response


async def usage(request: Request) -> Response:
    """GET /v1/usage"""
    limits = await codex_of(request).plan()
    return json_response({"object": "usage_limits", **limits.as_json()})
