"""`Transport` sends requests to the backend and reads the responses; no other module does.

It knows nothing of dialects. Failures of HTTP leave here as errors of ours.
"""

from __future__ import annotations

import asyncio
import io
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, Protocol

from ..aside import aside
from ..errors import (
    CodexError,
    InvalidRequest,
    JsonObject,
    from_status,
)
from ..protocol import json
from ..protocol.auth_file import Credentials
from ..protocol.headers import backend_headers, signature, to_client
from ..settings import Settings, user_agent
from ..telemetry import Exchange, Observer
from ..unknown import UnknownNames
from .body import (
    drain_response,
    json_object,
    read_body,
    read_error_body,
    refuse_encoding,
)
from .cookies import Cookies
from .errors import to_codex_error, too_large, translate_errors
from .event_stream import EventStream, SignedResponse
from .failures import HttpFailure
from .messages import HttpRequest, HttpResponse, HttpTransport, Timeouts, Url
from .network import Network
from .retry import Attempts

_CERTIFICATE = b"CERTIFICATE-----"
"""How a line of PEM ends that begins a certificate, whether it is plain, `X509` or `TRUSTED`."""


def connect(settings: Settings, url: str) -> HttpTransport:
    """The connections to one host: its pool, its proxy, its certificates.

    Raises InvalidRequest for a file of the user's without certificates; so does the first request
    for one whose certificates are damaged.
    """
    if (proxy := settings.proxy_for(url)) is not None:
        from .over_httpx import through_proxy  # with httpx, for a proxy alone

        return through_proxy(proxy, _authorities(settings))
    if settings.ca_file is not None and url.startswith("https:"):
        _check_certificates(settings.ca_file)
    return Network(lambda: _authorities(settings))


def _check_certificates(ca_file: Path) -> None:
    """To load the certificates of a system takes 30 ms, and many a command connects to nobody."""
    try:
        if _CERTIFICATE not in ca_file.read_bytes():
            raise _bad_certificates(ca_file, "there is no certificate in it")
    except OSError as error:
        raise _bad_certificates(ca_file, error) from None


def _bad_certificates(ca_file: Path, reason: object) -> InvalidRequest:
    return InvalidRequest(
        f"the certificates in {ca_file} cannot be read: {reason}", param="ca_file"
    )


def _authorities(settings: Settings) -> ssl.SSLContext:
    if settings.ca_file is None:
        import certifi  # for TLS alone

        return ssl.create_default_context(cafile=certifi.where())
    try:
        return ssl.create_default_context(cafile=str(settings.ca_file))
    except OSError as error:  # ssl.SSLError is one
        raise _bad_certificates(settings.ca_file, error) from None


class Signer(Protocol):
    """The login, as far as a request needs it."""

    async def signing_credentials(self) -> Credentials | None:
        """What to sign a request with. Raises CodexError."""

    async def other_credentials(self, refused: Credentials | None) -> Credentials | None:
        """What to sign it with after a 401; None where another try is of no use. Raises CodexError."""

    def note_status(self, credentials: Credentials | None, status: int) -> None:
        """Receives the status of each answer that is the last one."""


class Reply(NamedTuple):
    """A complete JSON answer. `json` is None for a 304."""

    json: JsonObject | None
    headers: Mapping[str, str]


