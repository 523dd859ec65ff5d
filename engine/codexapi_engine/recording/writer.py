"""Writes one exchange to its file, redacted before any byte of it reaches the disk."""

from __future__ import annotations

import os
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from ..bounds import MAX_RECORDING_BODY_BYTES
from ..files import BINARY, NO_LINK
from ..protocol.redaction import Body, Redaction
from .lines import Headers, data_fields, first_line, line


@dataclass(slots=True)
class Sent:
    """A request as it was sent."""

    method: str
    target: str
    headers: Headers
    body: bytes
    began: str  # RFC 3339


@dataclass(slots=True)
class ExchangeWriter:
    """The file of one exchange. Every method raises OSError."""

    path: Path
    redaction: Redaction
    size: int = 0  # bytes written
    _descriptor: int = -1
    _body: Body | None = None
    _waiting: deque[tuple[float, int]] = field(default_factory=deque)
    _taken: int = 0
    _left_out: int = 0

    def begin(self, sent: Sent) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | NO_LINK | BINARY
        self._descriptor = os.open(self.path, flags, 0o600)
        self._write(first_line(sent.began, content=self.redaction.content))
        request = {
            "method": sent.method,
            "target": self.redaction.target(sent.target),
            "headers": self.redaction.headers(sent.headers),
            **self._request_body(sent),
        }
        self._write(line(request=request))

    def _request_body(self, sent: Sent) -> dict[str, object]:
        if len(sent.body) > MAX_RECORDING_BODY_BYTES:
            return {"left_out": len(sent.body)}
        body = self.redaction.body(*_coding(sent.headers))
        return {**data_fields(body.feed(sent.body) + body.finish())}

    def head(self, ms: float, status: int, headers: Headers) -> None:
        self._body = self.redaction.body(*_coding(headers))
        shown = self.redaction.headers(headers)
        self._write(line(ms=ms, status=status, headers=shown))

    def piece(self, ms: float, data: bytes) -> None:
        """Takes a piece; it is written when what it says is known to be redacted."""
        if self._body is None:
            return
        if self._taken + len(data) > MAX_RECORDING_BODY_BYTES:
            self.leave_out(len(data))
            return
        self._taken += len(data)
        self._waiting.append((ms, len(data)))
        self._write_pieces(self._body.feed(data))

    def leave_out(self, size: int) -> None:
        self._left_out += size

    def end(self, ms: float, how: str, error: str) -> None:
        if self._body is not None:
            self._write_pieces(self._body.finish())
        if self._left_out:
            self._write(line(ms=ms, left_out=self._left_out))
        self._write(line(ms=ms, end=how, **({"error": error} if error else {})))
        self.close()

    def close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            with suppress(OSError):
                os.close(descriptor)

    def _write_pieces(self, data: bytes) -> None:
        """What is redacted now, cut where the network cut it."""
        at = 0
        while at < len(data):
            ms, size = self._waiting.popleft()
            now = data[at : at + size]
            at += len(now)
            fields: dict[str, object] = {"ms": ms, **data_fields(now)}
            if len(now) < size:
                self._waiting.appendleft((ms, size - len(now)))
                fields["more"] = True
            self._write(line(**fields))

    def _write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]
        self.size += len(data)


def _coding(headers: Headers) -> tuple[str, str]:
    """The media type and the content coding that headers name."""
    fields = {name.lower(): value for name, value in headers}
    return fields.get("content-type", ""), fields.get("content-encoding", "identity")
