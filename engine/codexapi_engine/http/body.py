"""Reads the head and the body of a response within limits, validates them, and drains the rest."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable, Mapping
from contextlib import suppress

from ..bounds import MAX_EVENT_BYTES
from ..errors import (
    CodexError,
    JsonObject,
    TransportError,
    Unavailable,
    UnexpectedAnswer,
)
from ..protocol import json
from .errors import translate_errors
from .messages import HttpResponse

MAX_ERROR_BYTES = 64 * 1024

DRAIN = 0.2
"""Seconds to read on after the last event, so that the connection can be used again."""


async def read_error_body(response: HttpResponse) -> bytes:
    """As much of an error body as is worth reading: 64 kB, 5 s."""
    pieces, size = [], 0
    with suppress(TimeoutError, TransportError, Unavailable):
        async with asyncio.timeout(5):
            with translate_errors():
                async for piece in response:
                    pieces.append(piece)
                    size += len(piece)
                    if size >= MAX_ERROR_BYTES:
                        break
    return b"".join(pieces)[:MAX_ERROR_BYTES]


def _endless() -> CodexError:
    return UnexpectedAnswer("the backend's answer has no end")


async def read_body(
    response: HttpResponse,
    *,
    limit: int = MAX_EVENT_BYTES,
    too_large: Callable[[], Exception] = _endless,
) -> bytes:
    """A complete body. Raises CodexError, and what `too_large` gives for one beyond the limit."""
    whole = io.BytesIO()  # whose value is no copy, unlike a list that is joined
    with translate_errors():
        async for piece in response:
            whole.write(piece)
            if whole.tell() > limit:
                raise too_large()
    return whole.getvalue()


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


async def drain_response(response: HttpResponse) -> None:
    """Reads on for a moment, so that the connection can be used again, and closes the response."""
    try:
        with suppress(TimeoutError, TransportError):
            async with asyncio.timeout(DRAIN):
                with translate_errors():
                    async for _ in response:
                        pass
    finally:
        await response.aclose()
