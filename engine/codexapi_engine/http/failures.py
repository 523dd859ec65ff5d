"""How an exchange over HTTP fails, in the terms that httpx has made common.

`errors.py` turns them into `CodexError`s. What led to one is its `__cause__`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .messages import Url


class HttpFailure(Exception):
    """An exchange that has failed. `url` is that of the request, where one was made."""

    def __init__(self, message: str = "", url: Url | None = None) -> None:
        super().__init__(message)
        self.url = url


class InvalidUrl(HttpFailure):
    """A text that is no address."""


class UnsupportedRequest(HttpFailure):
    """A request that HTTP does not allow, or a scheme that is not HTTP's."""


class InvalidResponse(HttpFailure):
    """An answer that is not HTTP, or ends too early. `is_unanswered`: no byte of it has come."""

    is_unanswered = False


class NetworkError(HttpFailure):
    """A connection that broke."""


class ConnectError(HttpFailure):
    """There is no connection, and nothing was sent."""


class ConnectTimeout(ConnectError):
    """There is no connection in time."""


class ProxyError(ConnectError):
    """The proxy makes no connection."""


class PoolTimeout(HttpFailure):
    """All connections are in use."""


class ReadTimeout(HttpFailure):
    """The server was silent for too long."""


class WriteTimeout(ReadTimeout):
    """The server took nothing of the request for too long."""
