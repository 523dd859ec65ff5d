"""What of a request's head llhttp leaves open: its path, and what parsers may read in two ways."""

from __future__ import annotations

from collections.abc import Sequence

from httptools import HttpParserError


def path_of(target: bytes, headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    """A target without our own address, as proxies are asked (RFC 9112, 3.2.2). That of another
    host than the one that `Host` names, which the guard looks at, stays as it is."""
    if target[:7].lower() != b"http://":
        return target
    authority, slash, rest = target[7:].partition(b"/")
    hosts = [value.lower() for name, value in headers if name == b"host"]
    return b"/" + rest if hosts == [authority.lower()] and (slash or authority) else target


def check_head(version: str, method: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    """Raises HttpParserError for what llhttp accepts, and other parsers may read in another way."""
    names = [name for name, _ in headers]
    if version not in ("1.0", "1.1") or method in (b"CONNECT", b"SOURCE"):
        raise HttpParserError("not HTTP/1.1, or not for a server like this")
    if names.count(b"host") > 1 or (version == "1.1" and b"host" not in names):
        raise HttpParserError("not one Host")
    if b"transfer-encoding" in names:
        encodings = [value for name, value in headers if name == b"transfer-encoding"]
        if [value.strip().lower() for value in encodings] != [b"chunked"]:
            raise HttpParserError("a Transfer-Encoding that is not chunked")
