"""Renders an error as a tool result: what happened, and how to fix it.

A failure is a text and an object, since some clients show their model only one of them. Nothing
that a caller sent gets into the log.
"""

from __future__ import annotations

import logging
import traceback
from datetime import datetime
from pathlib import Path
from typing import Any

from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import CallToolResult, ContentBlock, TextContent
from pydantic import ValidationError

from codexapi_engine.errors import (
    AuthError,
    CodexError,
    ContentRefused,
    ContextTooLong,
    InvalidRequest,
    ModelNotFound,
    Overloaded,
    RateLimited,
    TransportError,
    Unavailable,
    UsageLimitReached,
    duration,
)
from codexapi_engine.login.location import ANOTHER_TOKEN

from .messages import NO_MEMORY

log = logging.getLogger("codexapi.mcp")

REMEDIES: tuple[tuple[type[CodexError], str], ...] = (
    (AuthError, "The user has to do that in a terminal; then call again, nothing need be restarted."),
    (UsageLimitReached, "Other models may have limits of their own: account_status tells."),
    (RateLimited, "Call again a little later."),
    (Overloaded, "Call again in a minute."),
    (ModelNotFound, "list_models tells all names; without `model` it is the user's own choice, CODEXAPI_MODEL."),
    (ContextTooLong, "Send less: shorter or fewer files, or begin a new conversation."),
    (ContentRefused, "Say it in other words."),
    (TransportError, "Call again; if it stays so, the user can run `codexapi status`."),
)  # fmt: skip
"""By the first kind that fits."""

RESTART = "The user has to do that in the settings that start this server, and to restart it."
"""Where the login is in a variable of its own environment."""


class Partial(Exception):
    """A failure, its cause, after a part of the answer had come."""

    def __init__(self, text: str) -> None:
        super().__init__("the answer broke off")
        self.text = text


def to_result(tool: str, error: ToolError) -> CallToolResult:
    """The result for an exception of the SDK in this tool."""
    cause, partial = error.__cause__, ""
    if isinstance(cause, Partial):
        partial, cause = cause.text, cause.__cause__
    if isinstance(cause, CodexError):
        return _result(cause, partial)
    if isinstance(cause, ValidationError):
        return _result(InvalidRequest(_arguments(cause), code="invalid_arguments"))
    if isinstance(cause, ToolError) or cause is None:  # meant for the model as it stands
        return _result(CodexError(str(cause or error), code="tool_error"), plain=True)
    if isinstance(cause, MemoryError):
        return _result(Unavailable(NO_MEMORY, code="out_of_memory"))
    log.error("%s failed: %s", tool, where(cause))
    message = f"codexapi failed in {tool}; what it writes to stderr says where"
    return _result(CodexError(message, code="internal_error"))


def where(error: BaseException) -> str:
    """The kind of an error and the lines that it came through, without a word of its text."""
    frames = traceback.extract_tb(error.__traceback__)
    places = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames[-4:]]
    return " < ".join([type(error).__name__, *reversed(places)])


def _result(error: CodexError, partial: str = "", *, plain: bool = False) -> CallToolResult:
    code, message = error.code or error.type, _with_remedy(error)
    detail: dict[str, Any] = {
        "type": error.type,
        "code": code,
        "message": message,
        "retry_after": error.retry_after,
        "partial": partial or None,
    }
    content: list[ContentBlock] = [TextContent(text=message if plain else f"{code}: {message}")]
    if partial:
        content.append(TextContent(text=f"Before it broke off, the answer was:\n\n{partial}"))
    return CallToolResult(content=content, structured_content={"error": detail}, is_error=True)


def _with_remedy(error: CodexError) -> str:
    remedies = (remedy for kind, remedy in REMEDIES if isinstance(error, kind))
    remedy = RESTART if ANOTHER_TOKEN in error.message else next(remedies, "")
    sentences = [str(error), _here(error), remedy]
    return " ".join(_ended(part) for part in sentences if part)


def _here(error: CodexError) -> str:
    """When a limit ends, by the user's own clock."""
    at = error.extra.get("resets_at")
    if isinstance(error, UsageLimitReached) and isinstance(at, int | float):
        try:
            when = datetime.fromtimestamp(at)
        except (ValueError, OverflowError, OSError):
            return ""
        today = when.date() == datetime.now().date()
        return f"Here that is {when:%H:%M}" if today else f"Here that is {when:%A %d %B, %H:%M}"
    if error.retry_after and not isinstance(error, UsageLimitReached):
        return f"It asks to wait {duration(error.retry_after)}"
    return ""


def _ended(sentence: str) -> str:
    return sentence if sentence.endswith((".", "!", "?")) else f"{sentence}."


def _arguments(error: ValidationError) -> str:
    """Each argument with what is wrong about it, without its value."""
    return "; ".join(
        f"{'.'.join(map(str, wrong['loc'])) or 'arguments'}: {wrong['msg']}"
        for wrong in error.errors(include_url=False, include_input=False, include_context=False)
    )
