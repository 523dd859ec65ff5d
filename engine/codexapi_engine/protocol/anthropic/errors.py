"""Errors in the form of this API, and in the words by which its clients decide what to do."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from ...errors import (
    CodexError,
    ContextTooLong,
    JsonObject,
    ModelNotFound,
    Overloaded,
    Unavailable,
)
from .. import sse

_OVERLOADED = 529
_TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    _OVERLOADED: "overloaded_error",
}
_NUMBER = re.compile(r"\d[\d,]{2,12}")


def error_status(error: CodexError) -> int:
    return _OVERLOADED if isinstance(error, Overloaded | Unavailable) else error.status


def error_type(error: CodexError) -> str:
    status = error_status(error)
    return _TYPES.get(status) or ("api_error" if status >= 500 else "invalid_request_error")


def error_object(error: CodexError, message: str | None = None) -> JsonObject:
    """`{"type", "message"}`. The field that is wrong stands in the message: there is no other
    place for it."""
    text = error.message if message is None else message
    if isinstance(error, ModelNotFound) and error.model:
        text = f"model: {error.model}. {text}"
    elif error.param and error.param not in text:
        text = f"{error.param}: {text}"
    details = {"details": error.extra["details"]} if "details" in error.extra else {}
    return {"type": error_type(error), "message": text, **details}


def error_headers(error: CodexError, request_id: str) -> Mapping[str, str]:
    """What the official clients read besides. A Retry-After may be long: Claude Code then ends, and
    says why. To a 401 it would say nothing, and try again for half a minute."""
    headers = {"request-id": request_id}
    if error.retry_after is not None:
        headers["retry-after"] = str(math.ceil(error.retry_after))
    if error.status == 401:
        headers["x-should-retry"] = "false"
    return headers


def error_event(error: CodexError) -> bytes:
    """The last event of a stream that failed."""
    return sse.encode({"type": "error", "error": error_object(error)}, "error")


def with_sizes(error: CodexError, tokens: int, window: int | None) -> CodexError:
    """The same error; an input that is too long is told in the words on which Claude Code compacts the chat: the
    backend's numbers where it tells them, else the estimate and the catalogue's window."""
    if not isinstance(error, ContextTooLong) or error.message.startswith("prompt is too long"):
        return error
    found = sorted({int(text.replace(",", "")) for text in _NUMBER.findall(error.message)})
    if len(found) == 2:
        maximum, size = found
    else:
        maximum = window or tokens
        size = max(tokens, maximum + 1)
    error.message = f"prompt is too long: {size} tokens > {maximum} maximum"
    error.param = None
    return error
