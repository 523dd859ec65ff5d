"""Reading a request, and working on it only as long as its client is there."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from codexapi_engine import Codex, CodexError, InvalidRequest, Settings
from codexapi_engine.errors import JsonObject
from codexapi_engine.protocol import json
from codexapi_engine.state import State

from .errors import refusal

MAX_BODY_BYTES = 32 * 1024 * 1024
MAX_DEPTH = 100
CLIENT_LEFT = 499
"""What the log says of a request whose client did not wait: nginx's number for it."""

MAX_INTEGER = 2**64

log = logging.getLogger("codexapi.http")
T = TypeVar("T")

Work = Callable[[Request, JsonObject], Coroutine[Any, Any, Response]]
Endpoint = Callable[[Request], Awaitable[Response]]


def codex_of(request: Request) -> Codex:
    return request.app.state.codex  # type: ignore[no-any-return]


def state_of(request: Request) -> State:
    """What clients asked to be kept."""
    return request.app.state.kept  # type: ignore[no-any-return]


def settings_of(request: Request) -> Settings:
    return request.app.state.settings  # type: ignore[no-any-return]


def posted(work: Work) -> Endpoint:
    """An endpoint out of a function of the request and its JSON body.

    The function is cancelled when the client leaves, and when the server has to go down.
    """

    async def endpoint(request: Request) -> Response:
        try:
            body = await json_body(request)
        except ClientDisconnect:
            return Response(status_code=CLIENT_LEFT)
        return await present(request, work(request, body))

    endpoint.__name__, endpoint.__doc__ = work.__name__, work.__doc__
    return endpoint


def got(work: Callable[[Request], Coroutine[Any, Any, Response]]) -> Endpoint:
    """An endpoint out of a function of the request alone; cancelled likewise."""

    async def endpoint(request: Request) -> Response:
        return await present(request, work(request))

    endpoint.__name__, endpoint.__doc__ = work.__name__, work.__doc__
    return endpoint


async def present(request: Request, work: Coroutine[Any, Any, Response]) -> Response:
    """What `work` gives, while the client is there. Its body must have been read."""
    shutdown = request.app.state.shutdown
    told = shutdown.register()
    running = asyncio.create_task(work)
    gone = asyncio.create_task(left(request.receive))
    try:
        await asyncio.wait({running, gone, told}, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            return running.result()
        if told.done():
            raise shutdown.error()
        return Response(status_code=CLIENT_LEFT)  # goes nowhere: nobody is there
    finally:
        shutdown.release(told)
        await ended(running, gone)


async def all_of(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """What all of them give. The first failure is raised, and ends the others."""
    tasks = [asyncio.create_task(one) for one in work]
    try:
        return await asyncio.gather(*tasks)
    finally:
        await ended(*tasks)


async def left(receive: Callable[[], Awaitable[Any]]) -> None:
    """Returns when the client has left."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def ended(*tasks: asyncio.Task[Any]) -> None:
    """Cancels the tasks, and returns when they have cleaned up."""
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def json_body(request: Request, limit: int = MAX_BODY_BYTES) -> JsonObject:
    """The request's body, an object. Raises InvalidRequest, or another refusal."""
    kind = media_type(request)
    # A form or plain text is what a web page can send without asking: never taken.
    if kind != "application/json":
        raise refusal(
            415,
            "unsupported_media_type",
            f"Unsupported media type '{kind[:60]}': send Content-Type: application/json.",
        )
    if request.headers.get("content-encoding", "identity") != "identity":
        raise refusal(415, "unsupported_media_type", "Compressed requests are not supported.")
    return checked(await _bytes(request, limit))


def checked(data: bytes) -> JsonObject:
    """A JSON object out of a stranger's bytes. Raises InvalidRequest."""
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):
        raise _unreadable("We could not parse the JSON body of your request.") from None
    if not isinstance(body, dict):
        raise _unreadable("The JSON body of your request is not an object.")
    _measure(body, MAX_DEPTH)
    return body


def _measure(value: Any, depth: int) -> None:
    """What JSON allows, and what would break further down."""
    if isinstance(value, dict | list):
        if depth == 0:
            raise _unreadable(
                f"The JSON body of your request is nested more than {MAX_DEPTH} deep."
            )
        for item in value.values() if isinstance(value, dict) else value:
            _measure(item, depth - 1)
    elif (isinstance(value, float) and abs(value) == float("inf")) or (
        isinstance(value, int) and abs(value) > MAX_INTEGER
    ):
        raise _unreadable("The JSON body of your request has a number that is too large.")


def media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def check_size(request: Request, limit: int) -> None:
    """Refuses a body that says of itself that it is too large."""
    told = request.headers.get("content-length", "")
    if told.isdecimal() and int(told) > limit:
        raise too_large(limit)


def too_large(limit: int) -> CodexError:
    return refusal(413, "request_too_large", f"The body exceeds the limit of {limit >> 20} MiB.")


async def _bytes(request: Request, limit: int) -> bytes:
    check_size(request, limit)
    pieces, size = [], 0
    async for piece in request.stream():
        size += len(piece)
        if size > limit:
            raise too_large(limit)
        pieces.append(piece)
    return b"".join(pieces)


def _unreadable(message: str) -> InvalidRequest:
    return InvalidRequest(message, code="invalid_json")
