"""A transport that records what goes through another: for `--record`, and not loaded without."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, cast

from ..recording.lines import BROKEN, CLOSED, COMPLETE
from ..recording.recorder import ExchangeTap, Recorder
from ._httpx import httpx
from .body import header_lines, is_complete
from .connection import OnChunk
from .network import request_body


class RecordingTransport(httpx.AsyncBaseTransport):
    """Sends through `inner`, and changes no byte."""

    def __init__(self, inner: httpx.AsyncBaseTransport, recorder: Recorder) -> None:
        self._inner = inner
        self._recorder = recorder

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        body = await request_body(request)
        target = request.url.raw_path.decode("latin-1")
        tap = self._recorder.begin(request.method, target, _texts(request.headers.raw), body)
        try:
            response = await self._inner.handle_async_request(request)
        except BaseException as error:
            tap.end(BROKEN, type(error).__name__)
            raise
        tap.head(response.status_code, _texts(header_lines(response)))
        response.stream = _StreamWithTap(response, tap)
        if (push := response.extensions.get("push")) is not None:
            response.extensions["push"] = _push_with_tap(response, push, tap)
        if is_complete(response) and response.status_code in (204, 304):
            tap.end(COMPLETE)
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


class _StreamWithTap(httpx.AsyncByteStream):
    """The body of a response, on its way to its reader."""

    def __init__(self, response: httpx.Response, tap: ExchangeTap) -> None:
        self._response = response
        self._inner = cast(httpx.AsyncByteStream, response.stream)
        self._tap = tap

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        try:
            async for chunk in self._inner:
                self._tap.piece(chunk)
                if is_complete(self._response):
                    self._tap.end(COMPLETE)
                yield chunk
            self._tap.end(COMPLETE)
        except httpx.HTTPError as error:
            self._tap.end(BROKEN, type(error).__name__)
            raise

    async def aclose(self) -> None:
        self._tap.end(COMPLETE if is_complete(self._response) else CLOSED)
        await self._inner.aclose()


def _push_with_tap(
    response: httpx.Response, push: Callable[[OnChunk], Awaitable[bool]], tap: ExchangeTap
) -> Callable[[OnChunk], Awaitable[bool]]:
    async def tapped(on_chunk: OnChunk) -> bool:
        def on_piece(chunk: bytes) -> bool:
            tap.piece(chunk)
            return on_chunk(chunk)

        try:
            more = await push(on_piece)
        except httpx.HTTPError as error:
            tap.end(BROKEN, type(error).__name__)
            raise
        if not more or is_complete(response):
            tap.end(COMPLETE)
        return more

    return tapped


def _texts(lines: Any) -> list[tuple[str, str]]:
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in lines]
