"""What is sent on a connection, how long it waits, and which ones are kept."""

from __future__ import annotations

import asyncio
import gc
import random
import weakref
from typing import Any

import pytest
from tests.engine.connections import (
    CHUNKED,
    HELLO,
    ask,
    kept,
    on_a_line,
    opened,
    request,
    rest,
    talking,
    until,
)
from tests.faulty import FIN, HOLD, RST, FaultyBackend, Script, chunk, endless, head, stream, whole
from tests.ports import full_port

from codexapi_engine.bounds import (
    CONNECTION_LIFETIME,
    MAX_IDLE_CONNECTIONS,
)
from codexapi_engine.http import connection as road
from codexapi_engine.http import failures
from codexapi_engine.http.connection import READ_BUFFER
from codexapi_engine.http.messages import Url

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
