"""Decodes request bodies with a Content-Encoding (RFC 9110, 8.4), chunk by chunk.

A few bytes can expand to gigabytes. So no step produces more than one chunk, and each coding's
output is counted: a body over the limit is refused before it is in memory.
"""

from __future__ import annotations

import asyncio
import sys
import zlib
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterator, Sequence
from functools import partial
from typing import Any, Protocol

from codexapi_engine import CodexError
from codexapi_engine.bounds import MAX_CODINGS, MAX_MEMBERS, MAX_WINDOW_LOG
from codexapi_engine.errors import InvalidRequest

from ..errors import refusal

CHUNK_SIZE = 256 * 1024
"""Bytes that one step makes at most."""

AT_ONCE = 1024 * 1024
"""Bytes that are made on the loop, of one piece of the body; more is work for a thread."""


_MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}


def codings(header: str) -> list[str]:
    """The codings of a Content-Encoding, in the order in which they were applied; none for
    `identity`. Raises a 415 for one that is not supported."""
    names = [name for part in header.split(",") if (name := part.strip().lower())]
    names = ["gzip" if name == "x-gzip" else name for name in names if name != "identity"]
    unknown = next((name for name in names if name not in _DECODERS), None)
    if unknown is None and len(names) <= MAX_CODINGS:
        return names
    error = refusal(
        415,
        "unsupported_media_type",
        f"Unsupported Content-Encoding '{header[:60]}': send the body as it is, or with up to "
        f"{MAX_CODINGS} of {', '.join(_DECODERS)}.",
    )
    error.headers["accept-encoding"] = ", ".join(_DECODERS)
    raise error


async def decode(
    body: AsyncIterable[bytes],
    names: Sequence[str],
    *,
    limit: int,
    too_large: Callable[[], CodexError],
) -> AsyncGenerator[bytes, None]:
    """The pieces of a body without these codings. Raises InvalidRequest for one that is damaged,
    and what `too_large` gives for one that is larger than `limit` before or after any of them."""
    decoders = [_DECODERS[name](name, limit, too_large) for name in reversed(names)]
    # What several of them make on the way is not seen here: that is never the loop's work.
    on_loop = AT_ONCE if len(decoders) == 1 else 0
    async for piece in body:
        pieces, left = _through(decoders, piece), on_loop
        while left > 0 and (made := next(pieces, b"")):
            yield made
            left -= len(made)
        if left <= 0:
            for made in await asyncio.to_thread(list, pieces):
                yield made
    for decoder in decoders:
        decoder.end()


def hint(data: bytes) -> str:
    """What to say of a body that begins as an encoded one does; empty for any other."""
    name = next((name for magic, name in _MAGIC.items() if data.startswith(magic)), None)
    if name is None:
        return ""
    return f" It is compressed with {name}, as it seems: send 'Content-Encoding: {name}' with it."


def _through(decoders: Sequence[_Decoder], piece: bytes) -> Iterator[bytes]:
    if not decoders:
        yield piece
        return
    for made in decoders[0].feed(piece):
        yield from _through(decoders[1:], made)


class _DecodeError(Exception):
    """Why a member cannot be read, in its library's words."""


class _Member(Protocol):
    """A part of the body that a decoder of its own reads: a gzip member, a zstd frame."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def feed(self, data: bytes) -> Iterator[bytes]:
        """Raises _DecodeError."""
        ...


class _PieceDecoder(ABC):
    """A member that is decoded piece by piece, each of a bounded size."""

    _stream: Any  # of zlib or of zstd: they share `eof` and `unused_data`
    _error: type[Exception]

    @property
    def eof(self) -> bool:
        return bool(self._stream.eof)

    @property
    def unused_data(self) -> bytes:
        return bytes(self._stream.unused_data)

    def feed(self, data: bytes) -> Iterator[bytes]:
        more = True
        while more and not self.eof:
            try:
                piece = self._stream.decompress(data, CHUNK_SIZE)
            except self._error as error:
                raise _DecodeError(error) from None
            data, more = self._rest(piece)
            if piece:
                yield piece

    @abstractmethod
    def _rest(self, piece: bytes) -> tuple[bytes, bool]:
        """What is to be fed next, and whether there may be more to come of it."""


class _Zlib(_PieceDecoder):
    """A member that zlib reads: gzip's, or a deflate stream with its header or without one."""

    def __init__(self, window_bits: int) -> None:
        self._stream = zlib.decompressobj(window_bits)
        self._error = zlib.error

    def _rest(self, piece: bytes) -> tuple[bytes, bool]:
        data = self._stream.unconsumed_tail
        return data, bool(data) or len(piece) == CHUNK_SIZE


