"""Maps the failures of HTTP and the backend's error responses to `CodexError`s."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import (
    CodexError,
    ConnectFailed,
    StreamInterrupted,
    TimedOut,
    Unavailable,
    UnexpectedAnswer,
)
from . import failures
from .connect_errors import connect_failure
from .failures import HttpFailure

LARGE = 1024 * 1024
"""Bytes of a request. Where the backend drops one that is larger, its size may be why."""


@contextmanager
def translate_errors() -> Iterator[None]:
    """Failures of HTTP as ours."""
    try:
        yield
    except HttpFailure as error:
        raise to_codex_error(error) from error


def to_codex_error(error: HttpFailure, *, unread: int = 0) -> CodexError:
    """`unread` is the size of the request, where nothing came back."""
    if isinstance(error, failures.InvalidUrl):
        return UnexpectedAnswer(f"the address cannot be read ({error})")
    host = error.url.server.name if error.url is not None else "the backend"
    if isinstance(error, failures.ConnectTimeout):
        return ConnectFailed(f"no connection to {host} in time")
    if isinstance(error, failures.PoolTimeout):
        return Unavailable("all connections to the backend are in use")
    if isinstance(error, failures.ReadTimeout):
        hint = too_large(unread) if isinstance(error, failures.WriteTimeout) else ""
        return TimedOut(f"{host} timed out: it was silent for too long{hint}")
    if isinstance(error, failures.ProxyError):
        return ConnectFailed(f"no connection to {host} through the proxy: {error}")
    if isinstance(error, failures.ConnectError):
        return ConnectFailed(f"no connection to {host}: {connect_failure(error)}")
    if isinstance(error, failures.NetworkError | failures.InvalidResponse):
        return StreamInterrupted(f"the connection to {host} broke{too_large(unread)}")
    return UnexpectedAnswer(f"the backend's answer is not HTTP ({type(error).__name__})")


def too_large(size: int) -> str:
    """What else to say of a request that the backend did not take. Several clients report that it
    drops some from 1.2 MB on, unread and without a word."""
    if size <= LARGE:
        return ""
    return f"; the request has {size / 1e6:.1f} MB, and the backend may not take that much"


def connection_failed(error: BaseException | None) -> bool:
    """Refused, reset or closed unanswered: the failures that a retry often fixes."""
    while error is not None:
        if isinstance(
            error,
            ConnectionRefusedError | ConnectionResetError | failures.NetworkError,
        ):
            return True
        if isinstance(error, failures.InvalidResponse) and error.is_unanswered:
            return True  # a kept connection that the other side had just closed
        if isinstance(error, BaseExceptionGroup):  # a name of several addresses
            return all(connection_failed(one) for one in error.exceptions)
        error = error.__cause__ or error.__context__
    return False
