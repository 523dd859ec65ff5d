"""Connections to the backend, as the implementation of a protocol that they are."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import random
import ssl
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.certificates import Authority
from tests.faulty import FIN, HOLD, RST, FaultyBackend, Script, chunk, endless, head, stream, whole
from tests.lines import Lines, cut, no_tls
from tests.ports import full_port
from tests.signers import Unsigned
from tests.virtual_time import hurried

from codexapi_engine.bounds import (
    CONNECTION_LIFETIME,
    MAX_IDLE_CONNECTIONS,
    MAX_RESPONSE_HEAD_BYTES,
)
from codexapi_engine.http import connection as road
from codexapi_engine.http import failures
from codexapi_engine.http.client import Transport
from codexapi_engine.http.connection import READ_BUFFER
from codexapi_engine.http.messages import HttpRequest, Timeouts, Url
from codexapi_engine.http.network import Network
from codexapi_engine.settings import Settings

OK = b"HTTP/1.1 200 OK\r\n"
PATIENT = Timeouts(60.0, 60.0, 60.0)


@asynccontextmanager
async def opened(tls: Callable[[], ssl.SSLContext] = no_tls) -> AsyncIterator[Network]:
    network = Network(tls)
    try:
        yield network
    finally:
        await network.aclose()
        assert not network._open


def request(url: str, method: str = "GET", content: bytes = b"", **timeout: float) -> HttpRequest:
    place = Url.parse(url)
    headers = {"host": place.netloc}
    if content:
        headers["content-length"] = str(len(content))
    return HttpRequest(method, place, headers, content, PATIENT._replace(**timeout))


async def ask(network: Network, asked: HttpRequest) -> tuple[int, bytes]:
    response = await network.send(asked)
    try:
        return response.status, b"".join([piece async for piece in response])
    finally:
        await response.aclose()


async def until(reached: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not reached():  # noqa: ASYNC110  (nobody tells)
            await asyncio.sleep(0)


# Framing, without a network: bytes in, an answer out.


@dataclass
class Outcome:
    """What comes of an answer's bytes."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes
    error: type[Exception] | None
    kept: bool  # the connection waits for another request


async def framed(pieces: list[bytes], *, method: str = "GET", end: bool = False) -> Outcome:
    network, answer = await on_a_line(method)
    line, connection = network.line, network.connection
    assert connection is not None
    network.receive(*pieces)
    if end and not line.aborted:
        connection.eof_received()
    if end or line.aborted:
        connection.connection_lost(None)
    body, error = b"", None
    try:
        if end or line.aborted or answer.complete:
            await answer.begin()
            while True:
                body += await answer.__anext__()
    except StopAsyncIteration:
        pass
    except failures.HttpFailure as caught:
        error = type(caught)
    kept = connection in network._idle.get(connection.address, [])
    assert kept != (line.aborted or end or not answer.complete)
    return Outcome(answer.status, list(answer.lines), body, error, kept)


async def on_a_line(
    method: str = "GET", silence: float | None = None
) -> tuple[Lines, road.ResponseParser]:
    """What answers a request that was sent."""
    network, asked = Lines(), request("http://127.0.0.1/", method)
    connection = network._idle_connection(asked.url.server)
    answer = road.ResponseParser(connection, asked, silence)
    await connection.send(answer, b"", b"", None)
    return network, answer


CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
GOOD: dict[str, tuple[bytes, int, bytes, bool]] = {
    # what comes, status, body, whether the connection is kept
    "length": (OK + b"content-length: 5\r\n\r\nhello", 200, b"hello", True),
    "nothing": (OK + b"content-length: 0\r\n\r\n", 200, b"", True),
    "chunks": (CHUNKED + b"5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n", 200, b"hello!", True),
    "chunks in capitals": (CHUNKED + b"A\r\n0123456789\r\n0\r\n\r\n", 200, b"0123456789", True),
    "chunk extensions": (CHUNKED + b'2;a=b;c="d"\r\nhi\r\n0;e\r\n\r\n', 200, b"hi", True),
    "trailers": (CHUNKED + b"2\r\nhi\r\n0\r\nx-sum: 1\r\ny: 2\r\n\r\n", 200, b"hi", True),
    "no chunk": (CHUNKED + b"0\r\n\r\n", 200, b"", True),
    "204": (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", True),
    "304": (b"HTTP/1.1 304 Not Modified\r\netag: 1\r\n\r\n", 304, b"", True),
    "304 with a length": (b"HTTP/1.1 304 X\r\ncontent-length: 9\r\n\r\n", 304, b"", False),
    "interim": (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nlink: x\r\n\r\n" + OK
                + b"content-length: 2\r\n\r\nhi", 200, b"hi", True),
    "close": (OK + b"connection: close\r\ncontent-length: 2\r\n\r\nhi", 200, b"hi", False),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nhi", 200, b"hi", False),
    "error": (b"HTTP/1.1 500 No\r\ncontent-length: 2\r\n\r\nno", 500, b"no", True),
}  # fmt: skip


@pytest.mark.parametrize("size", [1, 2, 7, 10_000])
@pytest.mark.parametrize("name", GOOD)
async def test_an_answer_is_the_same_in_pieces_of_any_size(name: str, size: int) -> None:
    data, status, body, kept = GOOD[name]
    outcome = await framed(cut(data, size))
    assert (outcome.status, outcome.body, outcome.error) == (status, body, None)
    assert outcome.kept == kept
    assert not any(name in (b"x-sum", b"link") for name, _ in outcome.headers)


@pytest.mark.parametrize("size", [1, 10_000])
async def test_a_body_without_a_length_lasts_until_the_connection_ends(size: int) -> None:
    outcome = await framed(cut(OK + b"a: b\r\n\r\nall of it", size), end=True)
    assert (outcome.body, outcome.error, outcome.kept) == (b"all of it", None, False)


@pytest.mark.parametrize(
    "data", [OK + b"content-length: 5\r\n\r\n", CHUNKED, OK + b"content-length: 0\r\n\r\n"]
)
async def test_an_answer_to_head_has_no_body(data: bytes) -> None:
    outcome = await framed(cut(data, 1), method="HEAD")
    assert (outcome.status, outcome.body, outcome.error) == (200, b"", None)


async def test_an_answer_to_head_may_tell_nothing_of_a_body() -> None:
    outcome = await framed([OK + b"\r\n"], method="HEAD", end=True)
    assert (outcome.status, outcome.body, outcome.error) == (200, b"", None)


async def test_headers_are_as_they_came_and_as_a_dict() -> None:
    script: Script = [
        OK + b"Set-Cookie: a=1\r\nset-cookie: b=2\r\nX: \xe9\r\ncontent-length: 0\r\n\r\n"
    ]
    async with FaultyBackend(script) as backend, opened() as network:
        response = await network.send(request(backend.url))
    told = [
        (b"Set-Cookie", b"a=1"),
        (b"set-cookie", b"b=2"),
        (b"X", b"\xe9"),
        (b"content-length", b"0"),
    ]
    assert response.headers == {"set-cookie": "a=1, b=2", "x": "\ufffd", "content-length": "0"}
    assert response.headers is response.headers
    assert response.lines == told
    assert response.complete


BAD = {
    "no HTTP": b"\x00\xff\r\n\r\n",
    "another protocol": b"SSH-2.0-OpenSSH_9.9\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a status of letters": b"HTTP/1.1 abc OK\r\n\r\n",
    "a chunk size of letters": CHUNKED + b"zz\r\n",
    "a chunk too long": CHUNKED + b"2\r\nhiho\r\n",
    "a chunk size beyond 64 bits": CHUNKED + b"f" * 17 + b"\r\n",
    "a negative length": OK + b"content-length: -1\r\n\r\n",
    "two lengths": OK + b"content-length: 1\r\ncontent-length: 2\r\n\r\nhi",
    "a length and chunks": OK + b"content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
    "a header without a name": OK + b": b\r\n\r\n",
    "a NUL in a header": OK + b"a: \0b\r\n\r\n",
    "a folded header": OK + b"a: b\r\n c\r\n\r\n",
    "another protocol, unasked": b"HTTP/1.1 101 X\r\nconnection: upgrade\r\nupgrade: x\r\n\r\nhi",
    "a long header": OK + b"a: " + b"x" * MAX_RESPONSE_HEAD_BYTES + b"\r\n\r\n",
    "many headers": OK + b"a: b\r\n" * MAX_RESPONSE_HEAD_BYTES,
    "a long reason": b"HTTP/1.1 200 " + b"x" * MAX_RESPONSE_HEAD_BYTES + b"\r\n",
    "interim without end": b"HTTP/1.1 100 Continue\r\n\r\n" * 4000,
    "trailers without end": CHUNKED + b"0\r\n" + b"a: b\r\n" * MAX_RESPONSE_HEAD_BYTES,
    "a chunk extension without end": CHUNKED + b"1;" + b"x" * MAX_RESPONSE_HEAD_BYTES * 2,
}


@pytest.mark.parametrize("size", [1, 4096, 1 << 30])
@pytest.mark.parametrize("name", BAD)
async def test_what_is_not_http_is_refused_and_its_connection_closed(name: str, size: int) -> None:
    outcome = await framed(cut(BAD[name], size))
    if outcome.error is None:  # folded headers, and such, may be understood
        assert name == "a folded header"
    else:
        assert outcome.error is failures.InvalidResponse
    assert not outcome.kept


@pytest.mark.parametrize("name", [name for name in GOOD if len(GOOD[name][2]) > 1])
async def test_an_answer_that_ends_too_soon_is_no_success(name: str) -> None:
    data = GOOD[name][0]
    for length in range(len(data)):
        outcome = await framed([data[:length]] if length else [], end=True)
        assert outcome.error is failures.InvalidResponse, data[:length]


@pytest.mark.parametrize("name", [name for name, (*_, kept) in GOOD.items() if kept])
@pytest.mark.parametrize("more", [b"x", OK + b"content-length: 2\r\n\r\nhi", b"\0" * 100_000])
async def test_what_nobody_asked_for_is_not_taken_for_an_answer(name: str, more: bytes) -> None:
    data, _, body, _ = GOOD[name]
    outcome = await framed([data + more])
    assert (outcome.body, outcome.error, outcome.kept) == (body, None, False)
    later = await framed([data, more])
    assert (later.body, later.error) == (body, None)


@pytest.mark.parametrize("more", [b"x", b"0\r\n\r\n", b"\0"])
async def test_who_waits_is_woken_by_an_answer_with_something_behind_it(more: bytes) -> None:
    data, _, body, _ = GOOD["chunks"]
    network, answer = await on_a_line()
    waiting = asyncio.ensure_future(answer.begin())
    await asyncio.sleep(0)
    network.receive(data + more)
    await asyncio.wait_for(waiting, 10)
    assert await rest(answer, "pieces") == body


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(sorted(GOOD)), at=st.integers(0), put=st.binary(max_size=4),
    lost=st.integers(0, 3), cuts=st.integers(1, 40), end=st.booleans(),
)  # fmt: skip
def test_a_damaged_answer_gives_an_answer_or_a_failure(
    name: str, at: int, put: bytes, lost: int, cuts: int, end: bool
) -> None:
    data = GOOD[name][0]
    at %= len(data)
    damaged = data[:at] + put + data[at + lost :]
    outcome = asyncio.run(framed(cut(damaged, cuts), end=end))
    assert outcome.error is None or issubclass(outcome.error, failures.HttpFailure)


