"""The 71 cases of the front door: what strangers, browsers and broken clients send.

Each is sent as raw bytes on a connection of its own, is refused in OpenAI's form, and costs nothing
at the backend. `README.md` beside this file lists them; `python -m tests.http_server.test_front_door`
writes it anew.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from itertools import count, groupby
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from tests.http_server import raw
from tests.http_server.doors import Door, chat, door
from tests.http_server.raw import JSON_TYPE, Reply, get, head, post

from codexapi_engine.bounds import MAX_BODY_BYTES, MIB
from codexapi_engine.simulator import Simulator
from codexapi_http.server.uvicorn_protocol import Deadlines

pytestmark = pytest.mark.timeout(60)
served = pytest.mark.asyncio(loop_scope="module")

CHAT = "/v1/chat/completions"
IMAGES = "/v1/images/generations"
HOST = "Host: 127.0.0.1"
COUNTS = {"browser": 16, "body": 28, "framing": 14, "method and path": 8, "slow": 5}
PAGE = Path(__file__).with_name("README.md")
PAGE_HEAD = """\
# The front door

The 71 cases of `test_front_door.py`, written by `python -m tests.http_server.test_front_door`. Each
is refused as the table says, in OpenAI's form, and no request of it reaches the backend.
"""


@dataclass(frozen=True)
class Case:
    kind: str
    name: str
    request: bytes | Callable[[int], bytes]  # of the server's port
    status: int
    code: str | None
    param: str | None = None
    closes: bool = False  # the connection, since no other request could follow

    def bytes_for(self, port: int) -> bytes:
        return self.request if isinstance(self.request, bytes) else self.request(port)


def with_host(host: str) -> Callable[[int], bytes]:
    return lambda port: post(CHAT, chat(), host=host.replace("PORT", str(port)))


def with_(*lines: str) -> Callable[[int], bytes]:
    return lambda port: post(
        CHAT, chat(), *(line.replace("PORT", str(port)) for line in lines), host=f"127.0.0.1:{port}"
    )


def typed(kind: str) -> bytes:
    return post(CHAT, chat(), f"Content-Type: {kind}")


def said(body: bytes) -> bytes:
    return post(CHAT, body)


def extra(value: bytes) -> bytes:
    """A sound request, but for the value of one field."""
    return said(b'{"model":"x","messages":[{"role":"user","content":"hi"}],"seed":' + value + b"}")


def changed(**fields: Any) -> bytes:
    return post(CHAT, chat() | fields)


def claiming(*lines: str, body: bytes = b"") -> bytes:
    return head(f"POST {CHAT}", HOST, JSON_TYPE, *lines) + body


BROWSER = [
    ("a foreign Host", with_host("evil.example"), 421, "host_not_allowed"),
    ("a foreign Host with our port", with_host("evil.example:PORT"), 421, "host_not_allowed"),
    ("a foreign Host that begins like ours", with_host("127.0.0.1.evil.example"), 421,
     "host_not_allowed"),
    ("a Host whose port is none", with_host("127.0.0.1:evil"), 421, "host_not_allowed"),
    ("half of an IPv6 Host", with_host("[::1"), 421, "host_not_allowed"),
    ("an empty Host", with_host(""), 421, "host_not_allowed"),
    ("the Host 0.0.0.0", with_host("0.0.0.0:PORT"), 421, "host_not_allowed"),
    ("a foreign Origin", with_("Origin: https://evil.example"), 403, "origin_not_allowed"),
    ("the Origin null", with_("Origin: null"), 403, "origin_not_allowed"),
    ("an Origin on another port of this machine", with_("Origin: http://127.0.0.1:1"), 403,
     "origin_not_allowed"),
    ("Sec-Fetch-Site: cross-site", with_("Sec-Fetch-Site: cross-site"), 403, "cross_site"),
    ("Sec-Fetch-Site: same-site", with_("Sec-Fetch-Site: same-site"), 403, "cross_site"),
    ("a drive-by POST of text/plain", typed("text/plain"), 415, "unsupported_media_type"),
    ("a drive-by POST of a form", typed("application/x-www-form-urlencoded"), 415,
     "unsupported_media_type"),
    ("a drive-by POST of a form with files", typed("multipart/form-data; boundary=x"), 415,
     "unsupported_media_type"),
    ("a preflight", head(f"OPTIONS {CHAT}", HOST, "Origin: https://evil.example",
     "Access-Control-Request-Method: POST"), 403, "origin_not_allowed"),
]  # fmt: skip

BODY = [
    ("no media type", head(f"POST {CHAT}", HOST, "Content-Length: 2") + b"{}", 415,
     "unsupported_media_type"),
    ("a media type that is nearly JSON's", typed("application/jsonp"), 415,
     "unsupported_media_type"),
    ("a body in an unknown coding", post(CHAT, b"{}", "Content-Encoding: br"), 415,
     "unsupported_media_type"),
    ("nothing", said(b""), 400, "invalid_json"),
    ("half an object", said(b'{"model": '), 400, "invalid_json"),
    ("an object and more", said(b"{} {}"), 400, "invalid_json"),
    ("text that is not UTF-8", said(b'{"model": "\xff"}'), 400, "invalid_json"),
    ("UTF-16", said('{"model": "x"}'.encode("utf-16")), 400, "invalid_json"),
    ("an array", said(b"[]"), 400, "invalid_json"),
    ("null", said(b"null"), 400, "invalid_json"),
    ("NaN", extra(b"NaN"), 400, "invalid_json"),
    ("-Infinity", extra(b"-Infinity"), 400, "invalid_json"),
    ("1e400", extra(b"1e400"), 400, "invalid_json"),
    ("an integer of 5,000 digits", extra(b"9" * 5000), 400, "invalid_json"),
    ("an integer beyond 64 bits", extra(b"18446744073709551617"), 400, "invalid_json"),
    ("nesting 101 deep", extra(b"[" * 100 + b"]" * 100), 400, "invalid_json"),
    ("nesting 100,000 deep", extra(b"[" * 100_000), 400, "invalid_json"),
    ("a claim of four times the limit", claiming(f"Content-Length: {MAX_BODY_BYTES * 4}"), 413, "request_too_large"),
    ("a MiB over the limit in chunks", claiming("Transfer-Encoding: chunked",
     body=(b"%x\r\n" % MIB + b" " * MIB + b"\r\n") * (MAX_BODY_BYTES // MIB + 1)), 413, "request_too_large"),
    ("a million choices", changed(n=1_000_000), 400, None, "n"),
    ("a thousand pictures", post(IMAGES, {"prompt": "a fox", "n": 1000}), 400, None, "n"),
    ("no messages", changed(messages=None), 400, "invalid_type", "messages"),
    ("messages that are a string", changed(messages="hi"), 400, "invalid_type", "messages"),
    ("a message that is a number", changed(messages=[1]), 400, "invalid_type", "messages[0]"),
    ("content that is a number", changed(messages=[{"role": "user", "content": 5}]), 400,
     "invalid_type", "messages[0].content"),
    ("a role that is none", changed(messages=[{"role": "king", "content": "hi"}]), 400,
     "invalid_value", "messages[0].role"),
    ("a model that is a number", changed(model=1), 400, "invalid_type", "model"),
    ("stream as a string", changed(stream="yes"), 400, "invalid_type", "stream"),
]  # fmt: skip

FRAMING = [
    ("no Host", head("GET /v1/models"), 400, "invalid_http"),
    ("two Hosts", head("GET /v1/models", HOST, "Host: evil.example"), 400, "invalid_http"),
    ("a space before the colon", get("/v1/models", "X : y"), 400, "invalid_http"),
    ("a negative Content-Length", claiming("Content-Length: -1"), 400, "invalid_http"),
    ("a Content-Length of two numbers", claiming("Content-Length: 1, 2"), 400, "invalid_http"),
    ("two Content-Lengths", claiming("Content-Length: 1", "Content-Length: 2"), 400,
     "invalid_http"),
    ("both Content-Length and Transfer-Encoding", claiming("Content-Length: 2",
     "Transfer-Encoding: chunked", body=b"2\r\n{}\r\n0\r\n\r\n"), 400, "invalid_http"),
    ("a Transfer-Encoding that is not chunked", claiming("Transfer-Encoding: gzip"), 400,
     "invalid_http"),
    ("a chunk without a size", claiming("Transfer-Encoding: chunked", body=b"xyz\r\n"), 400,
     "invalid_http"),
    ("a NUL in a header", get("/v1/models", "X-Y: a\x00b"), 400, "invalid_http"),
    ("the beginning of TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400,
     "invalid_http"),
    ("a head of 33 kB in one read", get("/v1/models", "X: " + "y" * 33_000), 431,
     "headers_too_large"),
    ("two Authorizations", with_("Authorization: Bearer a", "Authorization: Bearer b"), 400,
     "duplicate_header"),
    ("two Content-Types", with_("Content-Type: application/json", "Content-Type: text/plain"), 400,
     "duplicate_header"),
]  # fmt: skip
CLOSES = ("framing", "slow")
STAYS_OPEN = ("a head of 33 kB in one read",)
"""Of those, what leaves no doubt where the next request begins."""

METHOD_AND_PATH = [
    ("an unknown path", get("/v1/nothing"), 404, "not_found"),
    ("a path without /v1", post("/chat/completions", chat()), 404, "not_found"),
    ("an address in place of a path", get("http://evil.example/v1/models"), 404, "not_found"),
    ("the way out of the pictures' folder", get("/v1/files/images/..%2f..%2fauth.json"), 404,
     "not_found"),
    ("DELETE", head(f"DELETE {IMAGES}", HOST), 405, "method_not_allowed"),
    ("OPTIONS", head(f"OPTIONS {CHAT}", HOST), 405, "method_not_allowed"),
    ("TRACE", head(f"TRACE {CHAT}", HOST), 405, "method_not_allowed"),
    ("a WebSocket", get("/v1/models", "Connection: Upgrade", "Upgrade: websocket",
     "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAA"), 426, "upgrade_not_supported"),
]  # fmt: skip

SLOW = [
    ("a head that stops after its first byte", b"P", 408, "request_timeout"),
    ("a head that lacks its last line", get("/v1/models")[:-2], 408, "request_timeout"),
    ("a body that does not come", claiming("Content-Length: 9"), 408, "request_timeout"),
    ("half a body", post(CHAT, chat())[:-1], 408, "request_timeout"),
    ("half a chunk", claiming("Transfer-Encoding: chunked", body=b"9\r\n{"), 408,
     "request_timeout"),
]  # fmt: skip


def _cases() -> list[Case]:
    tables: dict[str, list[Any]] = {
        "browser": BROWSER,
        "body": BODY,
        "framing": FRAMING,
        "method and path": METHOD_AND_PATH,
        "slow": SLOW,
    }
    return [
        replace(Case(kind, *row), closes=kind in CLOSES and row[0] not in STAYS_OPEN)
        for kind, rows in tables.items()
        for row in rows
    ]


CASES = _cases()


def page() -> str:
    """The list of all cases, as the README has it."""
    lines = [PAGE_HEAD, "| # | case | status | code |", "|---|---|---|---|"]
    numbers = count(1)
    for kind, cases in groupby(CASES, key=lambda case: case.kind):
        lines.append(f"| | **{kind}** ({COUNTS[kind]}) | | |")
        for case in cases:
            code = f"`{case.code}`" if case.code else f"names `{case.param}`"
            lines.append(f"| {next(numbers)} | {case.name} | {case.status} | {code} |")
    return "\n".join([*lines, ""])


def test_there_are_71_of_them_and_each_has_a_name() -> None:
    assert Counter(case.kind for case in CASES) == COUNTS
    assert sum(COUNTS.values()) == 71
    assert len({case.name for case in CASES}) == 71


def test_the_readme_lists_them() -> None:
    assert PAGE.read_text("utf-8") == page()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hasty(shared_backend: Simulator) -> AsyncIterator[Door]:
    async with door(shared_backend, deadlines=Deadlines(head=0.1, body=0.1)) as opened:
        yield opened


@served
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_it_is_refused_and_costs_nothing(
    server: Door, hasty: Door, backend: Simulator, case: Case
) -> None:
    asked = hasty if case.kind == "slow" else server
    async with raw.connect(asked.port) as connection:
        sending = asyncio.create_task(connection.send(case.bytes_for(asked.port)))
        reply = await connection.reply()
        sending.cancel()  # nobody reads on
        await asyncio.wait({sending})
        assert refused(reply) == (case.status, case.code, case.param)
        assert not any(name.startswith("access-control") for name in reply.headers)
        if case.closes:
            assert reply.headers["connection"] == "close"
            assert await connection.ended()
    assert not backend.requests


def refused(reply: Reply) -> tuple[int, str | None, str | None]:
    error = reply.error
    assert error["type"] == "invalid_request_error"
    assert reply.headers["x-request-id"].startswith("req_")
    # Two of the values have codes of their own dialects, which their own tests know.
    return reply.status, None if error["param"] == "n" else error["code"], error["param"]


@served
async def test_a_sound_request_comes_in(server: Door, hasty: Door, backend: Simulator) -> None:
    for asked in (server, hasty):
        assert (await asked.reply(post(CHAT, chat()))).status == 200
    assert len(backend.requests) == 2


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
