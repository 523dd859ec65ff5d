"""Runs a server in this process in place of the network, such as the simulator."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

from .failures import NetworkError
from .messages import ChunkResponse, HttpRequest, HttpResponse, HttpTransport

Handler = Callable[
    [str, str, Mapping[str, str], bytes],
    Awaitable[tuple[int, Mapping[str, str], AsyncIterator[bytes]]],
]
"""A server in this process: method, path with query, headers, body; then status, headers, body."""


def in_process(handle: Handler) -> HttpTransport:
    """A transport that reaches a `Handler` in place of the network, and streams."""
    return _InProcess(handle)


class _InProcess:
    def __init__(self, handle: Handler) -> None:
        self._handle = handle

    async def send(self, request: HttpRequest) -> HttpResponse:
        method, url, headers, content, _ = request
        try:
            answer = await self._handle(method, url.target, headers, content)
        except OSError as error:
            raise NetworkError(str(error), url) from error
        status, fields, chunks = answer
        return _Answer(status, fields, chunks)

    async def aclose(self) -> None:
        """Nothing is open."""


class _Answer(ChunkResponse):
    async def __anext__(self) -> bytes:
        try:
            return await super().__anext__()
        except OSError as error:
            raise NetworkError(str(error)) from error
