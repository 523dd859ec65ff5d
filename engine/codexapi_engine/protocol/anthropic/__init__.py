"""The Messages dialect, Anthropic's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..first_use import on_first_use

if TYPE_CHECKING:
    from .complete import fold, from_response
    from .content import MessageOptions
    from .count import tokens
    from .errors import error_headers, error_object, error_status, with_sizes
    from .models import is_foreign, model_entry, models_page, resolve
    from .params import messages_param
    from .reply import PING
    from .request import Request, from_client, session_of, to_count
    from .schema import RULES
    from .signature import Writer
    from .stream import MessageStream
    from .thinking import LEAST

__all__ = [
    "LEAST",
    "PING",
    "RULES",
    "MessageOptions",
    "MessageStream",
    "Request",
    "Writer",
    "error_headers",
    "error_object",
    "error_status",
    "fold",
    "from_client",
    "from_response",
    "is_foreign",
    "messages_param",
    "model_entry",
    "models_page",
    "resolve",
    "session_of",
    "to_count",
    "tokens",
    "with_sizes",
]  # fmt: skip

__getattr__ = on_first_use(
    __name__,
    __all__,
    (
        "errors",
        "stream",  # whose `MessageStream` goes before that of `reply`
        "reply",
        "models",
        "thinking",
        "signature",
        "count",
        "content",
        "params",
        "complete",
        "request",
        "schema",
    ),
)
