"""The road beneath httpx, as the implementation of a protocol that it is."""

from __future__ import annotations

import asyncio
import contextlib
import random
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.certificates import Authority
from tests.faulty import FIN, HOLD, RST, FaultyBackend, Script, chunk, endless, head, stream, whole

from codexapi_engine import network as road
from codexapi_engine.network import HELD, KEPT, KEPT_FOR, MAX_HEAD_BYTES, Network
from codexapi_engine.settings import Settings
from codexapi_engine.transport import Transport

OK = b"HTTP/1.1 200 OK\r\n"
PATIENT = {"connect": 60.0, "read": 60.0, "write": 60.0, "pool": 60.0}


def no_tls() -> ssl.SSLContext:
    raise AssertionError("nothing here is encrypted")


@asynccontextmanager
async def opened(tls: Callable[[], ssl.SSLContext] = no_tls) -> AsyncIterator[Network]:
    network = Network(tls)
    try:
        yield network
    finally:
        await network.aclose()
        assert not network._open


def request(
    url: str, method: str = "GET", content: bytes | None = None, **timeout: float
) -> httpx.Request:
    extensions = {"timeout": {**PATIENT, **timeout}}
    return httpx.Request(method, url, content=content, extensions=extensions)


async def ask(network: Network, asked: httpx.Request) -> tuple[int, bytes]:
    response = await network.handle_async_request(asked)
    try:
        return response.status_code, b"".join([piece async for piece in body_of(response)])
    finally:
        await response.aclose()


async def until(reached: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not reached():  # noqa: ASYNC110  (nobody tells)
            await asyncio.sleep(0)


def body_of(response: httpx.Response) -> httpx.AsyncByteStream:
    return cast(httpx.AsyncByteStream, response.stream)


# Framing, without a network: bytes in, an answer out.


class Line(asyncio.Transport):
    """One end of a connection whose other end is the test."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.aborted = False
        self.reading = True

    def write(self, data: Any) -> None:
        self.written.append(bytes(data))

    def get_write_buffer_size(self) -> int:
        return 0

    def abort(self) -> None:
        self.aborted = True

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


@dataclass
class Outcome:
    """What comes of an answer's bytes."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes
    error: type[Exception] | None
    kept: bool  # the connection waits for another request


async def framed(pieces: list[bytes], *, method: str = "GET", end: bool = False) -> Outcome:
    network = Network(no_tls)
    line, asked = Line(), request("http://127.0.0.1/", method)
    connection = road._Connection(network, road._Place.of(asked))
    connection.connection_made(line)
    answer = road._Answer(connection, asked, None)
    await connection.send(answer, b"", b"", None)
    for piece in pieces:
        connection.data_received(piece)
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
    except httpx.TransportError as caught:
        error = type(caught)
    kept = connection in network._idle.get(connection.place, [])
    assert kept != (line.aborted or end or not answer.complete)
    return Outcome(answer.status, answer.headers, body, error, kept)


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


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
    "a long header": OK + b"a: " + b"x" * MAX_HEAD_BYTES + b"\r\n\r\n",
    "many headers": OK + b"a: b\r\n" * MAX_HEAD_BYTES,
    "a long reason": b"HTTP/1.1 200 " + b"x" * MAX_HEAD_BYTES + b"\r\n",
    "interim without end": b"HTTP/1.1 100 Continue\r\n\r\n" * 4000,
    "trailers without end": CHUNKED + b"0\r\n" + b"a: b\r\n" * MAX_HEAD_BYTES,
    "a chunk extension without end": CHUNKED + b"1;" + b"x" * MAX_HEAD_BYTES * 2,
}


@pytest.mark.parametrize("size", [1, 4096, 1 << 30])
@pytest.mark.parametrize("name", BAD)
async def test_what_is_not_http_is_refused_and_its_connection_closed(name: str, size: int) -> None:
    outcome = await framed(cut(BAD[name], size))
    if outcome.error is None:  # folded headers, and such, may be understood
        assert name == "a folded header"
    else:
        assert outcome.error is httpx.RemoteProtocolError
    assert not outcome.kept


