"""The policy of an API dialect: how errors, keep-alives and keys look to its clients.

A dialect is one `Dialect` and its routes, given to `create_app` as `DialectRoutes`. The guard, the
error handlers and the stream writer use the dialect of the request, so a failure before the first
byte has the dialect's form too. The error event of a stream is not here: it continues the ids and
numbers of its stream, so the Translator's `fail` writes it. Bytes that are not an HTTP request have
no path and so no dialect: `server/uvicorn_protocol.py` refuses them in OpenAI's form.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from starlette.routing import Match, Route
from starlette.types import Scope

from codexapi_engine import CodexError, ModelNotFound, UsageLimitReached
from codexapi_engine.bounds import MAX_RETRY_AFTER
from codexapi_engine.errors import AuthError, JsonObject
from codexapi_engine.protocol import Translator, sse

_SCOPE = "codexapi.dialect"
_IN_A_COMMAND = re.compile(r"[\w.:/@-]{1,80}", re.ASCII)


class Translation(NamedTuple):
    """One request of a dialect in Responses' terms, and the way back."""

    request: JsonObject
    streams: bool
    translator: Callable[[], Translator]
    """The events of the backend as the client's stream."""
    reply: Callable[[JsonObject], JsonObject]
    """The finished response as the client's complete reply."""
    ignored: Sequence[str] = ()
    """Fields of the request without effect."""


class CallerParam(Protocol):
    """The name that a field of the backend's has in a body."""

    def __call__(self, param: str | None, body: JsonObject) -> str | None: ...


class Translate(Protocol):
    """Translates a request body. Raises CodexError, with the client's name of the wrong field."""

    def __call__(self, body: JsonObject, *, strict: bool) -> Translation: ...


def status_of(error: CodexError) -> int:
    return error.status


def retry_headers(error: CodexError, request_id: str) -> Mapping[str, str]:
    """The headers by which OpenAI's official clients decide whether to try again."""
    headers: dict[str, str] = {}
    if error.retry_after is not None and error.retry_after <= MAX_RETRY_AFTER:
        headers["retry-after"] = str(math.ceil(error.retry_after))
    if isinstance(error, AuthError | UsageLimitReached):
        headers["x-should-retry"] = "false"  # official clients would retry these in vain
    if error.status == 401 and error.code == "invalid_api_key":
        headers["www-authenticate"] = "Bearer"
    return headers


def traceable_message(error: CodexError, request_id: str) -> str:
    """The message. Where the request is not at fault, it names the line of the log that says more."""
    if error.status >= 500 and request_id and request_id not in error.message:
        return f"{error.message} (request {request_id})"
    if isinstance(error, ModelNotFound) and error.instead:
        return f"{error.message} {_other_name(error)}"
    return error.message


def _other_name(error: ModelNotFound) -> str:
    """What helps a client whose name for the model cannot be changed."""
    fix = "GET /v1/models lists all names"
    if error.model and _IN_A_COMMAND.fullmatch(error.model):
        alias = f"{error.model}={error.instead}"
        return f"{fix}; `codexapi serve --model-alias {alias}` serves this name too."
    return f"{fix}."


def openai_error(error: CodexError, request_id: str) -> JsonObject:
    return {"error": {**error.body(), "message": traceable_message(error, request_id)}}


@dataclass(frozen=True, slots=True)
class Dialect:
    """What the server needs to know of an API besides its routes."""

    name: str
    error_body: Callable[[CodexError, str], JsonObject] = openai_error
    """The JSON body of an error before the first byte; its arguments are the error and the id of
    the request."""
    error_status: Callable[[CodexError], int] = status_of
    error_headers: Callable[[CodexError, str], Mapping[str, str]] = retry_headers
    keep_alive: bytes = sse.KEEP_ALIVE
    """The keep-alive of an idle stream. A response may have its own, where this depends on the
    request."""
    media_type: str = "text/event-stream; charset=utf-8"
    """Of a stream."""
    body_types: tuple[str, ...] = ("application/json",)
    """The media types under which a JSON body may come."""
    key_headers: tuple[bytes, ...] = (b"authorization",)
    """Lower-case names of the headers that may carry the key of the server. One right key is
    enough: some clients send two. `authorization` is a Bearer, the others are the key alone."""
    translate: Translate | None = None
    """For `routes.translated`; None where the routes of the dialect do more than that."""
    caller_param: CallerParam | None = None
    """For `routes.translated` too: errors of the backend name the caller's fields. None where the
    dialect has the names of the Responses API."""


OPENAI = Dialect("openai")


class DialectRoutes(NamedTuple):
    """A dialect at its paths: all that `create_app` needs to serve it."""

    dialect: Dialect
    routes: Sequence[Route]
    prefixes: tuple[str, ...] = ()
    """Every path under one of these is the dialect's, also where there is no route."""
    header: bytes | None = None
    """A request that has this header is the dialect's where a route or no route at all fits it:
    two dialects may share a path."""

    def fits(self, scope: Scope) -> bool:
        return any(route.matches(scope)[0] is not Match.NONE for route in self.routes)


class Dialects:
    """Every dialect of a server. OpenAI's is the one of all paths that no other one has."""

    def __init__(self, routes: Sequence[Route], others: Sequence[DialectRoutes] = ()) -> None:
        self.openai = DialectRoutes(OPENAI, routes)
        self.others = tuple(others)
        self._folders = [tuple(f"{prefix}/" for prefix in entry.prefixes) for entry in self.others]

    def __iter__(self) -> Iterator[DialectRoutes]:
        yield from (*self.others, self.openai)

    def choose(self, scope: Scope, headers: Mapping[bytes, bytes]) -> Dialect:
        """The dialect of a request, which `dialect_of` and `routes_of` have from now on."""
        chosen = self.openai
        folder = f"{scope['path']}/"
        for entry, folders in zip(self.others, self._folders, strict=True):
            if folder.startswith(folders) or entry.header in headers:
                chosen = entry if entry.fits(scope) or not self.openai.fits(scope) else self.openai
                break
        scope[_SCOPE] = chosen
        return chosen.dialect


def dialect_of(scope: Scope) -> Dialect:
    """The dialect that the guard chose; OpenAI's for a scope that no guard has seen."""
    entry: DialectRoutes | None = scope.get(_SCOPE)
    return entry.dialect if entry is not None else OPENAI


def routes_of(scope: Scope) -> Sequence[Route]:
    """The routes of the request's dialect."""
    entry: DialectRoutes | None = scope.get(_SCOPE)
    return entry.routes if entry is not None else ()


def upgrades(scope: Scope) -> bool:
    """Whether the route of a request makes a WebSocket of it."""
    fit = (route for route in routes_of(scope) if route.matches(scope)[0] is Match.FULL)
    return any(getattr(route.endpoint, "upgrades", False) for route in fit)
