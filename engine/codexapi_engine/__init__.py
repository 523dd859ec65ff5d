"""codexapi's engine: the Codex backend with your own login, as a library.

    async with Codex() as codex:
        response = await codex.respond(request("Say hello", model=await codex.model()))
        print(text_of(response))

`Codex` combines a `Login` (the credentials), a `Transport` (the connections) and the pure
translations of `codexapi_engine.protocol`: `responses` is the internal format, `chat` is a dialect
that is translated to it. All errors are `CodexError`s.

Names are loaded on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False  # as type checkers read it; `typing` would take half of `--version`'s time

if TYPE_CHECKING:
    from .client import Codex, collect_response
    from .errors import (
        AuthError,
        BackendError,
        CodexError,
        ConnectFailed,
        ContentRefused,
        ContextTooLong,
        InvalidRequest,
        LoginExpired,
        ModelNotFound,
        NotLoggedIn,
        Overloaded,
        PermissionDenied,
        RateLimited,
        RefreshUnavailable,
        StreamInterrupted,
        TimedOut,
        TokenRejected,
        TransportError,
        Unavailable,
        UnexpectedAnswer,
        UsageLimitReached,
    )
    from .http.event_stream import EventStream
    from .protocol.responses import Assembler, Text, text_of
    from .protocol.responses.backend import request, user
    from .settings import Settings

__version__ = "0.1.0"

__all__ = [
    "Assembler", "AuthError", "BackendError", "Codex", "CodexError", "ConnectFailed", "ContentRefused",
    "ContextTooLong", "EventStream", "InvalidRequest", "LoginExpired", "ModelNotFound",
    "NotLoggedIn", "Overloaded", "PermissionDenied", "RateLimited", "RefreshUnavailable",
    "Settings", "StreamInterrupted", "Text", "TimedOut", "TokenRejected", "TransportError",
    "Unavailable", "UnexpectedAnswer", "UsageLimitReached", "collect_response", "request", "text_of", "user",
]  # fmt: skip

# Light ones first: asking for an error must not load the client.
# `backend` before its package, in which `request` is a module.
_HOMES = (
    "errors", "settings", "protocol.responses.backend", "protocol.responses", "http.event_stream", "client",
)  # fmt: skip


def __getattr__(name: str) -> object:
    if name in __all__:
        for home in _HOMES:
            module = import_module(f".{home}", __name__)
            if name in vars(module):
                return vars(module)[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
