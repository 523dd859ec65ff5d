"""The health check of the server itself; it does not contact the backend."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from codexapi_engine import __version__

from .answer import json_response


async def healthz(request: Request) -> Response:
    """GET /healthz"""
    return json_response({"status": "ok", "version": __version__})
