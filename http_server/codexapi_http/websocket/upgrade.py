"""The endpoint that makes a WebSocket of a request, or refuses it by HTTP."""

from __future__ import annotations

import asyncio
from types import ModuleType

from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from codexapi_engine import CodexError

from ..errors import codex_error, refusal
from ..middleware.request_log import current
from ..requests import header
from ..server.uvicorn_protocol import client_of


class Upgrade:
    """`GET` with `Upgrade: websocket`, as an ASGI application."""

    upgrades = True

    def __init__(self) -> None:
        self.__name__, self.__doc__ = "responses_socket", "GET /v1/responses"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._upgrade(scope)
        except CodexError as error:
            response = await codex_error(Request(scope), error)
            await response(scope, receive, send)

    async def _upgrade(self, scope: Scope) -> None:
        client = client_of(scope)
        if client is None or not client.can_be_taken:
            raise _refused(426, "upgrade_required", "Upgrade to a WebSocket, or POST to this path.")
        if header(Request(scope), b"sec-websocket-version") != "13":
            raise _refused(426, "invalid_handshake", "The version of WebSocket is 13.")
        # A fifth of a second, once: other requests go on.
        connection = await asyncio.to_thread(_connection)
        protocol, answer = connection.handshake(scope)
        if answer.status_code != 101:
            words = (answer.body or b"").decode("latin-1").strip().splitlines()
            raise _refused(answer.status_code, "invalid_handshake", words[-1] if words else "")
        if client.gone:
            return
        answer.headers["x-request-id"] = scope["request_id"]
        entry = current()
        entry.status, entry.ended = answer.status_code, True
        taken = client.take_over()
        connection.WebSocketConnection(scope, taken, protocol).begin(answer, taken.early)


def _connection() -> ModuleType:
    from . import connection  # with the library: nothing else needs it

    return connection


def _refused(status: int, code: str, message: str) -> CodexError:
    error = refusal(status, code, message)
    if status == 426:
        error.headers.update({"upgrade": "websocket", "sec-websocket-version": "13"})
    return error
