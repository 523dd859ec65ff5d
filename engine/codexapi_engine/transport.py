"""The road to the backend: the only file that sends requests, and reads what comes back.

Knows nothing of dialects. Whatever httpx raises leaves here as one of ours.
"""

from __future__ import annotations

import asyncio
import io
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import aclosing, contextmanager, suppress
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Self, cast
from urllib.parse import urlsplit

from ._httpx import httpx
from .aside import aside
from .connect_errors import connect_failure, name_error
from .cookies import Cookies
from .errors import (
    CodexError,
    ConnectFailed,
    InvalidRequest,
    JsonObject,
    RefreshUnavailable,
    StreamInterrupted,
    TimedOut,
    TransportError,
    Unavailable,
    UnexpectedAnswer,
    UsageLimitReached,
    from_status,
)
from .network import Network, Take
from .observer import Observer, Watch
from .protocol import json, limits
from .protocol.headers import ACCOUNT, identity, to_client
from .protocol.responses import TERMINAL
from .protocol.sse import MAX_EVENT_BYTES, Decoder, Event
from .settings import Settings, user_agent

MAX_ERROR_BYTES = 64 * 1024
RETRY_WITHIN = 12.0
"""Seconds after which a request is not tried again."""

LARGE = 1024 * 1024
"""Bytes of a request. Where the backend drops one that is larger, its size may be why."""

MAX_WAIT = 2.0
"""Seconds of Retry-After that we wait ourselves; a longer one is the client's to wait."""

DRAIN = 0.2
"""Seconds to read on after the last event, so that the connection can be used again."""

_SERVER_FAULTS = (500, 502, 503, 504)


def connect(settings: Settings, url: str) -> httpx.AsyncBaseTransport:
    """The connections to one host: its pool, its proxy, its certificates.

    Raises InvalidRequest for certificates of the user's that cannot be read.
    """
    if (proxy := settings.proxy_for(url)) is not None:
        # No cap: httpx's own of 100 would make the 101st stream wait for another's end.
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=20)
        return _Proxied(verify=_authorities(settings), proxy=proxy, limits=limits, trust_env=False)
    if settings.ca_file is not None and urlsplit(url).scheme == "https":
        context = _authorities(settings)
        return Network(lambda: context)
    return Network(lambda: _authorities(settings))


class _Proxied(httpx.AsyncHTTPTransport):
    """httpx's own way through a proxy, less its ghosts: cancelled between connecting and sending,
    httpcore 1.0 keeps a connection that it will neither use nor close."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        try:
            return await super().handle_async_request(request)
        except httpx.TransportError as error:
            error.request = request  # httpx's client would do so
            reason = name_error(error)
            if reason is not None:  # the host's own name is the proxy's to resolve
                raise httpx.ProxyError(f"the proxy's name {reason}", request=request) from error
            raise
        except asyncio.CancelledError:
            in_use = {id(waiting.connection) for waiting in self._pool._requests}
            for connection in self._pool.connections:
                if not (id(connection) in in_use or connection.is_idle() or connection.is_closed()):
                    await connection.aclose()
            raise


def _authorities(settings: Settings) -> ssl.SSLContext:
    if settings.ca_file is None:
        return httpx.create_ssl_context(trust_env=False)
    try:
        return ssl.create_default_context(cafile=str(settings.ca_file))
    except OSError as error:  # ssl.SSLError is one
        raise InvalidRequest(
            f"the certificates in {settings.ca_file} cannot be read: {error}", param="ca_file"
        ) from None


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole JSON answer. `json` is None for a 304."""

    json: JsonObject | None
    headers: Mapping[str, str]