@pytest.mark.parametrize("name", [name for name in GOOD if len(GOOD[name][2]) > 1])
async def test_an_answer_that_ends_too_soon_is_no_success(name: str) -> None:
    data = GOOD[name][0]
    for length in range(len(data)):
        outcome = await framed([data[:length]] if length else [], end=True)
        assert outcome.error is httpx.RemoteProtocolError, data[:length]


@pytest.mark.parametrize("name", [name for name, (*_, kept) in GOOD.items() if kept])
@pytest.mark.parametrize("more", [b"x", OK + b"content-length: 2\r\n\r\nhi", b"\0" * 100_000])
async def test_what_nobody_asked_for_is_not_taken_for_an_answer(name: str, more: bytes) -> None:
    data, _, body, _ = GOOD[name]
    outcome = await framed([data + more])
    assert (outcome.body, outcome.error, outcome.kept) == (body, None, False)
    later = await framed([data, more])
    assert (later.body, later.error) == (body, None)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(sorted(GOOD)), at=st.integers(0), put=st.binary(max_size=4),
    lost=st.integers(0, 3), cuts=st.integers(1, 40), end=st.booleans(),
)  # fmt: skip
def test_a_damaged_answer_gives_an_answer_or_an_error_of_httpx(
    name: str, at: int, put: bytes, lost: int, cuts: int, end: bool
) -> None:
    data = GOOD[name][0]
    at %= len(data)
    damaged = data[:at] + put + data[at + lost :]
    outcome = asyncio.run(framed(cut(damaged, cuts), end=end))
    assert outcome.error is None or issubclass(outcome.error, httpx.TransportError)


@given(data=st.binary(max_size=200), end=st.booleans())
def test_any_bytes_give_an_answer_or_an_error_of_httpx(data: bytes, end: bool) -> None:
    for start in (b"", OK, CHUNKED, CHUNKED + b"5\r\n"):
        outcome = asyncio.run(framed([start + data], end=end))
        assert outcome.error is None or issubclass(outcome.error, httpx.TransportError)


# What is sent


@pytest.mark.parametrize(
    ("name", "value"), [("a", "b\r\nc: d"), ("a", "b\nc"), ("a", "b\r"), ("a", "\0"), ("a\r\nb", "c")]
)  # fmt: skip
async def test_a_header_with_a_line_end_is_never_sent(name: str, value: str) -> None:
    async with FaultyBackend() as backend, opened() as network:
        asked = request(backend.url)
        asked.headers[name] = value
        with pytest.raises(httpx.LocalProtocolError):
            await network.handle_async_request(asked)
        assert backend.opened == 0


async def test_a_request_says_what_it_was_given() -> None:
    async with FaultyBackend([whole(200)]) as backend, opened() as network:
        asked = request(f"{backend.url}/a%20b?c=d", "POST", b"x" * 1_000_000)
        asked.headers["x-y"] = "zé"
        assert await ask(network, asked) == (200, b"")
    (sent,) = backend.requests
    assert (sent.method, sent.target) == ("POST", "/a%20b?c=d")
    assert len(sent.body) == 1_000_000
    assert sent.headers["x-y"]


async def test_a_body_of_unknown_length_is_not_sent() -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"x"

    async with opened() as network:
        with pytest.raises(httpx.LocalProtocolError):
            await network.handle_async_request(httpx.Request("POST", "http://x/", content=body()))


async def test_only_http_is_spoken() -> None:
    async with opened() as network:
        with pytest.raises(httpx.UnsupportedProtocol):
            await network.handle_async_request(request("ftp://127.0.0.1/"))


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
        with pytest.raises(httpx.ReadTimeout) as caught:
            await ask(network, request(backend.url, read=0.1))
        assert caught.value.request.url == backend.url
        await backend.until(lambda: not backend.open)


async def test_a_shorter_patience_is_kept_after_a_longer_one() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.Event().wait()

    async with talking(silent) as port, opened() as network:
        asked = request(f"http://127.0.0.1:{port}/", "POST", b"x" * 64_000_000, write=0.1)
        with pytest.raises(httpx.WriteTimeout):
            await network.handle_async_request(asked)


