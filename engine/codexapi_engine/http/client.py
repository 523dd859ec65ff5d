"""`ApiClient` sends requests to the backend and reads the responses; no other module does.

It knows nothing of dialects. Exceptions of httpx leave here as errors of ours.
"""

from __future__ import annotations

import asyncio
import io
import ssl
from collections.abc import AsyncGenerator, Awaitable, Mapping
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import NamedTuple
from urllib.parse import urlsplit

from ..aside import aside
from ..errors import (
    InvalidRequest,
    JsonObject,
    TransportError,
    from_status,
)
from ..protocol import json
from ..protocol.headers import ACCOUNT, identity, to_client
from ..settings import Settings, user_agent
from ..telemetry import Exchange, Observer
from ..unknown import UnknownNames
from ._httpx import httpx
from .body import (
    drain_response,
    header_fields,
    header_lines,
    json_object,
    read_body,
    read_error_body,
    refuse_encoding,
)
from .connect_errors import name_error
from .cookies import Cookies
from .errors import (
    HTTPX_ERRORS,
    BackendRefusal,
    to_codex_error,
    too_large,
)
from .event_stream import EventStream
from .network import Network, RequestBody
from .retry import Attempts

_KEEP_LOGIN = "codexapi.keep_login"
_ACCOUNT = ACCOUNT.encode()


def connect(settings: Settings, url: str) -> httpx.AsyncBaseTransport:
    """The connections to one host: its pool, its proxy, its certificates.

    Raises InvalidRequest for certificates of the user's that cannot be read.
    """
    if (proxy := settings.proxy_for(url)) is not None:
        # No cap: httpx's own of 100 would make the 101st stream wait for another's end.
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=20)
        return ProxyTransport(
            verify=_authorities(settings), proxy=proxy, limits=limits, trust_env=False
        )
    if settings.ca_file is not None and urlsplit(url).scheme == "https":
        context = _authorities(settings)
        return Network(lambda: context)
    return Network(lambda: _authorities(settings))


class ProxyTransport(httpx.AsyncHTTPTransport):
    """httpx's own transport through a proxy, without its leaked connections: when a request is
    cancelled between connecting and sending, httpcore 1.0 neither uses nor closes its connection."""

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