class Transport:
    """Sends signed requests. Open it once, share it, close it.

    `auth` signs; `http` replaces the network, for `--demo` and tests.
    """

    def __init__(
        self,
        settings: Settings,
        auth: httpx.Auth,
        *,
        http: httpx.AsyncBaseTransport | None = None,
        observer: Observer | None = None,
    ) -> None:
        self._base = settings.base_url
        self._observer = observer or Observer()
        self._drains: set[asyncio.Task[None]] = set()
        self._auth = auth
        self._http = http or connect(settings, settings.base_url)
        self._headers = identity(user_agent(), settings.protocol_version)
        self._timeout = _timeout(settings).as_dict()
        self._cookies: dict[str, Cookies] = {}  # by host, of a backend that sets some
        # of what was asked: that is little, and httpx takes its time over each
        self._asked_before: dict[tuple[str, str, str], tuple[httpx.URL, httpx.Headers]] = {}

    def name_version(self, version: str) -> None:
        """Names this Codex protocol version in every request from now on."""
        if version != self._headers["version"]:
            self._headers = {**self._headers, "version": version}
            self._asked_before.clear()

    async def stream(
        self,
        path: str,
        body: JsonObject,
        headers: Mapping[str, str] | None = None,
        *,
        idle: float | None = None,
    ) -> EventStream:
        """Posts a request and returns when its status is known. Raises CodexError before that.
        `idle` is how long the stream may be silent."""
        sent, content = headers or {}, await _written(body)

        def post() -> Awaitable[httpx.Response]:
            return self._send(
                self._request("POST", path, sent, content, accept="text/event-stream", read=idle)
            )

        stream = EventStream(post, self._drain, _Attempts(self._observer, len(content)))
        await stream.begin()
        return stream

    async def fetch(
        self, url: str, *, headers: Mapping[str, str] | None = None, timeout: float | None = None
    ) -> Reply:
        """Gets a JSON object. A `url` that begins with a slash is under the base URL."""
        request = self._request("GET", url, headers or {})
        if timeout is not None:
            request.extensions["timeout"] = httpx.Timeout(timeout).as_dict()
        try:
            response = await self._send(request)
        except _Refused as refused:
            raise refused.error from None
        return await self._reply(response)

    async def post(
        self,
        path: str,
        body: JsonObject,
        headers: Mapping[str, str] | None = None,
        *,
        timeout: float | None = None,
    ) -> Reply:
        """Posts a JSON object and returns the JSON object that answers it. Tried again as a
        stream is, until a success begins to come: what it tells is made by then, and paid for.
        `timeout` is how long the backend may be silent."""
        content = await _written(body)
        attempts = _Attempts(self._observer, len(content))
        while True:
            request = self._request("POST", path, headers or {}, content, read=timeout)
            try:
                response = await self._send(request)
            except (_Refused, TransportError) as error:
                failure = error
            else:
                return await self._reply(response)
            await attempts.another(failure)  # not in the `except`, as in `begin`

    async def aclose(self) -> None:
        for drain in self._drains:
            drain.cancel()
        await asyncio.gather(*self._drains, return_exceptions=True)
        await self._http.aclose()

    async def _reply(self, response: httpx.Response) -> Reply:
        try:
            if response.status_code == 304:
                return Reply(None, _fields(response))
            _refuse_encoding(_fields(response))
            return Reply(_object(await whole(response)), _fields(response))
        finally:
            await response.aclose()

    async def _send(self, request: httpx.Request) -> httpx.Response:
        """The response, its body unread. Raises CodexError if it is not a success."""
        try:
            response = await self._answer(request)
        except _FOREIGN as error:  # in place of `ours`, whose machinery each request would pay for
            raise _ours(error, unread=_size(request)) from error
        response.extensions["account"] = request.headers.get(ACCOUNT)  # whose login signed it
        if 200 <= response.status_code < 300 or response.status_code == 304:
            return response
        try:
            body = await _beginning(response)
        finally:
            await response.aclose()
        told = from_status(response.status_code, body, _fields(response))
        if response.status_code == 413:
            told.message += _too_large(_size(request))
            told.args = (told.message,)
        told.headers = to_client(_fields(response))
        raise _Refused(response.status_code, told)

    def _request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        content: bytes | None = None,
        *,
        accept: str = "*/*",
        read: float | None = None,
    ) -> httpx.Request:
        timeout = self._timeout if read is None else {**self._timeout, "read": read}
        place, fixed = self._place(method, url, accept)
        # With `content` in place of `stream`, httpx writes the length itself, at three times the cost.
        request = httpx.Request(
            method,
            place,
            headers=fixed,
            stream=httpx.ByteStream(content or b""),
            extensions={"timeout": timeout},
        )
        if content is not None:
            request.headers["content-length"] = str(len(content))
        for name, value in headers.items():
            request.headers[name] = value
        return request

    def _place(self, method: str, url: str, accept: str) -> tuple[httpx.URL, httpx.Headers]:
        """What a path or URL stands for, and the headers that each such request has."""
        known = self._asked_before.get((method, url, accept))
        if known is None:
            place = httpx.URL(self._base + url if url.startswith("/") else url)
            headers = {"host": place.netloc.decode(), "accept": accept, **self._headers}
            if method == "POST":
                headers["content-type"] = "application/json"
            known = place, httpx.Headers(headers)
            self._asked_before[method, url, accept] = known
        return known

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        """The answer that the conversation of `auth` ends with.

        What httpx's own client does besides costs more than all else on the way (docs/performance).
        """
        conversation = self._auth.async_auth_flow(request)
        try:
            asked = await anext(conversation)
            while True:
                response = await self._asked(asked)
                try:
                    asked = await conversation.asend(response)
                except StopAsyncIteration:
                    return response
                except BaseException:
                    await response.aclose()
                    raise
                await response.aclose()
        finally:
            await conversation.aclose()

    async def _asked(self, request: httpx.Request) -> httpx.Response:
        if self._cookies:
            self._add_cookies(request)
        response = await self._http.handle_async_request(request)
        fields = _fields(response)
        self._observer.exchanged(
            request.method, request.url, request.headers, response.status_code, fields
        )
        if "set-cookie" in fields:
            lines = (value for name, value in _lines(response) if name.lower() == b"set-cookie")
            self._cookies.setdefault(request.url.netloc.decode("ascii"), Cookies()).take(lines)
        return response

    def _add_cookies(self, request: httpx.Request) -> None:
        request.headers.pop("cookie", None)  # of its first try
        cookies = self._cookies.get(request.url.netloc.decode("ascii"))
        if cookies is not None and (value := cookies.header()) is not None:
            request.headers["cookie"] = value

    def _drain(self, response: httpx.Response, rest: AsyncGenerator[bytes, None]) -> None:
        task = asyncio.create_task(_drained(response, rest))
        self._drains.add(task)
        task.add_done_callback(self._drains.discard)