@given(data=st.binary(max_size=200), end=st.booleans())
def test_any_bytes_give_an_answer_or_a_failure(data: bytes, end: bool) -> None:
    for start in (b"", OK, CHUNKED, CHUNKED + b"5\r\n"):
        outcome = asyncio.run(framed([start + data], end=end))
        assert outcome.error is None or issubclass(outcome.error, failures.HttpFailure)


# What is sent


@pytest.mark.parametrize(
    ("name", "value"), [("a", "b\r\nc: d"), ("a", "b\nc"), ("a", "b\r"), ("a", "\0"), ("a\r\nb", "c")]
)  # fmt: skip
async def test_a_header_with_a_line_end_is_never_sent(name: str, value: str) -> None:
    async with FaultyBackend() as backend, opened() as network:
        asked = request(backend.url)
        asked = asked._replace(headers={**asked.headers, name: value})
        with pytest.raises(failures.UnsupportedRequest):
            await network.send(asked)
        assert backend.opened == 0


async def test_a_request_says_what_it_was_given() -> None:
    async with FaultyBackend([whole(200)]) as backend, opened() as network:
        asked = request(f"{backend.url}/a%20b?c=d", "POST", b"x" * 1_000_000)
        asked = asked._replace(headers={**asked.headers, "x-y": "zé"})
        assert await ask(network, asked) == (200, b"")
    (sent,) = backend.requests
    assert (sent.method, sent.target) == ("POST", "/a%20b?c=d")
    assert len(sent.body) == 1_000_000
    assert sent.headers["x-y"]


