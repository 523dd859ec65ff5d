"""What `network.py`, `resolver.py` and the server's process take for granted of an event loop, under
each loop that they run on: uvloop, asyncio's selector loop, and Windows' proactor loop.

A loop is another program: what one has, another may lack, and what they share may differ.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
import socket
import ssl
import sys
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.certificates import Authority
from tests.engine.connections import ask, opened, request, talking
from tests.engine.test_connection_tls import hello
from tests.ports import full_port, refusing_port

from codexapi_engine.http import failures
from codexapi_engine.http.resolver import Resolver
from codexapi_http.server.process import listen

NAME = "several.example"


def _loops() -> list[Any]:
    if sys.platform == "win32":
        return [asyncio.ProactorEventLoop, asyncio.SelectorEventLoop]
    loops: list[Any] = [asyncio.SelectorEventLoop]
    with contextlib.suppress(ImportError):  # PyPy
        import uvloop

        loops.append(uvloop.new_event_loop)
    return loops


Run = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture(params=_loops(), ids=lambda loop: str(loop.__module__.partition(".")[0]))
def run(request: pytest.FixtureRequest) -> Run:
    """Runs something under a loop, to its end."""

    def run(story: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=request.param) as runner:
            runner.run(asyncio.wait_for(story, 60))

    return run


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


# A connection, by name.


def addresses(monkeypatch: pytest.MonkeyPatch, *ports: int) -> None:
    """Makes `NAME` a name of 127.0.0.1, at each of these ports."""
    look_up = socket.getaddrinfo

    def patched(host: Any, port: Any, *more: Any, **options: Any) -> Any:
        if host != NAME or options.get("flags", 0) & socket.AI_NUMERICHOST:
            return look_up(host, port, *more, **options)
        kind = socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, ""
        return [(*kind, ("127.0.0.1", each)) for each in ports]

    monkeypatch.setattr(socket, "getaddrinfo", patched)


def test_a_name_leads_to_the_first_of_its_addresses(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        async with talking(hello) as port, opened() as network:
            addresses(monkeypatch, port, port)
            assert await ask(network, request(f"http://{NAME}/")) == (200, b"hi")

    run(story())


def test_nothing_is_sent_on_a_connection_that_has_just_ended(run: Run) -> None:
    """asyncio would ignore what is written, and nobody would ever answer; uvloop raises an error of
    its own. That nothing was sent is to be known: a refresh token is then not spent."""

    async def story() -> None:
        async with talking(hello) as port, opened() as network:
            asked = request(f"http://127.0.0.1:{port}/")
            connection = await network._connected(asked, None)
            connection.end()
            while network._open:  # noqa: ASYNC110  (nobody tells)
                await asyncio.sleep(0)
            network._idle_connection = lambda address: connection  # type: ignore[method-assign]
            with pytest.raises(failures.ConnectError, match="left before it was asked"):
                await network.send(asked)

    run(story())


def test_an_address_that_refuses_is_passed_over(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        async with talking(hello) as port, opened() as network:
            addresses(monkeypatch, dead, port)
            assert await ask(network, request(f"http://{NAME}/")) == (200, b"hi")

    with refusing_port() as dead:
        run(story())


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a full listener refuses")
def test_an_address_that_is_silent_is_passed_over(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        async with talking(hello) as port, opened() as network:
            addresses(monkeypatch, dead, port)
            assert await ask(network, request(f"http://{NAME}/")) == (200, b"hi")

    with full_port() as dead:
        run(story())


def test_addresses_that_all_refuse_are_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        async with opened() as network:
            addresses(monkeypatch, dead, dead)
            with pytest.raises(failures.ConnectError):
                await ask(network, request(f"http://{NAME}/"))

    with refusing_port() as dead:
        run(story())


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a full listener refuses")
def test_the_connect_limit_holds_for_a_silent_address(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        async with opened() as network:
            addresses(monkeypatch, dead, dead)
            with pytest.raises(failures.ConnectTimeout):
                await ask(network, request(f"http://{NAME}/", connect=0.4))

    with full_port() as dead:
        run(story())


def test_the_certificate_must_be_the_names(
    run: Run, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = ssl.create_default_context(cafile=str(authority.file))

    async def story() -> None:
        for name in (NAME, "other.example"):
            async with talking(hello, authority.server(name)) as port:
                addresses(monkeypatch, port, port)
                async with opened(lambda: context) as network:
                    answer = ask(network, request(f"https://{NAME}/"))
                    if name == NAME:
                        assert await answer == (200, b"hi")
                    else:
                        with pytest.raises(failures.ConnectError, match=r"(?i)certificate"):
                            await answer

    run(story())


# A name that nobody answers for.


@pytest.fixture
def stuck(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Semaphore]:
    """A resolver that answers, with a failure, for each release; counts the questions."""
    go = threading.Semaphore(0)

    def look_up(host: Any, *more: Any, **options: Any) -> Any:
        if options.get("flags", 0) & socket.AI_NUMERICHOST:
            raise socket.gaierror(socket.EAI_NONAME, "a name")
        go.acquire()
        raise socket.gaierror(socket.EAI_AGAIN, "no name server")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    yield go
    go.release(1000)


def test_the_connect_limit_holds_for_a_silent_name_server(
    run: Run, stuck: threading.Semaphore
) -> None:
    async def story() -> None:
        async with opened() as network:
            with pytest.raises(failures.ConnectTimeout):
                await ask(network, request(f"http://{NAME}/", connect=0.1))

    run(story())  # and the loop ends, though the resolver has not


def test_who_asks_for_the_same_name_shares_the_answer(run: Run, stuck: threading.Semaphore) -> None:
    async def story() -> None:
        resolver = Resolver()
        before = set(threading.enumerate())  # of an earlier test, one may be about to end
        questions = [asyncio.create_task(resolver.addresses(NAME, 80)) for _ in range(50)]
        await asyncio.sleep(0)
        begun = set(threading.enumerate()) - before
        assert [thread.name for thread in begun] == [f"resolver {NAME}"]
        questions[0].cancel()
        stuck.release()
        ends = await asyncio.gather(*questions, return_exceptions=True)
        assert isinstance(ends[0], asyncio.CancelledError)
        assert all(isinstance(end, socket.gaierror) for end in ends[1:])
        assert not resolver._pending

    run(story())


# A connection that is there.


class Line(asyncio.Protocol):
    """One end of a connection; the other is the test's."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.end: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
        self.news = asyncio.Event()
        self.pauses = 0

    def data_received(self, data: bytes) -> None:
        self.pieces.append(data)
        self.news.set()

    def pause_writing(self) -> None:
        self.pauses += 1

    def connection_lost(self, error: Exception | None) -> None:
        self.end.set_result(error)


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[Any, Line, socket.socket]]:
    """A transport, its protocol, and the blocking socket at the other end."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        near = socket.create_connection(listener.getsockname())
        far, _ = listener.accept()
    near.setblocking(False)
    with far:
        loop = asyncio.get_running_loop()
        transport, line = await loop.create_connection(Line, sock=near)
        try:
            yield transport, line, far
        finally:
            transport.abort()
            await line.end


def test_a_write_goes_out_at_once_with_a_buffer_of_one_byte(run: Run) -> None:
    async def story() -> None:
        async with connected() as (transport, line, far):
            transport.set_write_buffer_limits(high=1)
            far.setblocking(False)
            for number in range(3):
                transport.write(b"piece %d" % number)
                # Nothing has run since, and it is there.
                assert select.select([far], [], [], 30)[0]
                assert far.recv(100) == b"piece %d" % number
                if sys.platform != "win32":  # where a loop hears a step later that it is sent
                    assert transport.get_write_buffer_size() == 0
                    assert line.pauses == 0

    run(story())


def test_what_the_network_does_not_take_pauses_the_writer(run: Run) -> None:
    async def story() -> None:
        async with connected() as (transport, line, _):
            transport.set_write_buffer_limits(high=1)
            transport.write(b"x" * (64 << 20))
            assert transport.get_write_buffer_size() > 0
            assert line.pauses == 1

    run(story())


def test_reading_stops_and_goes_on(run: Run) -> None:
    async def story() -> None:
        async with connected() as (transport, line, far):
            transport.pause_reading()
            assert not transport.is_reading()
            far.sendall(b"late")
            for _ in range(20):
                await asyncio.sleep(0)
            assert line.pieces == []
            transport.resume_reading()
            assert transport.is_reading()
            await line.news.wait()
            assert b"".join(line.pieces) == b"late"

    run(story())


def test_an_abort_ends_it_though_there_is_something_to_send(run: Run) -> None:
    async def story() -> None:
        async with connected() as (transport, line, _):
            transport.write(b"x" * (64 << 20))
            transport.abort()
            assert transport.is_closing()
            assert await line.end is None

    run(story())


def test_half_of_a_connection_can_be_closed(run: Run) -> None:
    async def story() -> None:
        async with connected() as (transport, line, far):
            transport.write_eof()
            far.setblocking(False)
            assert await asyncio.get_running_loop().sock_recv(far, 1) == b""
            far.sendall(b"still heard")
            await line.news.wait()
            assert b"".join(line.pieces) == b"still heard"

    run(story())


def test_the_socket_of_a_transport_tells_whether_there_is_something_to_read(run: Run) -> None:
    async def story() -> None:
        async with connected() as (transport, _, far):
            transport.pause_reading()
            own = transport.get_extra_info("socket")
            assert own.fileno() >= 0
            assert not select.select([own], [], [], 0)[0]
            far.sendall(b"x")
            assert select.select([own], [], [], 30)[0]

    run(story())


def test_small_pieces_of_a_served_connection_do_not_wait_for_each_other(run: Run) -> None:
    """TCP_NODELAY, which asyncio sets only where a socket says that it is TCP."""

    async def story() -> None:
        loop, listener = asyncio.get_running_loop(), listen("127.0.0.1", 0)
        options: asyncio.Queue[int] = asyncio.Queue()

        class Served(asyncio.Protocol):
            def connection_made(self, transport: Any) -> None:
                own = transport.get_extra_info("socket")
                options.put_nowait(own.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
                transport.abort()

        server = await loop.create_server(Served, sock=listener)
        with socket.create_connection(listener.getsockname()):
            assert await options.get()
        server.close()
        await server.wait_closed()

    run(story())


# Time, threads and signals.


def test_a_timer_tells_when_it_is_due(run: Run) -> None:
    async def story() -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + 1000
        timer = loop.call_at(due, lambda: None)
        assert timer.when() == pytest.approx(due, abs=0.002)  # uvloop counts milliseconds
        assert not timer.cancelled()
        timer.cancel()
        assert timer.cancelled()
        passed = loop.create_future()
        loop.call_at(loop.time() - 1, passed.set_result, None)
        await passed

    run(story())


def test_a_loop_that_has_ended_refuses_what_a_thread_brings(run: Run) -> None:
    loops: list[asyncio.AbstractEventLoop] = []

    async def story() -> None:
        loops.append(asyncio.get_running_loop())

    run(story())
    with pytest.raises(RuntimeError):
        loops[0].call_soon_threadsafe(lambda: None)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_calls_its_handler_or_the_loop_has_none(run: Run, number: int) -> None:
    async def story() -> None:
        loop, heard = asyncio.get_running_loop(), asyncio.Event()
        try:
            loop.add_signal_handler(number, heard.set)
        except NotImplementedError:
            assert sys.platform == "win32"
            return
        os.kill(os.getpid(), number)
        await heard.wait()
        assert loop.remove_signal_handler(number)

    run(story())