class EventStream:
    """The backend's answer, as batches of events: one batch for each piece of network read.

    Until its first event it is tried again where that can help: a server fault once, a refused or
    reset connection twice, a short Retry-After once, all within 12 s. Close it, whatever happens.
    """

    def __init__(
        self,
        post: Callable[[], Awaitable[httpx.Response]],
        drain: Callable[[httpx.Response, AsyncGenerator[bytes, None]], None],
        attempts: _Attempts,
    ) -> None:
        # set once
        self._post = post
        self._drain = drain
        self._attempts = attempts
        self.watch: Watch | None = None  # keeps count of it
        self.changed: tuple[str, ...] = ()  # fields of the request that could not stay as they were
        self.limits = limits.UNTOLD  # as its headers tell them
        # moves as the stream moves
        self.headers: Mapping[str, str] = {}
        self.account: str | None = None  # the id of the account that its request was signed for
        self._response: httpx.Response | None = None
        self._chunks: AsyncGenerator[bytes, None] | None = None
        self._decoder: Decoder
        self._given = False  # an event has been handed out
        self._ended = False

    async def begin(self) -> None:
        """Sends the request, and waits for the status. Raises CodexError."""
        while True:
            try:
                response = await self._post()
            except (_Refused, TransportError) as error:
                failure = error
            else:
                break
            # Not in the `except`: the next failure would have this one for its context.
            await self._attempts.another(failure)
        try:
            self.headers = _checked(_fields(response))
        except CodexError:
            await response.aclose()
            raise
        self.account = response.extensions["account"]
        self._response, self._chunks = response, _pieces(response)
        self._decoder = Decoder(together=True)

    async def batch(self, *, together: bool = False) -> list[Event]:
        """The next events, at least one; empty when the stream has ended. Raises CodexError.
        `together` leaves plain deltas that came together in one piece, as `Deltas`."""
        events = await self._batch()
        return events if together else [one for event in events for one in event.each]

    async def follow(self, take: Callable[[list[Event]], bool]) -> None:
        """Gives `take` each batch as the network brings it, `together`, and never an empty one,
        until it says False or the stream has ended: for a task to be woken by each would cost
        more than what is done with it. To be called after the first batch, so that nothing is
        tried again. Raises CodexError, and what `take` does."""
        assert self._given or self._ended, "batch() comes first"
        if self._ended:
            return
        assert self._response is not None
        follow: _Follow = self._response.extensions.get("follow") or self._follow_pieces

        def feed(chunk: bytes) -> bool:
            events = self._decoded(chunk)
            return not events or (take(events) and not self._ended)

        try:
            more = await follow(feed)
        except httpx.HTTPError as error:
            raise _ours(error) from error
        if not more and (events := self._decoded(None)):
            take(events)

    async def _batch(self) -> list[Event]:
        while not self._ended:
            try:
                events = await self._read()
            except TransportError as error:
                if self._given:
                    raise
                failure = error
            else:
                if events:
                    return events
                continue
            await self._close()
            await self._attempts.another(failure)
            await self.begin()
        return []

    async def __aiter__(self) -> AsyncIterator[Event]:
        while events := await self.batch():
            for event in events:
                yield event

    async def aclose(self) -> None:
        """Ends the request at the backend, or lets the connection live if it is all read."""
        if self.watch is not None:
            self.watch.close()
        await self._close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def _read(self) -> list[Event]:
        assert self._chunks is not None, "begin() comes first"
        try:
            chunk = await anext(self._chunks, None)
        except httpx.HTTPError as error:
            raise _ours(error) from error
        return self._decoded(chunk)

    async def _follow_pieces(self, take: Take) -> bool:
        """As `follow` of our own network does, for a transport that has none."""
        assert self._chunks is not None
        while (chunk := await anext(self._chunks, None)) is not None:
            if not take(chunk):
                return True
        return False

    def _decoded(self, chunk: bytes | None) -> list[Event]:
        """The events that a piece brings, or the body's end, which is None: counted, and none
        behind the terminal one."""
        if chunk is None:
            self._ended = True
            events = self._decoder.flush()
        else:
            events = self._decoder.feed(chunk)
        if events:
            self._given = True
            if self.watch is not None:
                self.watch.saw(events)
        return self._until_terminal(events)

    def _until_terminal(self, events: list[Event]) -> list[Event]:
        for count, event in enumerate(events, 1):
            try:  # in place of `suppress`, of which each event would make one
                if event.type in TERMINAL:
                    self._ended = True
                    if self.watch is not None:
                        self.watch.last(event.json)
                    return events[:count]
            except StreamInterrupted:
                pass  # an unreadable event is for its reader to report
        return events

    async def _close(self) -> None:
        response, chunks = self._response, self._chunks
        self._response = self._chunks = None
        if response is None or chunks is None or _whole(response):
            return
        if self._ended:
            self._drain(response, chunks)
        else:
            await chunks.aclose()
            await response.aclose()


