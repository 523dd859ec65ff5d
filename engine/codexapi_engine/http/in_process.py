"""Runs an ASGI application in this process in place of the network, such as the simulator."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping

from ._httpx import httpx

Handler = Callable[
    [str, str, Mapping[str, str], bytes],
    Awaitable[tuple[int, Mapping[str, str], AsyncIterator[bytes]]],
]
"""A server in this process: method, path with query, headers, body; then status, headers, body."""


def in_process(handle: Handler) -> httpx.AsyncBaseTransport:
    """A transport that reaches a `Handler` in place of the network, and streams."""
    return _InProcess(handle)


class _InProcess(httpx.AsyncBaseTransport):
    def __init__(self, handle: Handler) -> None:
        self._handle = handle

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        target = request.url.raw_path.decode()
        body = await request.aread()
        try:
            answer = await self._handle(request.method, target, request.headers, body)
        except OSError as error:
            raise httpx.WriteError(str(error)) from error
        status, headers, chunks = answer
        return httpx.Response(status, headers=headers, stream=_Body(chunks), request=request)


class _Body(httpx.AsyncByteStream):
    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self._chunks = chunks

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._chunks:
                yield chunk
        except OSError as error:
            raise httpx.ReadError(str(error)) from error

    async def aclose(self) -> None:
        if isinstance(self._chunks, AsyncGenerator):
            await self._chunks.aclose()
