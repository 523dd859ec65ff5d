"""A transport that records what goes through another: for `--record`, and not loaded without."""

from __future__ import annotations

from collections.abc import Sequence

from ..recording.lines import BROKEN, CLOSED, COMPLETE
from ..recording.recorder import ExchangeTap, Recorder
from .failures import HttpFailure
from .messages import HttpRequest, HttpResponse, HttpTransport, OnChunk


class RecordingTransport:
    """Sends through `inner`, and changes no byte."""

    def __init__(self, inner: HttpTransport, recorder: Recorder) -> None:
        self._inner = inner
        self._recorder = recorder

    async def send(self, request: HttpRequest) -> HttpResponse:
        method, url, headers, content, _ = request
        tap = self._recorder.begin(method, url.target, list(headers.items()), content)
        try:
            response = await self._inner.send(request)
        except BaseException as error:
            tap.end(BROKEN, type(error).__name__)
            raise
        tap.head(response.status, _texts(response.lines))
        if response.complete and response.status in (204, 304):
            tap.end(COMPLETE)
        return _ResponseWithTap(response, tap)

    async def aclose(self) -> None:
        await self._inner.aclose()


class _ResponseWithTap(HttpResponse):
    """A response, on its way to its reader."""

    def __init__(self, inner: HttpResponse, tap: ExchangeTap) -> None:
        self._inner = inner
        self._tap = tap
        self.status, self.lines = inner.status, inner.lines

    @property
    def complete(self) -> bool:  # type: ignore[override]
        return self._inner.complete

    async def __anext__(self) -> bytes:
        try:
            chunk = await anext(self._inner)
        except StopAsyncIteration:
            self._tap.end(COMPLETE)
            raise
        except HttpFailure as error:
            self._tap.end(BROKEN, type(error).__name__)
            raise
        self._tap.piece(chunk)
        if self.complete:
            self._tap.end(COMPLETE)
        return chunk

    async def push(self, on_chunk: OnChunk) -> bool:
        def on_piece(chunk: bytes) -> bool:
            self._tap.piece(chunk)
            return on_chunk(chunk)

        try:
            more = await self._inner.push(on_piece)
        except HttpFailure as error:
            self._tap.end(BROKEN, type(error).__name__)
            raise
        if not more or self.complete:
            self._tap.end(COMPLETE)
        return more

    async def aclose(self) -> None:
        self._tap.end(COMPLETE if self.complete else CLOSED)
        await self._inner.aclose()


def _texts(lines: Sequence[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in lines]
