"""Checks host, origin, key and size of every request before any route, as pure ASGI middleware.

A port on loopback can be reached by every web page in the user's browser. So the Host must be ours
(DNS rebinding), the Origin must be ours or one that the user allows (cross-site requests), and
decisions are made on the raw scope alone.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from itertools import chain

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from codexapi_engine import CodexError, Settings
from codexapi_engine.bounds import MAX_REQUEST_HEAD_BYTES
from codexapi_engine.errors import Unavailable
from codexapi_engine.http.deadlines import deadline
from codexapi_engine.program_keys import ProgramKeys

from ..dialect import OPENAI, Dialect, Dialects, upgrades
from ..errors import head_too_large, refusal, render, unforeseen
from ..programs import OTHER, PROGRAM, program_of
from ..reports import Reports
from ..server.uvicorn_protocol import ClientConnection, Deadlines, client_of, new_id
from .cors import Cors
from .request_log import Entry, begin, plain

OPEN = frozenset({"/healthz"})
PAGE_FILES = {"/page/app.js": "text/javascript", "/page/style.css": "text/css"}
OPEN_UNDER = "/v1/files/images/"
"""Paths that need no key: a picture's name cannot be guessed, and is one. The page and its files
(with their media types) are open where there is a page: a browser sends no key with them, and they
hold no data then."""

_BEARER = b"authorization"
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^\[\]:@/\s]+)(?::\d*)?")
_REQUEST_ID = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")


class Guard:
    def __init__(
        self,
        app: ASGIApp,
        *,
        settings: Settings,
        dialects: Dialects,
        reports: Reports | None = None,
        deadlines: Deadlines | None = None,
    ) -> None:
        self._app = app
        self._dialects = dialects
        self._reports = reports or Reports()
        self._deadlines = deadlines or Deadlines()
        self._key = (
            settings.api_key.reveal().encode(errors="surrogateescape") if settings.api_key else None
        )
        self._program_keys = ProgramKeys(settings.state_dir)
        self._cors = Cors(settings.cors)
        self._has_page = settings.serves_page
        own = {"127.0.0.1", "localhost", "[::1]", *map(_bracketed, settings.allow_hosts)}
        if settings.host not in ("0.0.0.0", "::"):
            own.add(_bracketed(settings.host))
        self._hosts = frozenset(name.lower() for name in own)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = _headers(scope)
        entry, client = _entry(scope, headers), client_of(scope)
        begin(entry)
        self._reports.received(entry)
        answer = _Answer(entry, self._cors.of_answer(headers), send)
        body = _Body(receive, self._deadlines.body, entry, client)
        try:
            await self._answered(scope, headers, body.receive, answer)
        finally:
            entry.route = getattr(scope.get("route"), "path", "")
            entry.sent += client.written if client is not None else 0
            self._reports.answered(entry)

    async def _answered(
        self, scope: Scope, headers: Mapping[bytes, bytes], receive: Receive, answer: _Answer
    ) -> None:
        dialect = self._dialects.choose(scope, headers)
        error = self._refusal(scope, headers, dialect)
        answer.entry.program = scope[PROGRAM]
        try:
            if error is None and self._cors.is_preflight(scope["method"], headers):
                permission = Response(status_code=204)
                permission.raw_headers = self._cors.preflight(headers)
                await permission(scope, receive, answer.send)
            elif error is None:
                await self._app(scope, receive, answer.send)
        except Exception:  # the outermost edge of the server
            error = unforeseen(scope["request_id"])
            if answer.entry.status:
                answer.entry.failed(error)
                raise  # too late to say so: the connection is cut, and that is no success
        if error is not None:
            answer.entry.failed(error)
            response = render(error, dialect, request_id=scope["request_id"])
            await response(scope, receive, answer.send)

    def _refusal(
        self, scope: Scope, headers: Mapping[bytes, bytes], dialect: Dialect
    ) -> CodexError | None:
        """Why the request is turned away; None if it may pass."""
        if (error := _misshapen(scope, headers, dialect)) is not None:
            return error
        host = headers.get(b"host", b"").decode("latin-1").lower()
        if _name_of(host) not in self._hosts:
            return refusal(
                421,
                "host_not_allowed",
                f"The host '{host[:100]}' is not one of this server's. If it should be, start "
                f"codexapi with --allow-host {_name_of(host)[:100] or 'NAME'}",
            )
        welcome = self._cors.allows(headers)
        page = self._has_page and opens_page(scope, headers)
        if (
            not (welcome or _is_link(headers, page))
            and (error := _cross_site(headers, host)) is not None
        ):
            return error
        wants_socket = headers.get(b"upgrade", b"").lower() == b"websocket"
        if wants_socket and not upgrades(scope):  # an offer of h2c may be ignored
            message = "This path takes no WebSocket: use HTTP. GET /v1/responses takes one."
            return refusal(426, "upgrade_not_supported", message)
        if scope["app"].state.shutdown.begun:
            return scope["app"].state.shutdown.error()  # type: ignore[no-any-return]
        if page or _is_open(scope):
            return None
        return self._wrong_key(scope, headers, dialect)

    def _wrong_key(
        self, scope: Scope, headers: Mapping[bytes, bytes], dialect: Dialect
    ) -> CodexError | None:
        try:
            program_keys = self._program_keys.load()
            if not (self._key or program_keys):
                return None
            if scope[PROGRAM].partition(" ")[0] in program_keys:
                scope[PROGRAM] = OTHER  # a User-Agent must not pass for a program with a key
            values = [(name, headers[name]) for name in dialect.key_headers if name in headers]
            for key in (_key_in(name, value) for name, value in values):
                if self._key and hmac.compare_digest(key, self._key):
                    return None
                if (program := self._program_keys.name_of(key)) is not None:
                    scope[PROGRAM] = program
                    return None
        except Unavailable as error:
            return error
        return _key_refusal(dialect, values, of_programs=not self._key)


class _Answer:
    """Gives every answer its headers, and remembers how it went."""

    def __init__(self, entry: Entry, headers: list[tuple[bytes, bytes]], send: Send) -> None:
        self.entry = entry
        self._headers = [(b"x-request-id", entry.request_id.encode()), *headers]
        self._send = send

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.entry.status = message["status"]
            message["headers"] = [*message.get("headers", []), *self._headers]
        elif message["type"] == "http.response.body":
            self.entry.sent += len(message.get("body", b""))
            self.entry.ended = not message.get("more_body", False)
        await self._send(message)


class _Body:
    """The body of a request: it may be slow, but it must not pause for long."""

    def __init__(
        self, receive: Receive, pause: float, entry: Entry, client: ClientConnection | None
    ) -> None:
        self._receive = receive
        self._pause = pause
        self._entry = entry
        self._client = client
        self._whole = False

    async def receive(self) -> Message:
        if self._client is not None and self._client.has_sent_all:
            self._whole = True  # most come in one piece, and need no clock
        while not (self._whole or self._entry.status):  # answered without it: it does not matter
            try:
                async with deadline(self._pause):
                    message = await self._receive()
            except TimeoutError:
                if not self._entry.status:
                    raise late(f"The body of your request paused for {self._pause:g} s.") from None
            else:
                self._whole = not message.get("more_body", False)
                return message
        return await self._receive()


def late(message: str) -> CodexError:
    """A request that does not come to its end; nor can another one follow it."""
    return closing(refusal(408, "request_timeout", message))


def closing(error: CodexError) -> CodexError:
    """The error, and the end of its connection."""
    error.headers["connection"] = "close"
    return error


def _entry(scope: Scope, headers: Mapping[bytes, bytes]) -> Entry:
    header = headers.get(b"x-request-id", b"")
    request_id = header.decode() if _REQUEST_ID.fullmatch(header) else new_id()
    scope["request_id"] = request_id
    path = scope["path"]
    # The name of a picture is a key.
    shown = f"{OPEN_UNDER}…" if path.startswith(OPEN_UNDER) else plain(path)
    scope[PROGRAM] = program = program_of(headers.get(b"user-agent", b""))
    return Entry(request_id, plain(scope["method"]), shown, program=program)


def _key_in(name: bytes, value: bytes) -> bytes:
    """The key that a header carries; empty where it is no Bearer."""
    if name != _BEARER:
        return value.strip()
    scheme, _, key = value.partition(b" ")
    return key.strip() if scheme.lower() == b"bearer" else b""


def _key_refusal(
    dialect: Dialect, values: Iterable[tuple[bytes, bytes]], *, of_programs: bool
) -> CodexError:
    name = dialect.key_headers[0]
    example = "Authorization: Bearer KEY" if name == _BEARER else f"{name.decode()}: KEY"
    where = (
        "a key that `codexapi keys add NAME` made"
        if of_programs
        else "the key that this server was started with"
    )
    message = f"You didn't provide an API key: send '{example}' with {where}."
    if any(_has_key(name, value) for name, value in values):
        message = (
            f"Incorrect API key provided: this server takes {where}."
            if of_programs
            else "Incorrect API key provided: this server was started with a key of its own."
        )
    return refusal(401, "invalid_api_key", message)


def _has_key(name: bytes, value: bytes) -> bool:
    return bool(value.partition(b" ")[2] if name == _BEARER else value)


def _misshapen(scope: Scope, headers: Mapping[bytes, bytes], dialect: Dialect) -> CodexError | None:
    """What no sound client sends, and what could be read in two ways."""
    lines = scope["headers"]
    if len(headers) < len(lines) and (twice := _twice(lines, dialect)):
        what = twice.decode("latin-1")[:60]
        return closing(refusal(400, "duplicate_header", f"The header '{what}' came twice."))
    size = len(scope.get("raw_path", b"")) + len(scope["query_string"])
    if size + sum(map(len, chain.from_iterable(lines))) > MAX_REQUEST_HEAD_BYTES:
        return head_too_large()
    if b"content-length" in headers and b"transfer-encoding" in headers:
        message = "A body has either a Content-Length or a Transfer-Encoding, not both."
        return closing(refusal(400, "invalid_http", message))
    return None


def _twice(lines: Iterable[tuple[bytes, bytes]], dialect: Dialect) -> bytes | None:
    """A header that must not come twice, and does."""
    seen, once = set(), {b"host", *OPENAI.key_headers, *dialect.key_headers}
    for name, _ in lines:
        if name in seen and (name in once or name.startswith(b"content-")):
            return name
        seen.add(name)
    return None


def _is_open(scope: Scope) -> bool:
    path, method = scope["path"], scope["method"]
    looks = method in ("GET", "HEAD")
    return path in OPEN or method == "OPTIONS" or (looks and path.startswith(OPEN_UNDER))


def opens_page(scope: Scope, headers: Mapping[bytes, bytes]) -> bool:
    """Whether a browser opens the page or one of its files. Programs that look for Ollama ask for
    the same path, and not for HTML."""
    if scope["method"] not in ("GET", "HEAD"):
        return False
    wants_html = b"text/html" in headers.get(b"accept", b"")
    return (scope["path"] == "/" and wants_html) or scope["path"] in PAGE_FILES


def _is_link(headers: Mapping[bytes, bytes], page: bool) -> bool:
    """A browser's own tab that follows a link to the page: no script of another site sees it, and
    nothing is spent."""
    return (
        page
        and b"origin" not in headers
        and headers.get(b"sec-fetch-dest") == b"document"
        and headers.get(b"sec-fetch-mode") == b"navigate"
    )


def _cross_site(headers: Mapping[bytes, bytes], host: str) -> CodexError | None:
    """A web page of another site made this request. Browsers cannot hide these headers."""
    origin = headers.get(b"origin")
    if origin is not None and origin.decode("latin-1").lower() not in (
        f"http://{host}",
        f"https://{host}",
    ):
        return refusal(
            403,
            "origin_not_allowed",
            "Requests from other web pages are not allowed. If this page may, start codexapi with "
            "--cors and its origin.",
        )
    if headers.get(b"sec-fetch-site", b"none") not in (b"none", b"same-origin"):
        return refusal(403, "cross_site", "Requests from other web pages are not allowed.")
    return None


def refuse_cross_site(scope: Scope) -> None:
    """Raises the refusal of a request that a page of another site made, whatever `--cors` says."""
    headers = _headers(scope)
    host = headers.get(b"host", b"").decode("latin-1").lower()
    if (error := _cross_site(headers, host)) is not None:
        raise error


def _headers(scope: Scope) -> dict[bytes, bytes]:
    """The first of each name: a second one must not be able to overrule it."""
    return dict(reversed(scope["headers"]))


@lru_cache(maxsize=64)
def _name_of(host: str) -> str:
    """The Host without its port; empty if it is not one."""
    match = _HOST.fullmatch(host)
    return match[1] if match else ""


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host
