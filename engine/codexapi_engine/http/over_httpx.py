"""A transport of httpx as one of ours: for proxies, which ours does not speak to, and for tests."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator, AsyncIterable
from typing import cast

from . import failures
from ._httpx import httpx
from .connect_errors import name_error
from .failures import HttpFailure
from .messages import ChunkResponse, HttpRequest, HttpResponse, HttpTransport, Url

_FAILURES: tuple[tuple[type[Exception], type[HttpFailure]], ...] = (
    (httpx.ConnectTimeout, failures.ConnectTimeout),
    (httpx.PoolTimeout, failures.PoolTimeout),
    (httpx.WriteTimeout, failures.WriteTimeout),
    (httpx.TimeoutException, failures.ReadTimeout),
    (httpx.ProxyError, failures.ProxyError),
    (httpx.ConnectError, failures.ConnectError),
    (httpx.NetworkError, failures.NetworkError),
    (httpx.RemoteProtocolError, failures.InvalidResponse),
)
"""The first that fits; any other is an UnsupportedRequest."""


def over_httpx(transport: httpx.AsyncBaseTransport) -> HttpTransport:
    return _OverHttpx(transport)


def through_proxy(proxy: str, context: ssl.SSLContext) -> HttpTransport:
    """Connections through a proxy."""
    # No cap: httpx's own of 100 would make the 101st stream wait for another's end.
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=20)
    return over_httpx(_ProxyTransport(verify=context, proxy=proxy, limits=limits, trust_env=False))


class _OverHttpx:
    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        self._transport = transport

    async def send(self, request: HttpRequest) -> HttpResponse:
        url = request.url
        sent = httpx.Request(
            request.method,
            httpx.URL(f"{url.server.scheme}://{url.server.url_host}:{url.server.port}{url.target}"),
            headers={**request.headers},
            stream=httpx.ByteStream(request.content),
            extensions={
                "timeout": {**request.timeouts._asdict(), "pool": request.timeouts.connect},
                "sni_hostname": url.server.name,
            },
        )
        try:
            response = await self._transport.handle_async_request(sent)
        except httpx.HTTPError as error:
            raise _failure(error, url) from error
        return _Response(response, url)

    async def aclose(self) -> None:
        await self._transport.aclose()


class _Response(ChunkResponse):
    def __init__(self, response: httpx.Response, url: Url) -> None:
        stream = cast(httpx.AsyncByteStream, response.stream)
        super().__init__(response.status_code, {}, _chunks(stream, url))
        self.lines = response.headers.raw
        self._stream = stream

    async def aclose(self) -> None:
        await super().aclose()
        await self._stream.aclose()


async def _chunks(stream: AsyncIterable[bytes], url: Url) -> AsyncGenerator[bytes, None]:
    try:
        async for chunk in stream:
            yield chunk
    except httpx.HTTPError as error:
        raise _failure(error, url) from error


def _failure(error: httpx.HTTPError, url: Url) -> HttpFailure:
    kinds = (ours for theirs, ours in _FAILURES if isinstance(error, theirs))
    failure = next(kinds, failures.UnsupportedRequest)(str(error), url)
    if isinstance(failure, failures.InvalidResponse):  # a kept connection that had just closed
        failure.is_unanswered = "without sending a response" in str(error)
    return failure


class _ProxyTransport(httpx.AsyncHTTPTransport):
    """httpx's own transport through a proxy, without its leaked connections: when a request is
    cancelled between connecting and sending, httpcore 1.0 neither uses nor closes its connection."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        try:
            return await super().handle_async_request(request)
        except httpx.TransportError as error:
            reason = name_error(error)
            if reason is not None:  # the host's own name is the proxy's to resolve
                raise httpx.ProxyError(f"the proxy's name {reason}") from error
            raise
        except asyncio.CancelledError:
            in_use = {id(waiting.connection) for waiting in self._pool._requests}
            for connection in self._pool.connections:
                if not (id(connection) in in_use or connection.is_idle() or connection.is_closed()):
                    await connection.aclose()
            raise
