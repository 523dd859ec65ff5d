"""What a connection makes of bytes that can be read in more ways than one, or of more requests than
one at a time. The front door's cases are elsewhere.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio
from tests.http_server import raw
from tests.http_server.doors import door, listening
from tests.http_server.raw import get, head, post

from codexapi_engine.simulator import Simulator

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(60)]

HOST = "Host: 127.0.0.1"
H2C = ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk"]
TELLING = head("POST /", HOST, "Transfer-Encoding: chunked")


class Mirror:
    """An application that tells what it was asked."""

    def __init__(self) -> None:
        self.may_answer = asyncio.Event()  # asked for /wait
        self.left = asyncio.Event()  # the client, before that

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        if scope["path"] == "/wait":
            leaving = asyncio.create_task(receive())
            answering = asyncio.create_task(self.may_answer.wait())
            await asyncio.wait({leaving, answering}, return_when=asyncio.FIRST_COMPLETED)
            answering.cancel()
            if leaving.done():
                self.left.set()
                return
            leaving.cancel()
        headers = [[name.decode(), value.decode("latin-1")] for name, value in scope["headers"]]
        told = [scope["path"], scope["query_string"].decode(), body.decode(), headers]
        await send({"type": "http.response.start", "status": 200, "headers": KIND})
        await send({"type": "http.response.body", "body": json.dumps(told).encode()})


KIND = [(b"content-type", b"application/json")]


@pytest.fixture
def mirror() -> Mirror:
    return Mirror()


@pytest_asyncio.fixture(loop_scope="module")
async def port(mirror: Mirror) -> AsyncIterator[int]:
    async with listening(mirror) as port:
        yield port


async def replies(port: int, data: bytes, count: int) -> list[raw.Reply]:
    async with raw.connect(port) as connection:
        await connection.send(data)
        return [await connection.reply() for _ in range(count)]


def told(reply: raw.Reply) -> Any:
    assert reply.status == 200, reply
    return json.loads(reply.body)


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\nHost: 127.0.0.1\n\n",
        get("/", "X: y\r\n folded"),
        get("/", "X: a\x01b"),
        get("/").replace(b"HTTP/1.1", b"HTTP/2.0"),
        get("/").replace(b"HTTP/1.1", b"HTTP/0.9"),
        get("/").replace(b"GET", b"FROB"),
        get("/").replace(b"GET", b"get"),
        head("CONNECT 127.0.0.1:80", HOST),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        head("POST /", HOST, "Content-Length: +1"),
        head("POST /", HOST, "Content-Length: 1", "Content-Length: 1"),
        head("POST /", HOST, "Transfer-Encoding: gzip, chunked"),
        head("POST /", HOST, "Transfer-Encoding: gzip", "Transfer-Encoding: chunked"),
        head("POST /", HOST, "Transfer-Encoding: chunked", "Content-Length: 1"),
        TELLING + b"2\n{}\n0\n\n",
        TELLING + b"2 \r\n{}\r\n0\r\n\r\n",
        TELLING + b"ffffffffffffffff1\r\n",
    ],
)
@pytest.mark.parametrize("apart", [False, True])
async def test_what_could_be_read_in_two_ways_is_not_read(
    port: int, data: bytes, apart: bool
) -> None:
    async with raw.connect(port) as connection:
        for piece in [bytes([byte]) for byte in data] if apart else [data]:
            await connection.send(piece)
            await asyncio.sleep(0)
        (await connection.reply()).refused(400, "invalid_http")
        assert await connection.ended()


async def test_trailers_are_no_headers(port: int) -> None:
    data = TELLING + b"2\r\nhi\r\n0\r\nAuthorization: Bearer x\r\n\r\n"
    ((_, _, body, headers),) = map(told, await replies(port, data, 1))
    assert body == "hi"
    assert [name for name, _ in headers] == ["host", "transfer-encoding"]


@pytest.mark.parametrize("start", [b"2\r\nhi\r\n0\r\nX: ", b"2;x="])
async def test_trailers_and_chunks_have_a_limit_too(port: int, start: bytes) -> None:
    async with raw.connect(port) as connection:
        await connection.send(TELLING + start)
        sending = asyncio.create_task(connection.send(b"y" * 1_000_000))
        (await connection.reply()).refused(431, "headers_too_large")
        sending.cancel()
        await asyncio.wait({sending})


async def test_spaces_behind_a_value_are_not_its_own(port: int) -> None:
    ((_, _, _, headers),) = map(told, await replies(port, get("/", "X:  a b \t "), 1))
    assert ["x", "a b"] in headers


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("/%41%2f?a=%20#b", "/A/", "a=%20#b"),
        ("http://evil.example/v1/models?x", "http://evil.example/v1/models", "x"),
        ("http://evil.example", "http://evil.example", ""),
        ("//evil.example/x", "//evil.example/x", ""),
        ("*", "*", ""),
    ],
)
async def test_path_is_what_was_sent(port: int, target: str, path: str, query: str) -> None:
    """An address of another host has no path for us."""
    (said,) = map(told, await replies(port, head(f"OPTIONS {target}", HOST), 1))
    assert said[:2] == [path, query]


@pytest.mark.parametrize(
    "request_of",
    [
        lambda: post("/a", b"hello", *H2C),
        lambda: (
            head("POST /a", HOST, *H2C, "Transfer-Encoding: chunked") + b"5\r\nhello\r\n0\r\n\r\n"
        ),
    ],
)
@pytest.mark.parametrize("apart", [False, True])
async def test_body_behind_an_offer_of_http_2_is_read(
    port: int, request_of: Callable[[], bytes], apart: bool
) -> None:
    """Java's own client makes this offer with every first request."""
    async with raw.connect(port) as connection:
        data = request_of() + get("/b", *H2C) + get("/c")
        for piece in [bytes([byte]) for byte in data] if apart else [data]:
            await connection.send(piece)
        said = [told(await connection.reply())[:3] for _ in range(3)]
    assert said == [["/a", "", "hello"], ["/b", "", ""], ["/c", "", ""]]


