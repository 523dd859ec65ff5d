"""Errors as OpenAI's error object, with the headers by which official clients act."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route

from codexapi_engine import CodexError, UsageLimitReached
from codexapi_engine.errors import AuthError
from codexapi_engine.protocol import json, limits

from .access import current

log = logging.getLogger("codexapi.http")

MAX_RETRY_AFTER = 60.0
"""Seconds. Some programs sleep in silence for as long as a Retry-After says, hours too: beyond this
the message, the body and the `x-codex-*` headers alone say when it resets."""

ABSENT = {
    "embeddings": "no embeddings",
    "audio": "no audio",
    "moderations": "no moderations",
    "files": "no file store",
    "uploads": "no file store",
    "batches": "no batches",
    "fine_tuning": "no fine-tuning",
    "vector_stores": "no vector stores",
    "assistants": "no assistants",
    "threads": "no assistants",
    "realtime": "no realtime sessions here",
    "videos": "no videos",
}
"""Parts of the official API that the Codex backend lacks, by the first word of their path."""


def render(
    error: CodexError, headers: Mapping[str, str] | None = None, *, request_id: str = ""
) -> Response:
    """The error as an HTTP response. Where it is no fault of the request, its message names the
    line of the log that tells more."""
    sent = {**error.headers, **(headers or {})}
    if error.retry_after is not None and error.retry_after <= MAX_RETRY_AFTER:
        sent["retry-after"] = str(math.ceil(error.retry_after))
    if isinstance(error, AuthError | UsageLimitReached):
        sent["x-should-retry"] = "false"  # official clients would retry these in vain
    if error.status == 401 and error.code == "invalid_api_key":
        sent["www-authenticate"] = "Bearer"
    told = error.body()
    if error.status >= 500 and request_id and request_id not in error.message:
        told["message"] = f"{error.message} (request {request_id})"
    body = json.dumps({"error": told})
    return Response(body, error.status, sent, media_type="application/json")


async def codex_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, CodexError)
    current().failed(error)
    told = limits.from_headers(error.headers)
    if not (told.primary or told.secondary):  # then as the newest answer told them
        told = request.app.state.codex.limits or told
    return render(error, told.as_headers(), request_id=request.scope["request_id"])


async def http_exception(request: Request, error: Exception) -> Response:
    """What the router says: no such path, or not by this method."""
    assert isinstance(error, HTTPException)
    status, path, method = error.status_code, request.scope["path"], request.method
    headers = dict(error.headers or {})
    if status == 405:
        headers["allow"] = ", ".join(sorted(_methods(request)))
        message = f"Invalid method for {path}: {method} is not allowed."
        said = refusal(405, "method_not_allowed", message)
    elif status == 404:
        said = refusal(404, "not_found", _no_such_path(method, path))
    else:
        said = refusal(status, "invalid_request", error.detail)
    current().failed(said)
    return render(said, headers)


def _methods(request: Request) -> set[str]:
    """By which this path can be asked: each method is a route of its own."""
    routes = [route for route in request.app.routes if isinstance(route, Route)]
    fit = (route for route in routes if route.matches(request.scope)[0] is not Match.NONE)
    return {method for route in fit for method in route.methods or ()}


def unforeseen(request_id: str) -> CodexError:
    """A bug of ours, being handled. Its text may hold anything, and stays in the log."""
    log.exception("request %s failed", request_id)
    message = f"codexapi failed on this request ({request_id}); its log says why"
    return CodexError(message, code="internal_error")


def refusal(status: int, code: str, message: str, param: str | None = None) -> CodexError:
    """A request that this door turns away."""
    return CodexError(message, status=status, type="invalid_request_error", code=code, param=param)


def _no_such_path(method: str, path: str) -> str:
    said = f"Invalid URL ({method} {path})"
    word = path.removeprefix("/v1").strip("/").partition("/")[0]
    if word in ABSENT:
        return f"{said}: the Codex backend has {ABSENT[word]}."
    if not path.startswith("/v1"):
        return f"{said}: the API is under /v1, try /v1{path}"
    return f"{said}."
