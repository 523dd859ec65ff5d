"""Renders errors as HTTP responses, each in the dialect of its request."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match

from codexapi_engine import Codex, CodexError, __version__
from codexapi_engine.bounds import MAX_REQUEST_HEAD_BYTES
from codexapi_engine.protocol import json, limits

from .dialect import Dialect, dialect_of, routes_of
from .middleware.request_log import CLIENT_LEFT, current
from .server.lifecycle import Shutdown

log = logging.getLogger("codexapi.http")

ABSENT = {
    "embeddings": "no embeddings",
    "audio": "no audio but transcriptions",
    "moderations": "no moderations",
    "uploads": "no uploads in parts: POST /v1/files takes a whole file",
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
    error: CodexError,
    dialect: Dialect,
    headers: Mapping[str, str] | None = None,
    *,
    request_id: str = "",
) -> Response:
    """The error as an HTTP response of a dialect."""
    return Response(
        json.dumps(dialect.error_body(error, request_id)),
        dialect.error_status(error),
        {**error.headers, **(headers or {}), **dialect.error_headers(error, request_id)},
        media_type="application/json",
    )


async def codex_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, CodexError)
    current().failed(error)
    scope, known = request.scope, limit_headers(error, request.app.state.codex)
    return render(error, dialect_of(scope), known, request_id=scope["request_id"])


def limit_headers(error: CodexError, codex: Codex) -> Mapping[str, str]:
    """The plan's limits, as the error or else the newest answer tells them."""
    known = limits.from_headers(error.headers)
    if not (known.primary or known.secondary):
        known = codex.limits or known
    return known.as_headers()


async def http_exception(request: Request, error: Exception) -> Response:
    """What the router says: no such path, or not by this method."""
    assert isinstance(error, HTTPException)
    status, path, method = error.status_code, request.scope["path"], request.method
    headers = dict(error.headers or {})
    if status == 405:
        headers["allow"] = ", ".join(sorted(_methods(request)))
        message = f"Invalid method for {path}: {method} is not allowed."
        failure = refusal(405, "method_not_allowed", message)
    elif status == 404:
        failure = no_such_path(request)
    else:
        failure = refusal(status, "invalid_request", error.detail)
    current().failed(failure)
    return render(
        failure, dialect_of(request.scope), headers, request_id=request.scope["request_id"]
    )


def _methods(request: Request, path: str | None = None) -> set[str]:
    """By which a path can be asked, that of the request if none is named: each method is a route of
    its own."""
    scope = request.scope if path is None else {**request.scope, "path": path}
    fit = (route for route in routes_of(scope) if route.matches(scope)[0] is not Match.NONE)
    return {method for route in fit for method in route.methods or ()}


def unforeseen(request_id: str) -> CodexError:
    """A bug of ours, being handled. Its text may hold anything, and stays in the log."""
    log.exception("request %s failed", request_id)
    message = f"codexapi failed on this request ({request_id}); its log says why"
    return CodexError(message, code="internal_error")


def refusal(status: int, code: str, message: str, param: str | None = None) -> CodexError:
    """A request that the server refuses itself."""
    return CodexError(message, status=status, type="invalid_request_error", code=code, param=param)


def head_too_large() -> CodexError:
    size = MAX_REQUEST_HEAD_BYTES // 1024
    return refusal(431, "headers_too_large", f"The head of your request exceeds {size} KiB.")


def interruption(shutdown: Shutdown) -> CodexError | None:
    """Why this server ends the current request: its user wants that, or it goes down."""
    if current().stopped:
        error = refusal(CLIENT_LEFT, "stopped", "The user stopped this request at codexapi.")
        error.headers["x-should-retry"] = "false"
        return error
    return shutdown.error() if shutdown.ends_all else None


def no_such_path(request: Request) -> CodexError:
    """A 404 that names the path that was meant, where one can be made out."""
    path, method = request.scope["path"], request.method
    return refusal(404, "not_found", f"Invalid URL ({method} {path}){_hint(request, path)}.")


def _hint(request: Request, path: str) -> str:
    if "://" in path:  # as a proxy is asked
        return ": this server is no proxy; ask it for the path alone"
    if path in ("/", "/v1", "/v1/"):
        return f": {_here(request)}"
    under = _under_v1(path)
    for meant in (_tidy(path), under, under[3:]):
        if meant != path and _methods(request, meant):
            return f": try {meant}"
    if (word := under[4:].partition("/")[0]) in ABSENT:
        return f": the Codex backend has {ABSENT[word]}"
    if path.startswith("/v1/") or not _is_under_v1(request):
        return ""
    return f": the API is under /v1, try {under}"


def _is_under_v1(request: Request) -> bool:
    """Whether the dialect of the request has paths there."""
    return any(route.path.startswith("/v1/") for route in routes_of(request.scope))


def _here(request: Request) -> str:
    """What a browser or a curious program needs, where it looks first."""
    base = f"{request.base_url}v1"
    return (
        f"this is codexapi {__version__}, and no page: a client's base URL is {base}. "
        "To look round: /v1/models, /openapi.json, /healthz"
    )


def _tidy(path: str) -> str:
    """Without empty parts, and without a slash at its end."""
    return "/" + "/".join(part for part in path.split("/") if part)


def _under_v1(path: str) -> str:
    """What follows the last `v1` of a path, or all of it, under /v1."""
    return _tidy(f"/v1/{_tidy(path).rpartition('/v1/')[2]}")
