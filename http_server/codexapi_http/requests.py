"""Reads and validates a request's body, and finds the engine objects of its application."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Coroutine, Iterable
from functools import partial
from typing import Any, Protocol, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.types import Scope

from codexapi_engine import Codex, CodexError, InvalidRequest, Settings
from codexapi_engine.aside import aside
from codexapi_engine.bounds import MAX_BODY_BYTES, MAX_INTEGER, MAX_JSON_DEPTH, MAX_JSON_VALUES
from codexapi_engine.errors import JsonObject, Unavailable
from codexapi_engine.memory import has_room_for, limit_unused
from codexapi_engine.protocol import json, long_json
from codexapi_engine.storage import Owner, State

from .dialect import dialect_of
from .errors import refusal
from .middleware import compression

LARGE = json.PIECE
"""Bytes of a body from which on its memory is counted."""

_MANY = 2000
"""Commas of a body that are more than those of a few long texts."""

_RESERVED = "codexapi.reserved"

T = TypeVar("T")


def codex_of(request: Request) -> Codex:
    return request.app.state.codex  # type: ignore[no-any-return]


def state_of(request: Request) -> State:
    """The state that clients have stored."""
    return request.app.state.kept  # type: ignore[no-any-return]


async def read_state(read: Callable[..., T], *arguments: Any) -> T:
    """What is read of the state: as much as a client has stored."""
    return await aside(True, read, *arguments)


class Memory(Protocol):
    """Responses that are not stored: a connection remembers them for its own requests."""

    def history(self, previous: str, owner: Owner) -> list[JsonObject] | None:
        """The items of a response and of all before it, less those that `owner` cannot send; None
        for a response that is not remembered."""

    def remember(self, response: JsonObject, items: list[JsonObject], *, owner: Owner) -> None:
        """Takes a finished response, and the items that went before its output."""


async def context_of(
    request: Request, params: JsonObject, owner: Owner, memory: Memory | None = None
) -> tuple[list[JsonObject], list[JsonObject]]:
    """What goes before a request in the Responses dialect, and its own items."""
    if memory is not None and isinstance(previous := params.get("previous_response_id"), str):
        known = memory.history(previous, owner)
        if known is not None:
            return known, await aside(True, state_of(request).own, params, owner, known)
    much = params.get("previous_response_id") or params.get("conversation") or json.is_heavy(params)
    return await aside(bool(much), state_of(request).context, params, owner)


async def change_state(request: Request, change: Callable[..., T], *arguments: Any) -> T:
    """What a change to the state gives. It may wait for another program, and the loop does not."""
    return await state_of(request).in_thread(partial(change, *arguments))


def not_kept(error: CodexError | None) -> dict[str, str]:
    """The header of an answer that could not be stored, though its client requested that."""
    return {} if error is None else {"x-codexapi-not-kept": str(error.code or error.type)}


def settings_of(request: Request) -> Settings:
    return request.app.state.settings  # type: ignore[no-any-return]


async def all_of(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """What all of them give. The first failure is raised, and ends the others."""
    tasks = [asyncio.create_task(one) for one in work]
    try:
        return await asyncio.gather(*tasks)
    finally:
        await ended(*tasks)


async def ended(*tasks: asyncio.Task[Any]) -> None:
    """Cancels the tasks, and returns when they have cleaned up."""
    running = [task for task in tasks if not task.done()]
    for task in running:
        task.cancel()
    if running:
        await asyncio.wait(running)


async def json_body(request: Request, limit: int = MAX_BODY_BYTES) -> JsonObject:
    """The request's body, an object. Raises InvalidRequest, or another refusal."""
    kind = media_type(request)
    # A form or plain text is what a web page can send without asking: never taken.
    if kind not in dialect_of(request.scope).body_types:
        raise refusal(
            415,
            "unsupported_media_type",
            f"Unsupported media type '{kind[:60]}': send Content-Type: application/json.",
        )
    reserve(request.scope, content_length(request, limit))
    if header(request, b"content-encoding"):
        return await parsed(b"".join([piece async for piece in body_pieces(request, limit)]))
    return await parsed(await _bytes(request, limit))


async def parsed(data: bytes) -> JsonObject:
    """A JSON object from untrusted bytes. Raises InvalidRequest."""
    return await aside(_is_heavy(data), checked, data)


def _is_heavy(data: bytes) -> bool:
    """Whether to read it takes longer than a thread does: because it is long, or has many values."""
    return len(data) > json.HEAVY or (len(data) > json.PIECE and _count(data, b",") > _MANY)


class Bodies:
    """The large bodies that a server has in hand."""

    def __init__(self) -> None:
        self.size = 0  # bytes of all of them

    def reserve(self, scope: Scope, size: int) -> None:
        """Counts a body in, until `release`. Raises Unavailable where the memory that all of them
        may take is not there."""
        more = size - scope.get(_RESERVED, 0)
        if more <= 0:
            return
        if not has_room_for(self.size + more):
            raise Unavailable(
                "The server has no memory for a body as large as yours; send it again later.",
                retry_after=1,
            )
        limit_unused()
        self.size += more
        scope[_RESERVED] = size

    def holds(self, scope: Scope) -> bool:
        """Whether a body is counted in."""
        return _RESERVED in scope

    def release(self, scope: Scope) -> None:
        self.size -= scope.pop(_RESERVED, 0)


