"""Reads the head and the body of a response within limits, validates them, and drains the rest."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing, suppress
from typing import cast

from ..bounds import MAX_EVENT_BYTES
from ..errors import (
    JsonObject,
    TransportError,
    Unavailable,
    UnexpectedAnswer,
)
from ..protocol import json
from ._httpx import httpx
from .connection import OnChunk
from .errors import (
    translate_errors,
)

MAX_ERROR_BYTES = 64 * 1024


DRAIN = 0.2
"""Seconds to read on after the last event, so that the connection can be used again."""


async def read_error_body(response: httpx.Response) -> bytes:
    """As much of an error body as is worth reading: 64 kB, 5 s."""
    pieces, size = [], 0
    with suppress(TimeoutError, TransportError, Unavailable):
        async with asyncio.timeout(5):
            async with aclosing(body_chunks(response)) as coming:
                with translate_errors():
                    async for piece in coming:
                        pieces.append(piece)
                        size += len(piece)
                        if size >= MAX_ERROR_BYTES:
                            break
    return b"".join(pieces)[:MAX_ERROR_BYTES]


async def read_body(
    response: httpx.Response,
    *,
    limit: int = MAX_EVENT_BYTES,
    too_large: Exception | None = None,
) -> bytes:
    """A complete body. Raises CodexError, and `too_large` for one beyond the limit."""
    whole = io.BytesIO()  # whose value is no copy, unlike a list that is joined
    async with aclosing(body_chunks(response)) as coming:
        with translate_errors():
            async for piece in coming:
                whole.write(piece)
                if whole.tell() > limit:
                    raise too_large or UnexpectedAnswer("the backend's answer has no end")
    return whole.getvalue()


def body_chunks(response: httpx.Response) -> AsyncGenerator[bytes, None]:
    """The body as the network gives it, without the layers that httpx puts round it."""
    return cast(AsyncGenerator[bytes, None], aiter(cast(httpx.AsyncByteStream, response.stream)))


async def push_chunks(
    response: httpx.Response, chunks: AsyncGenerator[bytes, None], on_chunk: OnChunk
) -> bool:
    """Calls `on_chunk` with each chunk of the body, until it returns False: then True is returned,
    and False at the body's end. In the network's own call, where the transport can do that."""
    push: Callable[[OnChunk], Awaitable[bool]] | None = response.extensions.get("push")
    if push is not None:
        return await push(on_chunk)
    while (chunk := await anext(chunks, None)) is not None:
        if not on_chunk(chunk):
            return True
    return False


def is_complete(response: httpx.Response) -> bool:
    """Whether the answer is complete, and its connection free: nothing is left to drain."""
    complete: Callable[[], bool] | None = response.extensions.get("complete")
    return complete is not None and complete()


def header_fields(response: httpx.Response) -> Mapping[str, str]:
    """The headers, their names in lower case. As a plain dict, made once: httpx's own encodes what
    it is asked for, and decodes what it has, each time."""
    fields: dict[str, str] | None = response.extensions.get("fields")
    if fields is None:
        fields = response.extensions["fields"] = {}
        for name, value in header_lines(response):
            key, text = name.decode("latin-1").lower(), value.decode(errors="replace")
            fields[key] = f"{fields[key]}, {text}" if key in fields else text
    return fields


def header_lines(response: httpx.Response) -> list[tuple[bytes, bytes]]:
    """The headers as they came."""
    lines: list[tuple[bytes, bytes]] | None = response.extensions.get("headers")
    return lines or response.headers.raw


def require_event_stream(fields: Mapping[str, str]) -> Mapping[str, str]:
    """Raises UnexpectedAnswer for a success that is no stream. The real one names no media type."""
    kind = fields.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in ("", "text/event-stream"):
        raise UnexpectedAnswer(f"the backend answered with {kind[:60]} where a stream was expected")
    refuse_encoding(fields)
    return fields


def refuse_encoding(fields: Mapping[str, str]) -> None:
    encoding = fields.get("content-encoding", "identity").lower()
    if encoding != "identity":
        raise UnexpectedAnswer(f"the backend encoded its answer ({encoding[:20]}), unasked")


def json_object(content: bytes) -> JsonObject:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise UnexpectedAnswer("the backend answered with something that is not a JSON object")
    return value


async def drain_response(response: httpx.Response, rest: AsyncGenerator[bytes, None]) -> None:
    try:
        with suppress(TimeoutError, TransportError):
            async with asyncio.timeout(DRAIN):
                with translate_errors():
                    while await anext(rest, None) is not None:
                        pass
    finally:
        await rest.aclose()
        await response.aclose()