class Reply(NamedTuple):
    """A complete JSON answer. `json` is None for a 304."""

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
        unknown: UnknownNames | None = None,
    ) -> None:
        self._base = settings.base_url
        self._observer = observer or Observer()
        self._unknown = unknown or UnknownNames(self._observer)
        self._drains: set[asyncio.Task[None]] = set()
        self._auth = auth
        self._http = http or connect(settings, settings.base_url)
        self._headers = identity(user_agent(), settings.protocol_version)
        self._timeout = _timeout(settings).as_dict()
        self._cookies: dict[str, Cookies] = {}  # by host, of a backend that sets some
        # of what was asked: that is little, and httpx takes its time over each
        self._request_parts: dict[tuple[str, str, str], tuple[httpx.URL, httpx.Headers]] = {}

    def name_version(self, version: str) -> None:
        """Names this Codex protocol version in every request from now on."""
        if version != self._headers["version"]:
            self._headers = {**self._headers, "version": version}
            self._request_parts.clear()

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
        sent, content = headers or {}, await _encode_body(body)

        def post() -> Awaitable[httpx.Response]:
            return self._send(
                self._request("POST", path, sent, content, accept="text/event-stream", read=idle)
            )

        attempts = Attempts(self._observer, content.size, content.release)
        stream = EventStream(post, self._drain, attempts, self._unknown)
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
        except BackendRefusal as refused:
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
        return await self._post(path, headers or {}, await _encode_body(body), timeout)

    async def upload(
        self, url: str, content: bytes, media_type: str, *, timeout: float | None = None
    ) -> Reply:
        """Posts bytes, likewise. A 401 of this endpoint says nothing of the login, which is not
        renewed for it."""
        headers = {"content-type": media_type}
        return await self._post(url, headers, RequestBody(content), timeout, keep_login=True)

    async def _post(
        self,
        url: str,
        headers: Mapping[str, str],
        content: RequestBody,
        timeout: float | None,
        *,
        keep_login: bool = False,
    ) -> Reply:
        attempts = Attempts(self._observer, content.size)
        while True:
            request = self._request("POST", url, headers, content, read=timeout)
            request.extensions[_KEEP_LOGIN] = keep_login
            try:
                response = await self._send(request)
            except (BackendRefusal, TransportError) as error:
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
                return Reply(None, header_fields(response))
            refuse_encoding(header_fields(response))
            return Reply(json_object(await read_body(response)), header_fields(response))
        finally:
            await response.aclose()

    async def _send(self, request: httpx.Request) -> httpx.Response:
        """The response, its body unread. Raises CodexError if it is not a success."""
        try:
            response = await self._answer(request)
        except (
            HTTPX_ERRORS
        ) as error:  # in place of `ours`, whose machinery each request would pay for
            raise to_codex_error(error, unread=_size(request)) from error
        response.extensions["account"] = _account(request)
        if 200 <= response.status_code < 300 or response.status_code == 304:
            return response
        try:
            body = await read_error_body(response)
        finally:
            await response.aclose()
        failure = from_status(response.status_code, body, header_fields(response))
        self._unknown.error(failure)
        if response.status_code == 413:
            failure.message += too_large(_size(request))
            failure.args = (failure.message,)
        failure.headers = to_client(header_fields(response))
        raise BackendRefusal(response.status_code, failure)

    def _request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        content: RequestBody | None = None,
        *,
        accept: str = "*/*",
        read: float | None = None,
    ) -> httpx.Request:
        timeout = self._timeout if read is None else {**self._timeout, "read": read}
        place, fixed = self._url_and_headers(method, url, accept)
        # With `content` in place of `stream`, httpx writes the length itself, at three times the cost.
        request = httpx.Request(
            method,
            place,
            headers=fixed,
            stream=content or RequestBody(b""),
            extensions={"timeout": timeout},
        )
        if content is not None:
            request.headers["content-length"] = str(content.size)
        for name, value in headers.items():
            request.headers[name] = value
        return request

    def _url_and_headers(
        self, method: str, url: str, accept: str
    ) -> tuple[httpx.URL, httpx.Headers]:
        """What a path or URL stands for, and the headers that each such request has."""
        known = self._request_parts.get((method, url, accept))
        if known is None:
            place = httpx.URL(self._base + url if url.startswith("/") else url)
            headers = {"host": place.netloc.decode(), "accept": accept, **self._headers}
            if method == "POST":
                headers["content-type"] = "application/json"
            known = place, httpx.Headers(headers)
            self._request_parts[method, url, accept] = known
        return known

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        """The answer that the conversation of `auth` ends with.

        What httpx's own client does besides costs more than all else on the way (docs/performance).
        """
        conversation = self._auth.async_auth_flow(request)
        try:
            outgoing = await anext(conversation)
            while True:
                response = await self._exchange(outgoing)
                if request.extensions.get(_KEEP_LOGIN):
                    return response
                try:
                    outgoing = await conversation.asend(response)
                except StopAsyncIteration:
                    return response
                except BaseException:
                    await response.aclose()
                    raise
                await response.aclose()
        finally:
            await conversation.aclose()

    async def _exchange(self, request: httpx.Request) -> httpx.Response:
        if self._cookies:
            self._add_cookies(request)
        response = await self._http.handle_async_request(request)
        fields = header_fields(response)
        self._observer.exchanged(
            Exchange(request.method, request.url, request.headers, response.status_code, fields)
        )
        self._unknown.headers(fields)
        if "set-cookie" in fields:
            lines = (
                value for name, value in header_lines(response) if name.lower() == b"set-cookie"
            )
            self._cookies.setdefault(request.url.netloc.decode("ascii"), Cookies()).take(lines)
        return response

    def _add_cookies(self, request: httpx.Request) -> None:
        request.headers.pop("cookie", None)  # of its first try
        cookies = self._cookies.get(request.url.netloc.decode("ascii"))
        if cookies is not None and (value := cookies.header()) is not None:
            request.headers["cookie"] = value

    def _drain(self, response: httpx.Response, rest: AsyncGenerator[bytes, None]) -> None:
        task = asyncio.create_task(drain_response(response, rest))
        self._drains.add(task)
        task.add_done_callback(self._drains.discard)


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


def _account(request: httpx.Request) -> str | None:
    """Whose login signed it. `headers.get` would decode every header of it first."""
    named = (value for name, value in request.headers.raw if name == _ACCOUNT)
    account = next(named, None)
    return account.decode() if account is not None else None


def _size(request: httpx.Request) -> int:
    return int(request.headers.get("content-length", 0))


def _timeout(settings: Settings) -> httpx.Timeout:
    return httpx.Timeout(settings.timeout, connect=settings.connect_timeout)


async def _encode_body(body: JsonObject) -> RequestBody:
    if json.is_heavy(body):
        return RequestBody(await aside(True, _encode_in_pieces, body))
    return RequestBody(json.dumps(body))


def _encode_in_pieces(body: JsonObject) -> bytes:
    whole = io.BytesIO()  # whose value is no copy, unlike a list that is joined
    for piece in json.pieces(body):
        whole.write(piece)
    return whole.getvalue()