class Transport:
    """Sends signed requests. Open it once, share it, close it.

    `signer` signs; `http` replaces the network, for `--demo` and tests.
    """

    def __init__(
        self,
        settings: Settings,
        signer: Signer,
        *,
        http: HttpTransport | None = None,
        observer: Observer | None = None,
        unknown: UnknownNames | None = None,
    ) -> None:
        self._base = settings.base_url
        self._observer = observer or Observer()
        self._unknown = unknown or UnknownNames(self._observer)
        self._drains: set[asyncio.Task[None]] = set()
        self._signer = signer
        self._http = http or connect(settings, settings.base_url)
        self._headers = backend_headers(user_agent(), settings.protocol_version)
        self._timeouts = Timeouts(settings.connect_timeout, settings.timeout, settings.timeout)
        self._cookies: dict[str, Cookies] = {}  # by host, of a backend that sets some
        # by what was asked, which is little
        self._request_parts: dict[tuple[str, str, str], tuple[Url, dict[str, str]]] = {}

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
        content = await _encode_body(body)
        request = self._request(
            "POST", path, headers or {}, content, accept="text/event-stream", read=idle
        )
        stream = EventStream(
            lambda: self._send(request),
            self._drain,
            Attempts(self._observer, len(content)),
            self._unknown,
        )
        await stream.begin()
        return stream

    async def fetch(
        self, url: str, *, headers: Mapping[str, str] | None = None, timeout: float | None = None
    ) -> Reply:
        """Gets a JSON object. A `url` that begins with a slash is under the base URL."""
        request = self._request("GET", url, headers or {})
        if timeout is not None:
            request = request._replace(timeouts=Timeouts(timeout, timeout, timeout))
        response, _ = await self._send(request)
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
        return await self._post(url, headers, content, timeout, keep_login=True)

    async def _post(
        self,
        url: str,
        headers: Mapping[str, str],
        content: bytes,
        timeout: float | None,
        *,
        keep_login: bool = False,
    ) -> Reply:
        attempts = Attempts(self._observer, len(content))
        request = self._request("POST", url, headers, content, read=timeout)
        while True:
            try:
                response, _ = await self._send(request, keep_login=keep_login)
                break
            except CodexError as error:
                if (retry := attempts.next(error)) is None:
                    raise
            await attempts.wait(retry)
        return await self._reply(response)

    async def aclose(self) -> None:
        for drain in self._drains:
            drain.cancel()
        await asyncio.gather(*self._drains, return_exceptions=True)
        await self._http.aclose()

    async def _reply(self, response: HttpResponse) -> Reply:
        try:
            if response.status == 304:
                return Reply(None, response.headers)
            refuse_encoding(response.headers)
            return Reply(json_object(await read_body(response)), response.headers)
        finally:
            await response.aclose()

    async def _send(self, request: HttpRequest, *, keep_login: bool = False) -> SignedResponse:
        """The response, its body unread. Raises CodexError if it is not a success."""
        try:
            signed = await self._answer(request, keep_login)
        except HttpFailure as error:
            raise to_codex_error(error, unread=len(request.content)) from error
        response = signed.response
        if 200 <= response.status < 300 or response.status == 304:
            return signed
        raise await self._backend_error(response, len(request.content))

    async def _backend_error(self, response: HttpResponse, request_size: int) -> CodexError:
        """The error that an answer stands for."""
        try:
            body = await read_error_body(response)
        finally:
            await response.aclose()
        failure = from_status(response.status, body, response.headers)
        self._unknown.error(failure)
        if response.status == 413:
            failure.message += too_large(request_size)
        failure.headers = to_client(response.headers)
        failure.backend_status = response.status
        return failure

    def _request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        content: bytes | None = None,
        *,
        accept: str = "*/*",
        read: float | None = None,
    ) -> HttpRequest:
        timeouts = self._timeouts if read is None else self._timeouts._replace(read=read)
        place, fixed = self._url_and_headers(method, url, accept)
        length = {} if content is None else {"content-length": str(len(content))}
        return HttpRequest(method, place, {**fixed, **length, **headers}, content or b"", timeouts)

    def _url_and_headers(self, method: str, url: str, accept: str) -> tuple[Url, dict[str, str]]:
        """What a path or URL stands for, and the headers that each such request has."""
        known = self._request_parts.get((method, url, accept))
        if known is None:
            with translate_errors():
                place = Url.parse(self._base + url if url.startswith("/") else url)
            headers = {"host": place.netloc, "accept": accept, **self._headers}
            if method == "POST":
                headers["content-type"] = "application/json"
            known = self._request_parts[method, url, accept] = place, headers
        return known

    async def _answer(self, request: HttpRequest, keep_login: bool) -> SignedResponse:
        """The answer, after a 401 that to another login. With `keep_login` a 401 says nothing of it."""
        credentials = await self._signer.signing_credentials()
        response = await self._exchange(request, credentials)
        if response.status == 401 and not keep_login:
            try:
                other = await self._signer.other_credentials(credentials)
            except BaseException:
                await response.aclose()
                raise
            if other is None:
                return _signed_response(response, credentials)
            await response.aclose()
            self._observer.retried("login")
            response, credentials = await self._exchange(request, other), other
        if not keep_login:
            self._signer.note_status(credentials, response.status)
        return _signed_response(response, credentials)

    async def _exchange(
        self, request: HttpRequest, credentials: Credentials | None
    ) -> HttpResponse:
        sent = {**request.headers, **signature(credentials)} if credentials else request.headers
        if self._cookies:
            sent = {**sent, **self._cookie(request.url.netloc)}
        method, url, _, content, timeouts = request
        response = await self._http.send(HttpRequest(method, url, sent, content, timeouts))
        received = response.headers
        self._observer.exchanged(Exchange(method, url, sent, response.status, received))
        self._unknown.headers(received)
        if "set-cookie" in received:
            lines = (value for name, value in response.lines if name.lower() == b"set-cookie")
            self._cookies.setdefault(url.netloc, Cookies()).take(lines)
        return response

    def _cookie(self, netloc: str) -> dict[str, str]:
        cookies = self._cookies.get(netloc)
        value = cookies.header() if cookies is not None else None
        return {} if value is None else {"cookie": value}

    def _drain(self, response: HttpResponse) -> None:
        task = asyncio.create_task(drain_response(response))
        self._drains.add(task)
        task.add_done_callback(self._drains.discard)


def _signed_response(response: HttpResponse, credentials: Credentials | None) -> SignedResponse:
    return SignedResponse(response, (credentials.account_id or None) if credentials else None)


async def _encode_body(body: JsonObject) -> bytes:
    if json.is_heavy(body):
        return await aside(True, _encode_in_pieces, body)
    return json.dumps(body)


def _encode_in_pieces(body: JsonObject) -> bytes:
    whole = io.BytesIO()  # whose value is no copy, unlike a list that is joined
    for piece in json.pieces(body):
        whole.write(piece)
    return whole.getvalue()