async def test_offer_by_a_client_that_wants_no_other_request_has_its_body_read(port: int) -> None:
    data = post("/a", b"hello", "Connection: close, Upgrade", "Upgrade: h2c")
    (reply,) = await replies(port, data, 1)
    assert told(reply)[2] == "hello"
    assert reply.headers["connection"] == "close"


async def test_requests_sent_at_once_are_answered_in_turn(port: int) -> None:
    data = b"".join(post(f"/{number}", b"x" * number) for number in range(50))
    said = [told(reply)[:3] for reply in await replies(port, data, 50)]
    assert said == [[f"/{number}", "", "x" * number] for number in range(50)]


async def test_what_is_wrong_behind_a_request_is_told_behind_its_answer(
    port: int, mirror: Mirror
) -> None:
    async with raw.connect(port) as connection:
        await connection.send(get("/wait") + get("/b") + b"nonsense\r\n\r\n")
        mirror.may_answer.set()
        assert [told(await connection.reply())[0] for _ in range(2)] == ["/wait", "/b"]
        (await connection.reply()).refused(400, "invalid_http")
        assert await connection.ended()


async def test_head_without_a_body_goes_before_what_is_wrong_behind_it(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head("HEAD /", HOST) + b"nonsense\r\n\r\n")
    told = await reader.read()
    writer.close()
    await writer.wait_closed()
    first, second = (told.index(b"HTTP/1.1 %d " % status) for status in (200, 400))
    assert first == 0 < second


async def test_too_many_requests_at_once_are_not_kept(port: int, mirror: Mirror) -> None:
    async with raw.connect(port) as connection:
        await connection.send(get("/wait") + get("/b") * 101)
        mirror.may_answer.set()
        for _ in range(102):
            told(await connection.reply())
        (await connection.reply()).refused(400, "invalid_http")
        assert await connection.ended()


async def test_client_that_leaves_is_missed_with_requests_still_waiting(
    port: int, mirror: Mirror
) -> None:
    async with raw.connect(port) as connection:
        await connection.send(get("/wait") + get("/b"))
        connection.leave()
        await mirror.left.wait()


async def test_http_1_0_gets_no_chunks_and_an_end(port: int) -> None:
    for line in ("", "Connection: keep-alive\r\n", "Expect: 100-continue\r\n"):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"POST / HTTP/1.0\r\nContent-Length: 2\r\n{line}\r\nhi".encode())
        first, _, body = (await reader.read()).partition(b"\r\n\r\n")
        assert first.startswith(b"HTTP/1.1 200 ")
        assert b"transfer-encoding" not in first
        assert json.loads(body)[2] == "hi"
        writer.close()
        await writer.wait_closed()


async def test_expected_100_continue_comes_before_the_body(port: int) -> None:
    async with raw.connect(port) as connection:
        await connection.send(head("POST /", HOST, "Expect: 100-continue", "Content-Length: 2"))
        assert (await connection.head()).status == 100
        await connection.send(b"hi")
        assert told(await connection.reply())[2] == "hi"


@pytest.mark.parametrize("scheme", ["http", "HTTP"])
@pytest.mark.parametrize(
    ("path", "status"), [("/v1/models?limit=1", 200), ("/healthz", 200), ("", 200), ("/v1/x", 404)]
)
async def test_an_address_of_ours_in_place_of_a_path_is_that_path(
    scheme: str, path: str, status: int
) -> None:
    """RFC 9112, 3.2.2: a server has to accept it."""
    async with door(Simulator()) as server:
        own = f"127.0.0.1:{server.port}"
        reply = await server.reply(raw.head(f"GET {scheme}://{own}{path}", f"Host: {own}"))
        assert reply.status == status
        assert b"no proxy" not in reply.body


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1:1", "localhost"])
async def test_an_address_of_another_than_the_host_header_names_is_none_of_ours(host: str) -> None:
    async with door(Simulator()) as server:
        own = f"127.0.0.1:{server.port}"
        reply = await server.reply(raw.head(f"GET http://{host}/healthz", f"Host: {own}"))
        assert reply.status == 404
        reply = await server.reply(raw.head(f"GET http://{own}/healthz", f"Host: {host}"))
        assert reply.status in (404, 421)