class _Refused(Exception):
    """An answer that is not a success: its own status, and the error that it stands for."""

    def __init__(self, status: int, error: CodexError) -> None:
        self.status = status
        self.error = error


class _Attempts:
    """How often a request may be tried again. Only ever asked before its first event."""

    def __init__(self, observer: Observer, size: int) -> None:
        self._observer = observer
        self._size = size  # of the request
        self._started = asyncio.get_running_loop().time()
        self._left = {"server": 1, "limit": 1, "connection": 2}

    async def another(self, error: Exception) -> None:
        """Waits until the next try, or raises the error that ends them."""
        final = error.error if isinstance(error, _Refused) else error
        why, delay = self._why(error)
        if isinstance(error, StreamInterrupted) and self._size > LARGE:
            self._left["connection"] = min(1, self._left["connection"])  # uploads, of so many bytes
        spent = asyncio.get_running_loop().time() - self._started
        if why is None or not self._left[why] or spent + delay > RETRY_WITHIN:
            raise final
        self._left[why] -= 1
        self._observer.retried(why)
        await asyncio.sleep(delay)

    def _why(self, error: Exception) -> tuple[str | None, float]:
        if isinstance(error, _Refused):
            after = error.error.retry_after
            if isinstance(error.error, UsageLimitReached) or (after or 0) > MAX_WAIT:
                return None, 0
            if error.status in _SERVER_FAULTS:
                return "server", after if after is not None else 0.5
            if error.status == 429 and after is not None:
                return "limit", after
        elif not isinstance(error, RefreshUnavailable) and _connection_failed(error):
            return "connection", 0.25
        return None, 0


