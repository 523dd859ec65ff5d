"""Heads and bodies that never come to their end: what happens, and when."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio
import uvicorn
from starlette.types import Message
from tests.http_server import raw
from tests.http_server.doors import Answer, Door, door
from tests.http_server.raw import JSON_TYPE, get, head
from tests.lines import Line
from tests.virtual_time import hurried
from uvicorn.server import ServerState

from codexapi_engine.simulator import Simulator
from codexapi_http.middleware.guard import _Body
from codexapi_http.middleware.request_log import Entry
from codexapi_http.server.uvicorn_protocol import Connection, Deadlines

pytestmark = pytest.mark.timeout(60)
served = pytest.mark.asyncio(loop_scope="module")

CHAT = "/v1/chat/completions"
HASTY = Deadlines(head=0.2, body=0.2)
CLAIM = head(f"POST {CHAT}", "Host: 127.0.0.1", JSON_TYPE, "Content-Length: 1000")


class Silent:
    """A backend that never answers."""

    async def handle(self, *request: object) -> Answer:
        await asyncio.Event().wait()
        raise AssertionError


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hasty(shared_backend: Simulator) -> AsyncIterator[Door]:
    async with door(shared_backend, deadlines=HASTY) as opened:
        yield opened


@pytest.mark.parametrize(
    "data", [b"G", b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n", CLAIM[:-1]]
)
@served
async def test_head_that_stops_is_a_408(hasty: Door, backend: Simulator, data: bytes) -> None:
    async with raw.connect(hasty.port) as connection:
        await connection.send(data)
        (await connection.reply()).refused(408, "request_timeout")
        assert await connection.ended()
    assert not backend.requests


@served
@pytest.mark.parametrize("path", [CHAT, "/v1/responses", "/v1/images/edits"])
@pytest.mark.parametrize("rest", [b"", b'{"model": '])
async def test_body_that_stops_is_a_408(
    hasty: Door, backend: Simulator, path: str, rest: bytes
) -> None:
    async with raw.connect(hasty.port) as connection:
        await connection.send(CLAIM.replace(CHAT.encode(), path.encode()) + rest)
        reply = await connection.reply()
        reply.refused(408, "request_timeout")
        assert reply.headers["connection"] == "close"
        assert await connection.ended()
    assert not backend.requests


@served
async def test_form_that_stops_is_a_408(hasty: Door, backend: Simulator) -> None:
    kind = "Content-Type: multipart/form-data; boundary=x"
    request = head("POST /v1/images/edits", "Host: 127.0.0.1", kind, "Content-Length: 99")
    async with raw.connect(hasty.port) as connection:
        await connection.send(request + b"--x\r\n")
        (await connection.reply()).refused(408, "request_timeout")
        assert await connection.ended()
    assert not backend.requests


@served
async def test_body_that_nobody_reads_may_not_hold_the_connection(hasty: Door) -> None:
    async with raw.connect(hasty.port) as connection:
        await connection.send(CLAIM.replace(b"application/json", b"text/plain") + b"x")
        (await connection.reply()).refused(415, "unsupported_media_type")
        assert await connection.ended()


@served
async def test_body_that_an_endpoint_does_not_need_is_a_408_too(hasty: Door) -> None:
    """It is awaited beside the work, to see whether the client is still there."""
    async with door(Silent(), deadlines=HASTY) as server:
        async with raw.connect(server.port) as connection:
            await connection.send(head("GET /v1/usage", "Host: 127.0.0.1", "Content-Length: 5"))
            (await connection.reply()).refused(408, "request_timeout")
            assert await connection.ended()


async def refusing(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 415, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def connected(app: Any = refusing) -> tuple[Connection, Line]:
    config = uvicorn.Config(app, log_config=None, timeout_keep_alive=60)
    config.load()
    connection = Connection(config, ServerState(), {})
    wire = Line()
    connection.connection_made(wire)
    return connection, wire


def test_head_has_ten_seconds_from_its_first_byte_however_slowly_it_comes() -> None:
    async def story() -> None:
        connection, wire = connected()
        await asyncio.sleep(5)
        for byte in b"GET / HTTP/1.1\r\nX: yyyyyyyyyyyyyyyyyyyy"[:25]:
            connection.data_received(bytes([byte]))
            await asyncio.sleep(0.399)
        assert wire.written == b""
        await asyncio.sleep(0.4)
        assert wire.written.startswith(b"HTTP/1.1 408 ")
        assert b'"code":"request_timeout"' in wire.written
        assert not wire.closed  # it lingers: closed over unread bytes, the answer would be lost
        await asyncio.sleep(2.1)
        assert wire.closed

    hurried(story())


def test_connection_without_a_request_is_closed_after_a_minute_and_not_before() -> None:
    async def story() -> None:
        _, wire = connected()
        await asyncio.sleep(59.9)
        assert not wire.closed
        await asyncio.sleep(0.2)
        assert wire.closed
        assert wire.written == b""

    hurried(story())


def test_refused_body_gets_thirty_seconds_and_no_more_however_slowly_it_comes() -> None:
    async def story() -> None:
        connection, wire = connected()
        connection.data_received(CLAIM)
        await asyncio.sleep(0)
        assert wire.written.startswith(b"HTTP/1.1 415 ")
        for _ in range(29):
            await asyncio.sleep(1)
            connection.data_received(b"x")
        assert not wire.closed
        await asyncio.sleep(1.1)
        assert wire.closed

    hurried(story())


def test_behind_a_refused_body_the_next_request_has_a_minute_like_any_other() -> None:
    async def story() -> None:
        connection, wire = connected()
        connection.data_received(CLAIM)
        await asyncio.sleep(1)
        connection.data_received(b"x" * 1000)
        await asyncio.sleep(59.9)
        assert not wire.closed
        await asyncio.sleep(0.2)
        assert wire.closed

    hurried(story())


def test_what_is_wrong_with_a_refused_body_is_not_told_as_a_second_answer() -> None:
    async def story() -> None:
        connection, wire = connected()
        connection.data_received(head("POST /", "Host: a", "Transfer-Encoding: chunked"))
        await asyncio.sleep(0)
        connection.data_received(b"xyz\r\n")
        assert wire.written.count(b"HTTP/1.1 ") == 1
        assert wire.closed

    hurried(story())


def test_nothing_is_late_while_an_answer_is_made_nor_is_the_next_request() -> None:
    may_answer = asyncio.Event()

    async def thinking(scope: Any, receive: Any, send: Any) -> None:
        await may_answer.wait()
        await refusing(scope, receive, send)

    async def story() -> None:
        connection, wire = connected(thinking)
        connection.data_received(get("/") + b"GET / HT")
        await asyncio.sleep(600)
        assert (wire.written, wire.closed) == (b"", False)
        may_answer.set()
        await asyncio.sleep(9.9)  # and from here on, it is
        assert wire.written.startswith(b"HTTP/1.1 415 ")
        assert b"408" not in wire.written
        await asyncio.sleep(0.2)
        assert b"HTTP/1.1 408 " in wire.written

    hurried(story())


def test_whole_request_leaves_no_timer_behind() -> None:
    async def story() -> None:
        connection, wire = connected()
        connection.data_received(get("/"))
        await asyncio.sleep(0)
        assert wire.written.startswith(b"HTTP/1.1 415 ")
        await asyncio.sleep(59)  # the deadlines are over by far; the connection is kept
        assert not wire.closed
        connection.data_received(get("/"))
        await asyncio.sleep(0)
        assert wire.written.count(b"HTTP/1.1 415 ") == 2
        connection.connection_lost(None)

    hurried(story())


def test_connection_that_is_lost_leaves_no_timer_behind() -> None:
    async def story() -> None:
        problems: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, told: problems.append(told))
        for begun in (b"", b"GET"):
            connection, wire = connected()
            if begun:
                connection.data_received(begun)
            connection.connection_lost(ConnectionResetError())
            await asyncio.sleep(100)
            assert (wire.written, wire.closed, problems) == (b"", False, [])

    hurried(story())


@pytest.mark.parametrize(("size", "writes"), [(0, 1), (1000, 1), (1_000_000, 2)])
def test_small_answer_is_one_write(size: int, writes: int) -> None:
    """Each write is a system call, a packet, and a turn of the client's loop."""

    async def answering(scope: Any, receive: Any, send: Any) -> None:
        length = (b"content-length", str(size).encode())
        await send({"type": "http.response.start", "status": 200, "headers": [length]})
        await send({"type": "http.response.body", "body": b"x" * size})

    async def story() -> None:
        connection, wire = connected(answering)
        for count in (1, 2):
            connection.data_received(get("/"))
            await asyncio.sleep(0)
            assert wire.writes == count * writes
            assert wire.written.count(b"x" * size or b"HTTP") == count
        connection.connection_lost(None)

    hurried(story())


