"""Requests with files, as bytes."""

from __future__ import annotations

from collections.abc import Iterable

from tests.http_server import raw

BOUNDARY = "----a-boundary"


def part(name: str, value: str | bytes, *, file: str | None = None) -> bytes:
    """A field, or a file of that name."""
    told = f'Content-Disposition: form-data; name="{name}"'
    if file is not None:
        told += f'; filename="{file}"\r\nContent-Type: application/octet-stream'
    data = value.encode() if isinstance(value, str) else value
    return f"--{BOUNDARY}\r\n{told}\r\n\r\n".encode() + data + b"\r\n"


def picture(name: str, data: bytes) -> bytes:
    return part(name, data, file="picture.bin")


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


KIND = f"Content-Type: multipart/form-data; boundary={BOUNDARY}"


def post(path: str, *parts: bytes, headers: Iterable[str] = ()) -> bytes:
    return raw.post(path, form(*parts), KIND, *headers)


def chunked(path: str, body: bytes, kind: str = KIND, *, size: int = 1 << 20) -> bytes:
    """A request that does not say how large it is, as many form writers send it."""
    head = raw.head(f"POST {path}", "Host: 127.0.0.1", kind, "Transfer-Encoding: chunked")
    pieces = (body[at : at + size] for at in range(0, len(body), size))
    return head + b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