def client(
    settings: Settings,
    url: str,
    *,
    http: httpx.AsyncBaseTransport | None = None,
) -> httpx.AsyncClient:
    """An HTTP client for one host, which says who we are and reads nothing from the environment."""
    return httpx.AsyncClient(
        transport=http or connect(settings, url),
        timeout=_timeout(settings),
        headers=identity(user_agent(), settings.protocol_version),
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),  # none: one may fit no header
        follow_redirects=False,
        trust_env=False,
    )


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


_Follow = Callable[[Take], Awaitable[bool]]


_FOREIGN = (httpx.HTTPError, httpx.InvalidURL)


@contextmanager
def ours() -> Iterator[None]:
    """httpx's exceptions as ours."""
    try:
        yield
    except _FOREIGN as error:
        raise _ours(error) from error


def _ours(error: httpx.HTTPError | httpx.InvalidURL, *, unread: int = 0) -> CodexError:
    """`unread` is the size of the request, where nothing came back."""
    if isinstance(error, httpx.InvalidURL):
        return UnexpectedAnswer(f"the address cannot be read ({error})")
    host = _host(error)
    if isinstance(error, httpx.ConnectTimeout):
        return ConnectFailed(f"no connection to {host} in time")
    if isinstance(error, httpx.PoolTimeout):
        return Unavailable("all connections to the backend are in use")
    if isinstance(error, httpx.TimeoutException):
        hint = _too_large(unread) if isinstance(error, httpx.WriteTimeout) else ""
        return TimedOut(f"{host} timed out: it was silent for too long{hint}")
    if isinstance(error, httpx.ConnectError):
        return ConnectFailed(f"no connection to {host}: {connect_failure(error)}")
    if isinstance(error, httpx.ProxyError):
        return ConnectFailed(f"no connection to {host} through the proxy: {error}")
    if isinstance(error, httpx.NetworkError | httpx.RemoteProtocolError):
        return StreamInterrupted(f"the connection to {host} broke{_too_large(unread)}")
    return UnexpectedAnswer(f"the backend's answer is not HTTP ({type(error).__name__})")


def _size(request: httpx.Request) -> int:
    return int(request.headers.get("content-length", 0))


def _too_large(size: int) -> str:
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


