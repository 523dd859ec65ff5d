"""What is refused before there is a request: bytes that are not HTTP, and endless heads."""

from __future__ import annotations

import secrets
import sys

import h11
from uvicorn.protocols.http.h11_impl import STATUS_PHRASES, H11Protocol

from codexapi_engine.protocol import json

from .errors import refusal

MAX_HEAD_BYTES = 32 * 1024
LINGER = 2.0
"""Seconds to read on after a refusal: closed over unread bytes, a connection loses it."""


class Connection(H11Protocol):
    """uvicorn's, but that it refuses in our form: its own is plain text, and always a 400."""

    _refused = False

    def data_received(self, data: bytes) -> None:
        if not self._refused:
            super().data_received(data)

    def send_400_response(self, msg: str) -> None:
        # Called where h11's error is being handled; it says what is wrong.
        hint = getattr(sys.exception(), "error_status_hint", 400)
        error = (
            refusal(431, "headers_too_large", "The headers exceed 32 kB.")
            if hint == 431
            else refusal(400, "invalid_http", "The request is not HTTP/1.1 as we understand it.")
        )
        headers = [
            (b"content-type", b"application/json"),
            (b"connection", b"close"),
            (b"x-request-id", f"req_{secrets.token_hex(12)}".encode()),
        ]
        body = json.dumps({"error": error.body()})
        length = (b"content-length", str(len(body)).encode())
        for event in (
            h11.Response(
                status_code=error.status,
                headers=[*headers, length],
                reason=STATUS_PHRASES[error.status],
            ),
            h11.Data(data=body),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")
        self._refused = True
        self.transport.write_eof()
        self.loop.call_later(LINGER, self.transport.close)