def reserve(scope: Scope, size: int) -> None:
    """Counts in what there is of a body, if it is large. Raises Unavailable."""
    if size > LARGE:
        scope["app"].state.bodies.reserve(scope, size)


def content_length(request: Request, limit: int) -> int:
    """What a body says of its size, as far as it may be so."""
    length = header(request, b"content-length")
    return min(int(length[:9]), limit) if length.isdecimal() else 0


def checked(data: bytes) -> JsonObject:
    """A JSON object from untrusted bytes. Raises InvalidRequest."""
    if len(data) > 2 * MAX_JSON_VALUES and _values(data) > MAX_JSON_VALUES:
        raise _invalid_json(f"The JSON body of your request has over {MAX_JSON_VALUES:,} values.")
    try:
        body = long_json.loads(data)
    except (ValueError, RecursionError):
        message = f"We could not parse the JSON body of your request.{compression.hint(data)}"
        raise _invalid_json(message) from None
    if not isinstance(body, dict):
        raise _invalid_json("The JSON body of your request is not an object.")
    _measure(body, MAX_JSON_DEPTH)
    return body


def _values(data: bytes) -> int:
    """At most so many values can be in there, by the marks between them. Strings are passed over,
    where that matters. In steps: other threads have their turn between them."""
    found = sum(_marks(data[at : at + json.PIECE]) for at in range(0, len(data), json.PIECE))
    if found <= MAX_JSON_VALUES:
        return found
    found = quotes = at = 0
    # With their names, two strings a value.
    while at < len(data) and found <= MAX_JSON_VALUES and quotes <= 4 * MAX_JSON_VALUES:
        piece = data[at : at + json.PIECE]
        if (len(piece) - len(piece.rstrip(b"\\"))) % 2:  # half an escape
            piece = data[at : at + json.PIECE + 1]
        at += len(piece)
        parts = piece.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')
        found += _marks(b"".join(parts[quotes % 2 :: 2]))
        quotes += len(parts) - 1
    return max(found, quotes // 4)


def _marks(data: bytes) -> int:
    return sum(_count(data, mark) for mark in (b",", b"[", b"{"))


def _count(data: bytes, mark: bytes) -> int:
    # `count` looks at each byte, and `replace` finds the next mark: three to ten times as fast in text.
    return len(data) - len(data.replace(mark, b""))


def _measure(value: Any, depth: int) -> None:
    """What JSON allows, and what would break further down."""
    kind = type(value)
    if kind is dict or kind is list:
        if depth == 0:
            raise _invalid_json(
                f"The JSON body of your request is nested more than {MAX_JSON_DEPTH} deep."
            )
        for item in value.values() if kind is dict else value:
            if type(item) is not str:  # most are
                _measure(item, depth - 1)
    elif (kind is float and abs(value) == float("inf")) or (
        kind is int and abs(value) > MAX_INTEGER
    ):
        raise _invalid_json("The JSON body of your request has a number that is too large.")


def media_type(request: Request) -> str:
    return header(request, b"content-type").partition(";")[0].strip().lower()


def header(request: Request, name: bytes) -> str:
    """A header's value, empty if it is not there: `request.headers` takes ten times as long."""
    for key, value in request.scope["headers"]:
        if key == name:
            found: bytes = value
            return found.decode("latin-1")
    return ""


def check_size(request: Request, limit: int) -> None:
    """Refuses a body that says of itself that it is too large."""
    length = header(request, b"content-length")
    if length.isdecimal() and int(length) > limit:
        raise too_large(limit)


def too_large(limit: int) -> CodexError:
    return refusal(413, "request_too_large", f"The body exceeds the limit of {limit >> 20} MiB.")


async def body_pieces(request: Request, limit: int) -> AsyncGenerator[bytes, None]:
    """The body, decoded, as it comes. Raises what `_bytes` does, and for one that cannot be
    decoded InvalidRequest or another refusal."""
    names = compression.codings(header(request, b"content-encoding"))
    check_size(request, limit)
    pieces: AsyncIterable[bytes] = _limit(request.stream(), limit)
    size = 0
    if names:
        pieces = compression.decode(pieces, names, limit=limit, too_large=partial(too_large, limit))
    async for piece in pieces:
        size += len(piece)
        reserve(request.scope, size)
        yield piece


async def _limit(pieces: AsyncIterable[bytes], limit: int) -> AsyncGenerator[bytes, None]:
    """A body that may have no Content-Length."""
    size = 0
    async for piece in pieces:
        size += len(piece)
        if size > limit:
            raise too_large(limit)
        yield piece


async def _bytes(request: Request, limit: int) -> bytes:
    check_size(request, limit)
    whole, more = io.BytesIO(), True  # whose value is no copy, unlike a list that is joined
    while more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        whole.write(message.get("body", b""))
        if whole.tell() > limit:
            raise too_large(limit)
        reserve(request.scope, whole.tell())
        more = message.get("more_body", False)
    return whole.getvalue()


def _invalid_json(message: str) -> InvalidRequest:
    return InvalidRequest(message, code="invalid_json")
