"""Maps httpx's exceptions and the backend's error responses to `CodexError`s."""

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
from ._httpx import httpx
from .connect_errors import connect_failure

LARGE = 1024 * 1024
"""Bytes of a request. Where the backend drops one that is larger, its size may be why."""


class BackendRefusal(Exception):
    """An answer that is not a success: its own status, and the error that it stands for."""

    def __init__(self, status: int, error: CodexError) -> None:
        self.status = status
        self.error = error


HTTPX_ERRORS = (httpx.HTTPError, httpx.InvalidURL)


@contextmanager
def translate_errors() -> Iterator[None]:
    """httpx's exceptions as ours."""
    try:
        yield
    except HTTPX_ERRORS as error:
        raise to_codex_error(error) from error


def to_codex_error(error: httpx.HTTPError | httpx.InvalidURL, *, unread: int = 0) -> CodexError:
    """`unread` is the size of the request, where nothing came back."""
    if isinstance(error, httpx.InvalidURL):
        return UnexpectedAnswer(f"the address cannot be read ({error})")
    host = _host(error)
    if isinstance(error, httpx.ConnectTimeout):
        return ConnectFailed(f"no connection to {host} in time")
    if isinstance(error, httpx.PoolTimeout):
        return Unavailable("all connections to the backend are in use")
    if isinstance(error, httpx.TimeoutException):
        hint = too_large(unread) if isinstance(error, httpx.WriteTimeout) else ""
        return TimedOut(f"{host} timed out: it was silent for too long{hint}")
    if isinstance(error, httpx.ConnectError):
        return ConnectFailed(f"no connection to {host}: {connect_failure(error)}")
    if isinstance(error, httpx.ProxyError):
        return ConnectFailed(f"no connection to {host} through the proxy: {error}")
    if isinstance(error, httpx.NetworkError | httpx.RemoteProtocolError):
        return StreamInterrupted(f"the connection to {host} broke{too_large(unread)}")
    return UnexpectedAnswer(f"the backend's answer is not HTTP ({type(error).__name__})")


def too_large(size: int) -> str:
    """What else to say of a request that the backend did not take. Several clients report that it
    drops some from 1.2 MB on, unread and without a word."""
    if size <= LARGE:
        return ""
    return f"; the request has {size / 1e6:.1f} MB, and the backend may not take that much"


def _host(error: httpx.HTTPError) -> str:
    try:
        return error.request.url.host
    except RuntimeError:
        return "the backend"


def connection_failed(error: BaseException | None) -> bool:
    """Refused, reset or closed unanswered: the failures that a retry often fixes."""
    while error is not None:
        if isinstance(
            error,
            ConnectionRefusedError | ConnectionResetError | httpx.ReadError | httpx.WriteError,
        ):
            return True
        if isinstance(error, httpx.RemoteProtocolError) and "without sending a response" in str(
            error
        ):
            return True  # a kept connection that the other side had just closed
        if isinstance(error, BaseExceptionGroup):  # a name of several addresses
            return all(connection_failed(one) for one in error.exceptions)
        error = error.__cause__ or error.__context__
    return False