def test_only_http_is_spoken() -> None:
    with pytest.raises(failures.UnsupportedRequest, match="ftp"):
        Url.parse("ftp://127.0.0.1/")


Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def talking(talk: Talk, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A server of its own kind, and its port."""
    tasks: set[asyncio.Task[Any]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await talk(reader, writer)
        writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_refusal_is_heard_while_the_request_is_still_being_sent() -> None:
    gone = asyncio.Event()

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(whole(413, b"too much"))
        reader._limit = 1 << 30  # type: ignore[attr-defined]
        try:
            await reader.read()
        finally:
            gone.set()

    async with talking(refuse) as port, opened() as network:
        asked = request(f"http://127.0.0.1:{port}/", "POST", b"x" * 64_000_000)
        assert await ask(network, asked) == (413, b"too much")
        assert not network._idle, "a connection in the middle of a request"
        await gone.wait()


async def test_an_interim_answer_does_not_end_the_sending() -> None:
    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = await reader.readexactly(8_000_000)
        writer.write(whole(200, str(len(body)).encode()))
        await reader.read()

    async with talking(count) as port, opened() as network:
        asked = request(f"http://127.0.0.1:{port}/", "POST", b"x" * 8_000_000)
        assert await ask(network, asked) == (200, b"8000000")


# Silence, and readers that take their time


@pytest.mark.parametrize("script", [[HOLD], [head()[:20], HOLD], [head(), chunk(b"hi"), HOLD]])
async def test_silence_is_told(script: Script) -> None:
    async with FaultyBackend(script) as backend, opened() as network:
        with pytest.raises(failures.ReadTimeout) as caught:
            await ask(network, request(backend.url, read=0.1))
        assert str(caught.value.url) == f"{backend.url}/"
        await backend.until(lambda: not backend.open)


async def test_a_shorter_patience_is_kept_after_a_longer_one() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.Event().wait()

    async with talking(silent) as port, opened() as network:
        asked = request(f"http://127.0.0.1:{port}/", "POST", b"x" * 64_000_000, write=0.1)
        with pytest.raises(failures.WriteTimeout):
            await network.send(asked)


async def test_no_connection_in_time_is_told() -> None:
    with full_port() as port:
        async with opened() as network:
            asked = request(f"http://127.0.0.1:{port}/", connect=0.05)
            with pytest.raises(failures.ConnectTimeout):
                await network.send(asked)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/", "http://host.invalid/"])
async def test_no_connection_at_all_is_told(url: str) -> None:
    async with opened() as network:
        with pytest.raises(failures.ConnectError) as caught:
            await network.send(request(url))
        assert str(caught.value.url) == url


async def test_a_reader_that_takes_its_time_stops_the_reading() -> None:
    async with FaultyBackend([head(), endless(chunk(b"x" * 60_000))]) as backend:
        async with opened() as network:
            response = await network.send(request(backend.url))
            (connection,) = network._open
            transport = connection._transport
            await until(lambda: not transport.is_reading())
            assert READ_BUFFER < response._unread < READ_BUFFER + (1 << 20)
            held = sum(map(len, response._pieces))
            assert len(await response.__anext__()) == held
            assert transport.is_reading()
            await response.aclose()
            await backend.until(lambda: not backend.open)


async def test_who_reads_late_stops_only_the_reading_of_his_own_answer() -> None:
    network, first = await on_a_line()
    connection, line = network.connection, network.line
    assert connection is not None
    network.receive(CHUNKED, chunk(b"x" * READ_BUFFER))
    assert not line.reading
    network.receive(b"0\r\n\r\n")
    assert line.reading, "for what is asked next"
    second = road.ResponseParser(connection, request("http://127.0.0.1/"), None)
    await connection.send(second, b"", b"", None)
    network.receive(CHUNKED, chunk(b"y" * READ_BUFFER))
    assert not line.reading
    assert await rest(first, "pieces") == b"x" * READ_BUFFER
    assert not line.reading
    assert await anext(second) == b"y" * READ_BUFFER
    assert line.reading


async def test_an_answer_that_was_read_is_not_left_to_the_garbage_collector() -> None:
    network, answer = await on_a_line()
    network.receive(HELLO)
    assert await rest(answer, "pieces") == b"hello"
    gone = weakref.ref(answer)
    gc.disable()
    try:
        del answer
        assert gone() is None
    finally:
        gc.enable()


# Followed: pieces are taken within the network's own call


class Takes:
    """Takes pieces; at the `last` it has enough, or raises `error`."""

    def __init__(self, last: int = 0, error: BaseException | None = None) -> None:
        self.pieces: list[bytes] = []
        self._last = last
        self._error = error

    def __call__(self, piece: bytes) -> bool:
        assert piece
        assert not self._last or len(self.pieces) < self._last, "it had enough"
        self.pieces.append(piece)
        if len(self.pieces) != self._last:
            return True
        if self._error is not None:
            raise self._error
        return False

    @property
    def all(self) -> bytes:
        return b"".join(self.pieces)


async def following(
    answer: road.ResponseParser, take: Callable[[bytes], bool]
) -> asyncio.Task[bool]:
    """A task that follows, and waits for something to come."""
    task = asyncio.create_task(answer.push(take))
    await asyncio.sleep(0)
    return task


async def rest(answer: road.ResponseParser, by: str) -> bytes:
    """What is still to be had."""
    if by == "pieces":
        return b"".join([piece async for piece in answer])
    takes = Takes()
    assert not await answer.push(takes)
    return takes.all


H, ELL, O = CHUNKED + b"1\r\nh\r\n", b"3\r\nell\r\n", b"1\r\no\r\n0\r\n\r\n"
HELLO = H + ELL + O
FOLLOWED: dict[str, tuple[bytes, bytes, bool]] = {
    # what comes, body, whether its end is that of the connection
    **{name: (data, body, False) for name, (data, _, body, _) in GOOD.items()},
    "several chunks": (HELLO, b"hello", False),
    "until the end": (OK + b"\r\nall of it", b"all of it", True),
}


@pytest.mark.parametrize("size", [1, 2, 7, 10_000])
@pytest.mark.parametrize("name", FOLLOWED)
async def test_who_follows_takes_each_piece_as_it_comes(name: str, size: int) -> None:
    data, body, end = FOLLOWED[name]
    network, answer = await on_a_line()
    takes = Takes()
    task = await following(answer, takes)
    for piece in cut(data, size):
        network.receive(piece)
        assert not answer._pieces, "it waited, and no task has run meanwhile"
    if end:
        network.leave()
    assert takes.all == body
    assert not await task
    assert [piece async for piece in answer] == []
    assert not await answer.push(takes)


async def test_what_came_before_is_taken_first_and_as_one_piece() -> None:
    network, answer = await on_a_line()
    network.receive(*cut(H + ELL, 1))
    takes = Takes()
    task = await following(answer, takes)
    assert takes.pieces == [b"hell"]
    network.receive(O)
    assert takes.pieces == [b"hell", b"o"]
    assert not await task


@pytest.mark.parametrize("by", ["pieces", "push"])
@pytest.mark.parametrize("last", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("name", ["several chunks", "length", "until the end"])
async def test_who_has_enough_is_given_no_more_and_the_rest_is_kept(
    name: str, last: int, by: str
) -> None:
    data, body, end = FOLLOWED[name]
    network, answer = await on_a_line()
    takes = Takes(last)
    task = await following(answer, takes)
    network.receive(*cut(data, 1))
    if end:
        network.leave()
    assert await task
    assert len(takes.pieces) == last
    assert takes.all + await rest(answer, by) == body


async def test_who_has_enough_of_what_came_before_is_given_no_more() -> None:
    network, answer = await on_a_line()
    network.receive(H, ELL)
    assert await answer.push(Takes(1))
    network.receive(O)
    assert await rest(answer, "push") == b"o"


@pytest.mark.parametrize("seed", range(60))
async def test_nothing_is_lost_or_taken_twice_however_it_is_cut_and_read(seed: int) -> None:
    chance = random.Random(seed)
    body = chance.randbytes(400)
    size = chance.randint(1, 90)
    data, end = [
        (OK + b"content-length: 400\r\n\r\n" + body, False),
        (CHUNKED + b"".join(map(chunk, cut(body, size))) + b"0\r\n\r\n", False),
        (OK + b"\r\n" + body, True),
    ][seed % 3]
    network, answer = await on_a_line()

    async def read() -> list[bytes]:
        pieces: list[bytes] = []
        while True:
            if chance.random() < 0.3:
                if not (piece := await anext(answer, b"")):
                    return pieces
                pieces.append(piece)
                continue
            takes = Takes(chance.randint(1, 5))
            more = await answer.push(takes)
            pieces += takes.pieces
            if not more:
                return pieces

    reading = asyncio.create_task(read())
    while data:
        at = chance.randint(1, 60)
        network.receive(data[:at])
        data = data[at:]
        for _ in range(chance.randrange(3)):
            await asyncio.sleep(0)
    if end:
        network.leave()
    assert b"".join(await reading) == body


@pytest.mark.parametrize("error", [ValueError("no"), KeyError(), asyncio.CancelledError()])
@pytest.mark.parametrize("before", [True, False])
async def test_what_a_taker_raises_is_raised_where_it_is_waited_for(
    error: BaseException, before: bool
) -> None:
    network, answer = await on_a_line()
    if before:
        network.receive(H)
    takes = Takes(1, error)
    task = await following(answer, takes)
    if not before:
        network.receive(H)
    network.receive(ELL, O)
    with pytest.raises(type(error)):
        await task
    assert not network.line.aborted
    assert takes.all + await rest(answer, "pieces") == b"hello"


async def test_who_no_longer_waits_is_given_nothing() -> None:
    network, answer = await on_a_line()
    takes = Takes()
    task = await following(answer, takes)
    network.receive(H)
    task.cancel()
    network.receive(ELL, O)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert takes.pieces == [b"h"]
    assert await rest(answer, "push") == b"ello"


@pytest.mark.parametrize("takes", [Takes(1), Takes(1, ValueError()), Takes()])
async def test_a_taker_may_end_its_own_task(takes: Takes) -> None:
    network, answer = await on_a_line()

    def take(piece: bytes) -> bool:
        task.cancel()
        return takes(piece)

    task = await following(answer, take)
    network.receive(*cut(HELLO, 1))
    with pytest.raises(asyncio.CancelledError):
        await task
    assert takes.pieces == [b"h"]
    assert await rest(answer, "pieces") == b"ello"


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize(
    ("last", "error"),
    [
        (b"", failures.InvalidResponse),
        (b"", failures.NetworkError),
        (b"zz", failures.InvalidResponse),
    ],
)
async def test_what_came_is_taken_before_the_failure_is_told(
    last: bytes, error: type[Exception], before: bool
) -> None:
    network, answer = await on_a_line()
    takes = Takes()
    task = None if before else await following(answer, takes)
    network.receive(H, ELL + last)
    network.leave(ConnectionResetError() if error is failures.NetworkError else None)
    with pytest.raises(error):
        await (task or answer.push(takes))
    assert takes.all == b"hell"
    with pytest.raises(error):
        await answer.push(takes)


async def test_silence_is_told_to_who_follows() -> None:
    script: Script = [head(), chunk(b"hi"), HOLD]
    async with FaultyBackend(script) as backend, opened() as network:
        response = await network.send(request(backend.url, read=0.1))
        takes = Takes()
        with pytest.raises(failures.ReadTimeout):
            await response.push(takes)
        assert takes.all == b"hi"
        await response.aclose()


def test_silence_is_counted_from_the_last_piece() -> None:
    async def story() -> float:
        network, answer = await on_a_line(silence=10.0)
        task = await following(answer, Takes())
        network.receive(CHUNKED)
        for _ in range(5):
            await asyncio.sleep(9)
            network.receive(ELL)
        with pytest.raises(failures.ReadTimeout):
            await task
        return asyncio.get_running_loop().time()

    assert hurried(story()) == pytest.approx(5 * 9 + 10)


async def test_while_it_is_taken_nothing_is_held_and_then_reading_stops() -> None:
    network, answer = await on_a_line()
    piece = chunk(b"x" * READ_BUFFER)
    takes = Takes(5)
    task = await following(answer, takes)
    network.receive(CHUNKED, *[piece] * 4)
    assert (network.line.pauses, answer._unread) == (0, 0)
    network.receive(piece, b"1\r\nx\r\n")
    assert network.line.reading
    network.receive(piece)
    assert not network.line.reading
    assert await task
    more = Takes()
    task = await following(answer, more)
    assert network.line.reading
    network.receive(b"0\r\n\r\n")
    assert not await task
    assert len(takes.all + more.all) == 6 * READ_BUFFER + 1


def test_the_answers_of_a_connection_have_one_timer_and_each_its_own_patience() -> None:
    async def story() -> float:
        network, _ = await on_a_line()
        connection, loop = network.connection, asyncio.get_running_loop()
        assert connection is not None

        async def asked(patience: float) -> asyncio.Task[bytes]:
            answer = road.ResponseParser(connection, request("http://127.0.0.1/"), patience)
            await connection.send(answer, b"", b"", None)
            return asyncio.create_task(rest(answer, "push"))

        for patience, silence in ((100.0, 99), (10.0, 9), (50.0, 49), (200.0, 1)):
            reading = await asked(patience)
            await asyncio.sleep(silence)
            network.receive(HELLO)
            assert await reading == b"hello"
        reading, since = await asked(20.0), loop.time()
        with pytest.raises(failures.ReadTimeout):
            await reading
        return loop.time() - since

    assert hurried(story()) == pytest.approx(20)


def test_who_takes_his_time_is_not_silent() -> None:
    async def story() -> bytes:
        network, answer = await on_a_line(silence=10.0)
        reading = asyncio.create_task(anext(answer))
        await asyncio.sleep(1)
        network.receive(H)
        first = await reading
        await asyncio.sleep(100)
        reading = asyncio.create_task(anext(answer))
        await asyncio.sleep(9)
        network.receive(ELL)
        return first + await reading

    assert hurried(story()) == b"hell"


def test_a_connection_that_is_lost_leaves_no_timer_behind() -> None:
    async def story() -> None:
        network, answer = await on_a_line(silence=100.0)
        task = await following(answer, Takes())
        network.leave()
        with pytest.raises(failures.InvalidResponse):
            await task
        assert network.connection is not None
        assert network.connection._timer is not None
        assert network.connection._timer.cancelled()

    hurried(story())


# Connections


async def test_a_connection_is_used_again() -> None:
    async with FaultyBackend(otherwise=[stream(b"hi")]) as backend, opened() as network:
        for _ in range(20):
            assert await ask(network, request(backend.url)) == (200, b"hi")
        assert (backend.opened, len(network._open)) == (1, 1)


async def test_an_answer_can_be_read_after_its_connection_went_on() -> None:
    async with FaultyBackend(otherwise=[stream(b"hi")]) as backend, opened() as network:
        responses = [await network.send(request(backend.url)) for _ in range(3)]
        for response in responses:
            assert [piece async for piece in response] == [b"hi"]
            await response.aclose()
        assert await ask(network, request(backend.url)) == (200, b"hi")


@pytest.mark.parametrize("leave", [FIN, RST])
async def test_a_connection_that_the_other_side_ended_is_not_used_again(leave: Any) -> None:
    gone = asyncio.Event()

    async def end(exchange: Any) -> None:
        await exchange.wait(gone)
        await leave(exchange)

    async with FaultyBackend([stream(b"hi"), end], [stream(b"ho")]) as backend, opened() as network:
        assert await ask(network, request(backend.url)) == (200, b"hi")
        gone.set()
        await backend.until(lambda: not backend.open)
        # Whether the loop has heard of it or not: it is in the socket.
        assert await ask(network, request(backend.url)) == (200, b"ho")
        assert backend.opened == 2


async def test_a_connection_that_speaks_unasked_is_not_used_again() -> None:
    async with FaultyBackend([stream(b"hi"), b"HTTP/1.1 408"], [stream(b"ho")]) as backend:
        async with opened() as network:
            assert await ask(network, request(backend.url)) == (200, b"hi")
            await backend.until(lambda: not backend.open)
            assert await ask(network, request(backend.url)) == (200, b"ho")


@pytest.mark.parametrize("age", [CONNECTION_LIFETIME + 1, -5])
async def test_an_old_connection_is_not_used_again(age: float) -> None:
    """Nor one of the future: the clock was set."""
    async with FaultyBackend(otherwise=[stream(b"hi")]) as backend, opened() as network:
        await ask(network, request(backend.url))
        (connection,) = network._open
        connection._idle_since -= age
        await ask(network, request(backend.url))
        assert backend.opened == 2
        await backend.until(lambda: len(backend.open) == 1)


async def test_only_so_many_connections_are_kept() -> None:
    go = asyncio.Event()
    count = MAX_IDLE_CONNECTIONS + 7
    async with FaultyBackend(otherwise=[go, stream(b"hi")]) as backend, opened() as network:
        asking = [asyncio.create_task(ask(network, request(backend.url))) for _ in range(count)]
        await backend.until(lambda: len(backend.requests) == count)
        go.set()
        await asyncio.gather(*asking)
        await backend.until(lambda: len(backend.open) == MAX_IDLE_CONNECTIONS)
        assert sum(map(len, network._idle.values())) == MAX_IDLE_CONNECTIONS


async def test_each_place_has_connections_of_its_own() -> None:
    async with (
        FaultyBackend(otherwise=[stream(b"one")]) as one,
        FaultyBackend(otherwise=[stream(b"two")]) as two,
        opened() as network,
    ):
        for _ in range(3):
            assert await ask(network, request(one.url)) == (200, b"one")
            assert await ask(network, request(two.url)) == (200, b"two")
        assert (one.opened, two.opened) == (1, 1)
        assert len(network._idle) == 2


async def test_a_storm_of_cancellations_leaves_nothing_behind() -> None:
    chance = random.Random(8)
    scripts: list[Script] = [[HOLD], [head(), HOLD], [head(), chunk(b"x"), HOLD], [stream(b"hi")]]
    storm = [scripts[number % 4] for number in range(300)]
    async with FaultyBackend(*storm, otherwise=[stream(b"hi")]) as backend, opened() as network:
        url = backend.url.replace("127.0.0.1", "localhost")  # a name, and so a race of addresses
        asking = [asyncio.create_task(ask(network, request(url))) for _ in storm]
        for task in chance.sample(asking, len(asking)):
            for _ in range(chance.randrange(4)):
                await asyncio.sleep(0)
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
        await until(lambda: all(connection in kept(network) for connection in network._open))
        await backend.until(lambda: len(backend.open) == len(network._open))
        backend._scripts.clear()  # those of requests that were never sent
        assert await ask(network, request(backend.url)) == (200, b"hi")


class Leaping(asyncio.SelectorEventLoop):
    """A loop of a process that can be stopped: its clock leaps."""

    leap = 0.0

    def time(self) -> float:
        return super().time() + self.leap


def test_a_process_that_was_stopped_reads_before_it_looks_at_the_clock() -> None:
    """Ctrl-Z, or a machine that slept: what came meanwhile waits in the socket."""
    loop, answering = Leaping(), asyncio.Event()

    async def story() -> None:
        async with FaultyBackend([answering, stream(b"late")]) as backend, opened() as network:
            asking = asyncio.create_task(ask(network, request(backend.url, read=5)))
            await backend.until(lambda: bool(backend.requests))
            loop.leap = 60.0
            loop.call_later(0, answering.set)
            assert await asking == (200, b"late")
            asking = asyncio.create_task(ask(network, request(backend.url, read=5)))
            backend._scripts.append([HOLD])
            await backend.until(lambda: len(backend.requests) == 2)
            loop.leap += 5.01
            with pytest.raises(failures.ReadTimeout):
                await asking

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(story())


def kept(network: Network) -> list[Any]:
    return [connection for idle in network._idle.values() for connection in idle]


# TLS, and the way through a proxy


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


async def hello(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(stream(b"hi"))


async def test_an_encrypted_connection_is_used_again_and_its_authorities_read_once(
    authority: Authority,
) -> None:
    read: list[int] = []

    def authorities() -> ssl.SSLContext:
        read.append(1)
        return ssl.create_default_context(cafile=str(authority.file))

    async with (
        talking(hello, authority.server("127.0.0.1")) as port,
        opened(authorities) as network,
    ):
        for _ in range(3):
            assert await ask(network, request(f"https://127.0.0.1:{port}/")) == (200, b"hi")
        assert (len(network._open), len(read)) == (1, 1)


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_large_request_is_sent_encrypted(authority: Authority, loop: str) -> None:
    """The loops have a TLS of their own each."""
    loops = pytest.importorskip(loop, reason="uvloop is not made for Windows")
    context = ssl.create_default_context(cafile=str(authority.file))
    body = b"x" * (8 * road.WRITE_CHUNK)

    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(stream(b"%d" % len(await reader.readexactly(len(body)))))

    async def story() -> None:
        async with (
            talking(count, authority.server("127.0.0.1")) as port,
            opened(lambda: context) as network,
        ):
            for _ in range(2):
                asked = request(f"https://127.0.0.1:{port}/", "POST", content=body)
                assert await ask(network, asked) == (200, b"%d" % len(body))

    with asyncio.Runner(loop_factory=loops.new_event_loop) as runner:
        runner.run(story())


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_server_is_reached_by_its_name(authority: Authority, loop: str) -> None:
    """As every user's backend is. A name has several addresses, which race."""
    loops = pytest.importorskip(loop, reason="uvloop is not made for Windows")
    context = ssl.create_default_context(cafile=str(authority.file))

    async def story() -> None:
        async with (
            talking(hello, authority.server("localhost")) as port,
            opened(lambda: context) as network,
        ):
            assert await ask(network, request(f"https://localhost:{port}/")) == (200, b"hi")
            for name in ("unknown.invalid", "x" * 64 + ".example"):
                with pytest.raises(failures.ConnectError):
                    await network.send(request(f"https://{name}:{port}/"))

    with asyncio.Runner(loop_factory=loops.new_event_loop) as runner:
        runner.run(story())


@pytest.mark.parametrize("name", ["other.example", None])
async def test_a_certificate_of_another_or_of_nobody_is_refused(
    authority: Authority, tmp_path: Path, name: str | None
) -> None:
    trusted = authority if name else Authority(tmp_path)
    context = ssl.create_default_context(cafile=str(trusted.file))
    async with talking(hello, authority.server(name or "127.0.0.1")) as port:
        async with opened(lambda: context) as network:
            with pytest.raises(failures.ConnectError, match=r"(?i)certificate"):
                await network.send(request(f"https://127.0.0.1:{port}/"))


async def test_the_name_may_be_another_than_the_address(authority: Authority) -> None:
    context = ssl.create_default_context(cafile=str(authority.file))
    async with talking(hello, authority.server("pictures.example")) as port:
        async with opened(lambda: context) as network:
            asked = request(f"https://127.0.0.1:{port}/")
            server = asked.url.server._replace(name="pictures.example")
            asked = asked._replace(url=asked.url._replace(server=server))
            assert await ask(network, asked) == (200, b"hi")


async def test_what_is_no_tls_is_told(authority: Authority) -> None:
    context = ssl.create_default_context(cafile=str(authority.file))

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await reader.read()

    async with talking(plain) as port, opened(lambda: context) as network:
        with pytest.raises(failures.ConnectError):
            await network.send(request(f"https://127.0.0.1:{port}/"))


COMPLETED = b'data: {"type":"response.completed","response":{"id":"resp_1","output":[]}}\n\n'


async def test_a_stream_comes_through_a_proxy_that_sees_none_of_it(authority: Authority) -> None:
    seen: list[bytes] = []

    async def backend(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            start = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(start.lower().split(b"content-length: ")[1].split()[0]))
            writer.write(stream(COMPLETED))

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        there, back = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")

        async def pass_on(one: asyncio.StreamReader, other: asyncio.StreamWriter) -> None:
            while data := await one.read(65_536):
                seen.append(data)
                other.write(data)

        try:
            await asyncio.gather(pass_on(reader, back), pass_on(there, writer))
        finally:
            back.transport.abort()

    async with (
        talking(backend, authority.server("backend.example")) as port,
        talking(proxy) as way,
    ):
        chosen = Settings(
            base_url="https://backend.example/codex",
            proxy=f"http://127.0.0.1:{way}",
            ca_file=authority.file,
        )
        transport = Transport(chosen, Unsigned())
        try:
            for _ in range(2):
                async with await transport.stream("/responses", {}) as events:
                    assert [event.type async for event in events] == ["response.completed"]
        finally:
            await transport.aclose()
    assert seen[0].startswith(b"CONNECT backend.example:443 HTTP/1.1\r\n")
    assert not any(b"response" in data for data in seen)