def _connection_failed(error: BaseException | None) -> bool:
    """Refused, reset or closed unanswered: the failures that another try often mends."""
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
            return all(_connection_failed(one) for one in error.exceptions)
        error = error.__cause__ or error.__context__
    return False


async def _beginning(response: httpx.Response) -> bytes:
    """As much of an error body as is worth reading: 64 kB, 5 s."""
    pieces, size = [], 0
    with suppress(TimeoutError, TransportError, Unavailable):
        async with asyncio.timeout(5):
            async with aclosing(_pieces(response)) as coming:
                with ours():
                    async for piece in coming:
                        pieces.append(piece)
                        size += len(piece)
                        if size >= MAX_ERROR_BYTES:
                            break
    return b"".join(pieces)[:MAX_ERROR_BYTES]


async def whole(
    response: httpx.Response,
    *,
    limit: int = MAX_EVENT_BYTES,
    too_large: Exception | None = None,
) -> bytes:
    """A whole body. Raises CodexError, and `too_large` for one beyond the limit."""
    whole = io.BytesIO()  # whose value is no copy, unlike a list that is joined
    async with aclosing(_pieces(response)) as coming:
        with ours():
            async for piece in coming:
                whole.write(piece)
                if whole.tell() > limit:
                    raise too_large or UnexpectedAnswer("the backend's answer has no end")
    return whole.getvalue()


def _pieces(response: httpx.Response) -> AsyncGenerator[bytes, None]:
    """The body as the network gives it, without the layers that httpx puts round it."""
    return cast(AsyncGenerator[bytes, None], aiter(cast(httpx.AsyncByteStream, response.stream)))


def _whole(response: httpx.Response) -> bool:
    """Whether the answer is all here, and its connection free: nothing is to be drained."""
    complete: Callable[[], bool] | None = response.extensions.get("complete")
    return complete is not None and complete()


def _timeout(settings: Settings) -> httpx.Timeout:
    return httpx.Timeout(settings.timeout, connect=settings.connect_timeout)


def _fields(response: httpx.Response) -> Mapping[str, str]:
    """The headers, their names in lower case. As a plain dict, made once: httpx's own encodes what
    it is asked for, and decodes what it has, each time."""
    fields: dict[str, str] | None = response.extensions.get("fields")
    if fields is None:
        fields = response.extensions["fields"] = {}
        for name, value in _lines(response):
            key, text = name.decode("latin-1").lower(), value.decode(errors="replace")
            fields[key] = f"{fields[key]}, {text}" if key in fields else text
    return fields


def _lines(response: httpx.Response) -> list[tuple[bytes, bytes]]:
    """The headers as they came."""
    lines: list[tuple[bytes, bytes]] | None = response.extensions.get("headers")
    return lines or response.headers.raw


def _checked(fields: Mapping[str, str]) -> Mapping[str, str]:
    """Raises UnexpectedAnswer for a success that is no stream. The real one names no media type."""
    kind = fields.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in ("", "text/event-stream"):
        raise UnexpectedAnswer(f"the backend answered with {kind[:60]} where a stream was expected")
    _refuse_encoding(fields)
    return fields


def _refuse_encoding(fields: Mapping[str, str]) -> None:
    encoding = fields.get("content-encoding", "identity").lower()
    if encoding != "identity":
        raise UnexpectedAnswer(f"the backend encoded its answer ({encoding[:20]}), unasked")


async def _written(body: JsonObject) -> bytes:
    return await aside(json.is_heavy(body), json.dumps_in_steps, body)


def _object(content: bytes) -> JsonObject:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise UnexpectedAnswer("the backend answered with something that is not a JSON object")
    return value


async def _drained(response: httpx.Response, rest: AsyncGenerator[bytes, None]) -> None:
    try:
        with suppress(TimeoutError, TransportError):
            async with asyncio.timeout(DRAIN):
                with ours():
                    while await anext(rest, None) is not None:
                        pass
    finally:
        await rest.aclose()
        await response.aclose()
