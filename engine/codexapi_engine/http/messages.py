"""HTTP requests and responses as the engine passes them, and `HttpTransport`, which carries them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import NamedTuple, Protocol, Self

from .failures import InvalidUrl, UnsupportedRequest

OnChunk = Callable[[bytes], bool]
"""Takes a chunk of a body; False stops `push`."""

PORTS = {"http": 80, "https": 443}

_PLAIN = re.compile(
    r"(https?)://([a-z0-9][a-z0-9.-]*)(?::([0-9]{1,5}))?((?:/(?!\.)[\w.~!$&'*+,;=:@()-]*)*)(\?[\w.~!$&'*+,;=:@/?()-]*)?",
    re.ASCII,
)
"""An address that is written in one way only: it needs no library to be understood."""


class ServerAddress(NamedTuple):
    """The server at the other end of a connection: the key of a pool."""

    scheme: str
    host: str
    port: int
    name: str  # that its certificate must have

    @property
    def url_host(self) -> str:
        """The host as a URL has it: an IPv6 address stands in brackets."""
        return f"[{self.host}]" if ":" in self.host else self.host


class Url(NamedTuple):
    """The address of a request. Its text is `str` of it."""

    server: ServerAddress
    netloc: str  # the host, and the port unless it is the scheme's
    target: str  # path and query

    def __str__(self) -> str:
        return f"{self.server.scheme}://{self.netloc}{self.target}"

    @classmethod
    def parse(cls, text: str) -> Url:
        """Raises InvalidUrl, UnsupportedRequest."""
        if (plain := _PLAIN.fullmatch(text)) is None:
            return _parse_any(text)
        scheme, host, port, path, query = plain.groups(default="")
        return _url(scheme, host, int(port) if port else None, f"{path or '/'}{query}")


def _parse_any(text: str) -> Url:
    """Any address, its host and path encoded as a request has to have them."""
    from ._httpx import httpx  # for this alone on the usual way

    try:
        url = httpx.URL(text)
    except (httpx.InvalidURL, UnicodeError) as error:
        raise InvalidUrl(str(error)) from error
    if url.scheme not in PORTS:
        raise UnsupportedRequest(f"no way to '{url.scheme}:'")
    return _url(url.scheme, url.raw_host.decode("ascii"), url.port, url.raw_path.decode("ascii"))


def _url(scheme: str, host: str, port: int | None, target: str) -> Url:
    usual = PORTS[scheme]
    server = ServerAddress(scheme, host, port or usual, host)
    netloc = server.url_host if port in (None, usual) else f"{server.url_host}:{port}"
    return Url(server, netloc, target)


class Timeouts(NamedTuple):
    """Seconds; None is no limit."""

    connect: float | None = None
    read: float | None = None
    write: float | None = None


class HttpRequest(NamedTuple):
    """A request with its body. The names of the headers are in lower case."""

    method: str
    url: Url
    headers: Mapping[str, str]
    content: bytes = b""
    timeouts: Timeouts = Timeouts()


class HttpResponse:
    """The head of a response, and its body while it comes. Close it, whatever happens.

    The body is read by iteration or by `push`, and raises HttpFailure.
    """

    status = 0
    lines: Sequence[tuple[bytes, bytes]] = ()
    """The headers as they came."""
    complete = False
    """The body is here to its end, and the connection free."""
    _headers: dict[str, str] | None = None

    @property
    def headers(self) -> Mapping[str, str]:
        """Names in lower case; the values of a name that came twice are joined by commas."""
        fields = self._headers
        if fields is None:
            fields = self._headers = {}
            for name, value in self.lines:
                key, text = name.decode("latin-1").lower(), value.decode(errors="replace")
                fields[key] = f"{fields[key]}, {text}" if key in fields else text
        return fields

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        raise StopAsyncIteration

    async def push(self, on_chunk: OnChunk) -> bool:
        """Calls `on_chunk` with each chunk of the body, until it returns False: then it returns True,
        and False at the body's end."""
        async for chunk in self:
            if not on_chunk(chunk):
                return True
        return False

    async def aclose(self) -> None:
        """Ends the exchange; a body that is complete lets the connection live."""


class HttpTransport(Protocol):
    """The network, or what stands in for it."""

    async def send(self, request: HttpRequest) -> HttpResponse:
        """Returns when the head of the response is here. Raises HttpFailure."""

    async def aclose(self) -> None: ...


class ChunkResponse(HttpResponse):
    """A response whose body is an iterator of chunks."""

    def __init__(
        self, status: int, headers: Mapping[str, str], chunks: AsyncIterator[bytes]
    ) -> None:
        self.status = status
        self.lines = [(name.encode(), value.encode()) for name, value in headers.items()]
        self._chunks = chunks

    async def __anext__(self) -> bytes:
        return await anext(self._chunks)

    async def aclose(self) -> None:
        if (close := getattr(self._chunks, "aclose", None)) is not None:
            await close()