def test_head_does_not_wait_for_a_body_that_does_not_come() -> None:
    may_go_on = asyncio.Event()

    async def pausing(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await may_go_on.wait()
        await send({"type": "http.response.body", "body": b"x", "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def story() -> None:
        connection, wire = connected(pausing)
        connection.data_received(get("/"))
        await asyncio.sleep(1)
        assert wire.written.endswith(b"\r\n\r\n")
        may_go_on.set()
        await asyncio.sleep(0)
        assert wire.written.endswith(b"\r\n\r\n1\r\nx\r\n0\r\n\r\n")
        connection.connection_lost(None)

    hurried(story())


def stopped(seconds: float, then: Callable[[], None]) -> None:
    """The process stops, as by SIGSTOP; what came meanwhile is read after the timers have run."""
    loop: Any = asyncio.get_running_loop()
    loop.now += seconds
    loop.call_soon(loop.call_soon, then)  # behind the timers


@pytest.mark.parametrize("begun", [b"", b"GET / HTTP/1.1\r\n"])
def test_a_stopped_process_reads_a_head_before_it_is_late(begun: bytes) -> None:
    async def story() -> None:
        connection, wire = connected()
        rest = get("/")[len(begun) :] if not begun else b"Host: 127.0.0.1\r\n\r\n"
        if begun:
            connection.data_received(begun)
        loop = asyncio.get_running_loop()
        loop.call_later(1, stopped, 100.0, lambda: connection.data_received(rest))
        await asyncio.sleep(101.5)
        assert wire.written.startswith(b"HTTP/1.1 415")
        assert not wire.closed
        connection.connection_lost(None)

    hurried(story())


@pytest.mark.parametrize("begun", [b"", b"G"])
def test_a_client_that_is_silent_is_late_though_the_process_was_stopped(begun: bytes) -> None:
    async def story() -> None:
        connection, wire = connected()
        if begun:
            connection.data_received(begun)
        asyncio.get_running_loop().call_later(1, stopped, 100.0, lambda: None)
        await asyncio.sleep(120)
        assert wire.closed
        assert wire.written.startswith(b"HTTP/1.1 408" if begun else b"")

    hurried(story())


def test_a_stopped_process_reads_a_body_before_it_is_late() -> None:
    async def story() -> Message:
        loop, coming = asyncio.get_running_loop(), asyncio.Queue[Message]()
        piece: Message = {"type": "http.request", "body": b"x", "more_body": False}
        body = _Body(coming.get, 30, Entry(), None)
        loop.call_later(1, stopped, 100.0, lambda: coming.put_nowait(piece))
        return await body.receive()

    assert hurried(story())["body"] == b"x"