class _Zstd(_PieceDecoder):
    """A frame of zstd."""

    def __init__(self) -> None:
        if sys.version_info >= (3, 14):
            from compression import zstd
        else:
            from backports import zstd  # few requests need it
        options = {int(zstd.DecompressionParameter.window_log_max): MAX_WINDOW_LOG}
        self._stream = zstd.ZstdDecompressor(options=options)
        self._error = zstd.ZstdError

    def _rest(self, piece: bytes) -> tuple[bytes, bool]:
        return b"", not self._stream.needs_input


def _gzip(beginning: bytes) -> _Member:
    return _Zlib(16 + zlib.MAX_WBITS)


def _deflate(beginning: bytes) -> _Member:
    """With zlib's header as the standard has it, or without, as many clients send it."""
    header = int.from_bytes(beginning[:2], "big")
    has_header = header >> 8 & 0x0F == zlib.DEFLATED and header % 31 == 0
    return _Zlib(zlib.MAX_WBITS if has_header else -zlib.MAX_WBITS)


def _zstd(beginning: bytes) -> _Member:
    return _Zstd()


class _Decoder:
    """One coding: a row of members."""

    def __init__(
        self,
        name: str,
        limit: int,
        too_large: Callable[[], CodexError],
        *,
        start: Callable[[bytes], _Member],
        most: int = MAX_MEMBERS,
        head: int = 1,
    ) -> None:
        # set once
        self._name = name
        self._limit = limit
        self._too_large = too_large
        self._start = start
        self._most = most
        self._head = head  # bytes that `start` has to see
        # moves
        self._beginning = b""  # of a member
        self._member: _Member | None = None
        self._members = 0
        self._size = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._member is None:
                data = self._beginning = self._beginning + data
                if len(data) < self._head:
                    return
                self._next_member(data)
            assert self._member is not None
            try:
                for piece in self._member.feed(data):
                    self._count(piece)
                    yield piece
            except _DecodeError as error:
                raise self._refusal(str(error).rpartition(": ")[2]) from None
            data = b""
            if self._member.eof:
                data, self._member = self._member.unused_data, None

    def end(self) -> None:
        """Raises InvalidRequest if more had to come."""
        if self._member is not None or self._beginning or not self._members:
            raise self._refusal("it is cut short")

    def _next_member(self, data: bytes) -> None:
        self._members += 1
        if self._members > self._most:
            what = "data behind its end" if self._most == 1 else f"over {self._most:,} parts"
            raise self._refusal(what)
        self._member, self._beginning = self._start(data), b""

    def _count(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size > self._limit:
            raise self._too_large()

    def _refusal(self, why: str) -> InvalidRequest:
        return InvalidRequest(
            f"The body of your request cannot be decoded as {self._name}: {why}.",
            code="invalid_content_encoding",
        )


_DECODERS: dict[str, Callable[[str, int, Callable[[], CodexError]], _Decoder]] = {
    "zstd": partial(_Decoder, start=_zstd),
    "gzip": partial(_Decoder, start=_gzip),
    "deflate": partial(_Decoder, start=_deflate, most=1, head=2),
}
"""The best first, as `accept-encoding` lists them."""