async def test_no_connection_in_time_is_told() -> None:
    async with FaultyBackend() as backend, opened() as network:
        with pytest.raises(httpx.ConnectTimeout):
            await network.handle_async_request(request(backend.url, connect=0.0))


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/", "http://host.invalid/"])
async def test_no_connection_at_all_is_told(url: str) -> None:
    async with opened() as network:
        with pytest.raises(httpx.ConnectError) as caught:
            await network.handle_async_request(request(url))
        assert caught.value.request.url == url


async def test_a_reader_that_takes_its_time_stops_the_reading() -> None:
    async with FaultyBackend([head(), endless(chunk(b"x" * 60_000))]) as backend:
        async with opened() as network:
            response = await network.handle_async_request(request(backend.url))
            (connection,) = network._open
            transport = connection._transport
            await until(lambda: not transport.is_reading())
            answer = cast(road._Answer, response.stream)
            assert HELD < answer._held < HELD + (1 << 20)
            held = sum(map(len, answer._pieces))
            assert len(await answer.__anext__()) == held
            assert transport.is_reading()
            await response.aclose()
            await backend.until(lambda: not backend.open)


# Connections


async def test_a_connection_is_used_again() -> None:
    async with FaultyBackend(otherwise=[stream(b"hi")]) as backend, opened() as network:
        for _ in range(20):
            assert await ask(network, request(backend.url)) == (200, b"hi")
        assert (backend.opened, len(network._open)) == (1, 1)


async def test_an_answer_can_be_read_after_its_connection_went_on() -> None:
    async with FaultyBackend(otherwise=[stream(b"hi")]) as backend, opened() as network:
        responses = [await network.handle_async_request(request(backend.url)) for _ in range(3)]
        for response in responses:
            assert [piece async for piece in body_of(response)] == [b"hi"]
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


@pytest.mark.parametrize("age", [KEPT_FOR + 1, -5])
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
    count = KEPT + 7
    async with FaultyBackend(otherwise=[go, stream(b"hi")]) as backend, opened() as network:
        asking = [asyncio.create_task(ask(network, request(backend.url))) for _ in range(count)]
        await backend.until(lambda: len(backend.requests) == count)
        go.set()
        await asyncio.gather(*asking)
        await backend.until(lambda: len(backend.open) == KEPT)
        assert sum(map(len, network._idle.values())) == KEPT


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


@pytest.mark.parametrize("name", ["other.example", None])
async def test_a_certificate_of_another_or_of_nobody_is_refused(
    authority: Authority, tmp_path: Path, name: str | None
) -> None:
    trusted = authority if name else Authority(tmp_path)
    context = ssl.create_default_context(cafile=str(trusted.file))
    async with talking(hello, authority.server(name or "127.0.0.1")) as port:
        async with opened(lambda: context) as network:
            with pytest.raises(httpx.ConnectError, match=r"(?i)certificate"):
                await network.handle_async_request(request(f"https://127.0.0.1:{port}/"))


async def test_the_name_may_be_another_than_the_address(authority: Authority) -> None:
    context = ssl.create_default_context(cafile=str(authority.file))
    async with talking(hello, authority.server("pictures.example")) as port:
        async with opened(lambda: context) as network:
            asked = request(f"https://127.0.0.1:{port}/")
            asked.extensions["sni_hostname"] = "pictures.example"
            assert await ask(network, asked) == (200, b"hi")


async def test_what_is_no_tls_is_told(authority: Authority) -> None:
    context = ssl.create_default_context(cafile=str(authority.file))

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await reader.read()

    async with talking(plain) as port, opened(lambda: context) as network:
        with pytest.raises(httpx.ConnectError):
            await network.handle_async_request(request(f"https://127.0.0.1:{port}/"))


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
        transport = Transport(chosen, httpx.Auth())
        try:
            for _ in range(2):
                async with await transport.stream("/responses", {}) as events:
                    assert [event.type async for event in events] == ["response.completed"]
        finally:
            await transport.aclose()
    assert seen[0].startswith(b"CONNECT backend.example:443 HTTP/1.1\r\n")
    assert not any(b"response" in data for data in seen)
