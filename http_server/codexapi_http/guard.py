"""Who may come in: pure ASGI, in front of every route.

A port on loopback can be reached by every web page in the user's browser. So the Host must be
ours (DNS rebinding), the Origin must be ours (cross-site requests), and decisions are made on the
raw scope alone. Knows nothing of what is behind it.
"""

from __future__ import annotations

import hmac
import logging
import re
import secrets
import time
from collections.abc import MutableMapping
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from codexapi_engine import CodexError, Settings

from .connection import MAX_HEAD_BYTES
from .errors import refusal, render, unforeseen

OPEN = frozenset({"/healthz"})
OPEN_UNDER = "/v1/files/images/"
"""Paths that need no key: a picture's name cannot be guessed, and is one."""

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^\[\]:@/\s]+)(?::\d*)?")

log = logging.getLogger("codexapi.http")


class Guard:
    def __init__(self, app: ASGIApp, *, settings: Settings) -> None:
        self._app = app
        self._key = settings.api_key.encode() if settings.api_key else None
        own = {"127.0.0.1", "localhost", "[::1]", *map(_bracketed, settings.allow_hosts)}
        if settings.host not in ("0.0.0.0", "::"):
            own.add(_bracketed(settings.host))
        self._hosts = frozenset(name.lower() for name in own)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope["request_id"] = f"req_{secrets.token_hex(12)}"
        answer = _Answer(scope, send)
        error = self._refused(scope)
        try:
            if error is None:
                await self._app(scope, receive, answer.send)
        except Exception:  # the outermost edge of this door
            error = unforeseen(scope["request_id"])
            if answer.status:
                raise  # too late to say so: the connection is cut, and that is no success
        if error is not None:
            await render(error)(scope, receive, answer.send)
        log.info(
            "%s %s %s %.3f s %s", scope["method"], _clean(scope["path"]), answer.status,
            time.monotonic() - answer.since, scope["request_id"],
        )  # fmt: skip

    def _refused(self, scope: Scope) -> CodexError | None:
        """Why the request is turned away; None if it may pass."""
        headers = _headers(scope)
        if sum(len(name) + len(value) for name, value in scope["headers"]) > MAX_HEAD_BYTES:
            return refusal(431, "headers_too_large", "The headers exceed 32 kB.")
        host = headers.get(b"host", b"").decode("latin-1").lower()
        if _name_of(host) not in self._hosts:
            return refusal(
                421,
                "host_not_allowed",
                f"The host '{host[:100]}' is not one of this server's. If it should be, start "
                f"codexapi with --allow-host {_name_of(host)[:100] or 'NAME'}",
            )
        if (error := _cross_site(headers, host)) is not None:
            return error
        if headers.get(b"upgrade", b"").lower() == b"websocket":  # an offer of h2c may be ignored
            return refusal(426, "upgrade_not_supported", "WebSocket is not supported: use HTTP.")
        if scope["app"].state.shutdown.begun:
            return scope["app"].state.shutdown.error()  # type: ignore[no-any-return]
        if self._key and not _is_open(scope):
            return self._wrong_key(headers)
        return None

    def _wrong_key(self, headers: MutableMapping[bytes, bytes]) -> CodexError | None:
        assert self._key is not None
        kind, _, given = headers.get(b"authorization", b"").partition(b" ")
        if kind.lower() == b"bearer" and hmac.compare_digest(given.strip(), self._key):
            return None
        message = (
            "Incorrect API key provided: this server was started with a key of its own."
            if given
            else "You didn't provide an API key: send 'Authorization: Bearer KEY' with the key "
            "that this server was started with."
        )
        return refusal(401, "invalid_api_key", message)


class _Answer:
    """Gives every answer its request id, and remembers its status."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._id = scope["request_id"].encode()
        self._send = send
        self.status = 0
        self.since = time.monotonic()

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message.get("headers", []), (b"x-request-id", self._id)]
        await self._send(message)


def _is_open(scope: Scope) -> bool:
    path, method = scope["path"], scope["method"]
    looks = method in ("GET", "HEAD")
    return path in OPEN or method == "OPTIONS" or (looks and path.startswith(OPEN_UNDER))


def _cross_site(headers: MutableMapping[bytes, bytes], host: str) -> CodexError | None:
    """A web page of another site made this request. Browsers cannot hide these headers."""
    origin = headers.get(b"origin")
    if origin is not None and origin.decode("latin-1").lower() not in (
        f"http://{host}",
        f"https://{host}",
    ):
        return refusal(403, "origin_not_allowed", "Requests from other web pages are not allowed.")
    if headers.get(b"sec-fetch-site", b"none") not in (b"none", b"same-origin"):
        return refusal(403, "cross_site", "Requests from other web pages are not allowed.")
    return None


def _headers(scope: Scope) -> dict[bytes, bytes]:
    """The first of each name: a second one must not be able to overrule it."""
    return dict(reversed(scope["headers"]))


def _name_of(host: str) -> str:
    """The Host without its port; empty if it is not one."""
    match = _HOST.fullmatch(host)
    return match[1] if match else ""


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def _clean(path: Any) -> str:
    """A path fit for a log line: it comes from a stranger."""
    return "".join(c if c.isprintable() else "?" for c in str(path))[:200]
