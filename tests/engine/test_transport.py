from __future__ import annotations

import asyncio
import gzip
import random
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.faulty import (
    FIN,
    HOLD,
    LAST_CHUNK,
    RST,
    Exchange,
    FaultyBackend,
    Script,
    Step,
    chunk,
    endless,
    head,
    stream,
    whole,
)
from tests.lines import Lines, cut
from tests.ports import refusing_url
from tests.signers import Unsigned
from tests.wire_files import table, wire

from codexapi_engine.client import collect_response
from codexapi_engine.errors import (
    BackendError,
    CodexError,
    ConnectFailed,
    InvalidRequest,
    LoginExpired,
    Overloaded,
    RateLimited,
    StreamInterrupted,
    TimedOut,
    UnexpectedAnswer,
    UsageLimitReached,
)
from codexapi_engine.http import failures
from codexapi_engine.http.body import MAX_ERROR_BYTES
from codexapi_engine.http.client import Transport, connect
from codexapi_engine.http.event_stream import EventStream
from codexapi_engine.http.in_process import in_process
from codexapi_engine.http.messages import HttpRequest, HttpResponse, HttpTransport
from codexapi_engine.http.network import Network
from codexapi_engine.login.token_endpoint import ask_token_endpoint
from codexapi_engine.protocol import sse
from codexapi_engine.protocol.auth_file import Credentials
from codexapi_engine.protocol.sse import Event
from codexapi_engine.settings import Settings
from codexapi_engine.telemetry import FinishedRun, Observer, RunMetrics

CREATED = b'event: response.created\ndata: {"type":"response.created","response":{}}\n\n'
DELTA = b'data: {"type":"response.output_text.delta","delta":"a\xe2\x80\xa8b"}\n\n'
COMPLETED = b'data: {"type":"response.completed","response":{"id":"resp_1","output":[]}}\n\n'
GOOD: Script = [stream(CREATED, DELTA, COMPLETED)]
SHORT = 0.3
"""Seconds of silence that some tests here have to sit out."""

LIMIT = {"error": {"type": "usage_limit_reached", "message": "The usage limit has been reached"}}


def patience(script: Script) -> float:
    """Short only where the silence is the matter: elsewhere a slow machine must not decide."""
    return SHORT if HOLD in script else 60.0


@asynccontextmanager
async def to(backend: FaultyBackend, **settings: Any) -> AsyncIterator[Transport]:
    transport = Transport(Settings(base_url=backend.url, **settings), Unsigned())
    try:
        yield transport
    finally:
        await transport.aclose()


async def ask(transport: Transport) -> list[Event]:
    """All events of one request."""
    async with await transport.stream("/responses", {"model": "m"}) as events:
        return [event async for event in events]


Batch = list[Event]
Read = Callable[[EventStream, list[Batch]], Coroutine[Any, Any, None]]


async def asked_for(stream: EventStream, got: list[Batch]) -> None:
    """Reads a stream to its end, batch by batch."""
    while events := await stream.batch(coalesce=True):
        got.append(events)


async def pushed(stream: EventStream, got: list[Batch]) -> None:
    """The same, without asking for any."""

    def on_events(events: Batch) -> bool:
        assert events
        got.append(events)
        return True

    assert not await stream.push(on_events)
    assert await stream.batch() == []
    assert not await stream.push(on_events)


async def by_turns(stream: EventStream, got: list[Batch]) -> None:
    """Both, one after the other."""

    def on_events(events: Batch) -> bool:
        got.append(events)
        return len(got) % 3 != 1

    while await stream.push(on_events) and (events := await stream.batch(coalesce=True)):
        got.append(events)


READERS = pytest.mark.parametrize("read", [asked_for, pushed, by_turns])


async def outcome(
    *scripts: Script, otherwise: Script | None = None, read: Read = asked_for, **settings: Any
) -> tuple[list[Event], CodexError | None, int]:
    """What comes of one request: its events, the error that ended them, and how often it was sent."""
    got: list[Batch] = []
    error: CodexError | None = None
    async with (
        FaultyBackend(*scripts, otherwise=otherwise) as backend,
        to(backend, **settings) as t,
    ):
        try:
            async with await t.stream("/responses", {"model": "m"}) as events:
                await read(events, got)
        except CodexError as told:
            error = told
        return (
            [one for batch in got for event in batch for one in event.each],
            error,
            len(backend.requests),
        )


# The good case


async def test_a_request_is_posted_as_json_and_its_events_come_back() -> None:
    async with FaultyBackend(GOOD) as backend, to(backend) as transport:
        events = await ask(transport)
    assert [event.type for event in events] == [
        "response.created", "response.output_text.delta", "response.completed",
    ]  # fmt: skip
    assert events[1].json["delta"] == "a\u2028b"
    sent = backend.requests[0]
    assert (sent.method, sent.target, sent.json) == ("POST", "/responses", {"model": "m"})
    assert sent.headers["accept"] == "text/event-stream"
    assert sent.headers["content-type"] == "application/json"
    assert sent.headers["accept-encoding"] == "identity"


async def test_headers_of_the_caller_are_sent_and_those_of_the_backend_can_be_read() -> None:
    script = [stream(COMPLETED, x_codex_plan_type="pro")]
    async with FaultyBackend(script) as backend, to(backend) as transport:
        async with await transport.stream("/responses", {}, {"session-id": "s"}) as events:
            assert events.headers["x-codex-plan-type"] == "pro"
        assert backend.requests[0].headers["session-id"] == "s"


async def test_headers_have_their_names_in_lower_case_and_one_value_each() -> None:
    script = [b"HTTP/1.1 200 OK\r\nX-A: 1\r\nx-b: \xff\r\nx-A: 2\r\ncontent-length: 0\r\n\r\n"]
    async with FaultyBackend(script) as backend, to(backend) as transport:
        async with await transport.stream("/responses", {}) as events:
            assert dict(events.headers) == {"x-a": "1, 2", "x-b": "\ufffd", "content-length": "0"}


async def test_a_batch_is_what_one_network_read_brought() -> None:
    more = asyncio.Event()
    script: Script = [head(), chunk(CREATED + DELTA + DELTA[:9]), more, chunk(DELTA[9:])]
    async with FaultyBackend([*script, HOLD]) as backend, to(backend) as transport:
        async with await transport.stream("/responses", {}) as events:
            assert [event.raw + b"\n\n" for event in await events.batch()] == [CREATED, DELTA]
            more.set()
            assert [event.raw + b"\n\n" for event in await events.batch()] == [DELTA]


async def test_an_event_is_handed_on_while_the_backend_is_still_thinking() -> None:
    async with FaultyBackend([head(), chunk(CREATED), HOLD]) as backend, to(backend) as transport:
        async with await transport.stream("/responses", {}) as events:
            assert len(await events.batch()) == 1
            assert backend.open, "the rest was not waited for"


async def test_the_status_is_known_before_the_first_event() -> None:
    async with FaultyBackend([head(), HOLD]) as backend, to(backend) as transport:
        async with await transport.stream("/responses", {}):
            assert len(backend.requests) == 1


async def test_nothing_is_read_beyond_the_terminal_event() -> None:
    events, error, _ = await outcome([head(), chunk(COMPLETED + DELTA), HOLD])
    assert [event.type for event in events] == ["response.completed"]
    assert error is None


async def test_a_connection_that_is_held_after_the_terminal_event_is_not_waited_for() -> None:
    async with FaultyBackend([head(), chunk(CREATED + COMPLETED), HOLD]) as backend:
        async with to(backend) as transport:
            assert len(await ask(transport)) == 2
            await backend.until(lambda: not backend.open)


async def test_an_unnamed_stream_is_taken_for_one_as_the_real_backend_sends_it() -> None:
    unnamed = head().replace(b"content-type: text/event-stream\r\n", b"")
    events, error, _ = await outcome([unnamed, chunk(COMPLETED), LAST_CHUNK])
    assert (len(events), error) == (1, None)


@pytest.mark.parametrize("size", [1, 7, 4096])
async def test_a_recorded_stream_comes_whole_in_pieces_of_any_size(size: int) -> None:
    recorded = wire("reasoning_summary")
    pieces = [recorded[at : at + size] for at in range(0, len(recorded), size)]
    events, error, _ = await outcome([stream(*pieces)])
    assert error is None
    expected = sse.Decoder().feed(recorded)
    assert [event.raw for event in events] == [event.raw for event in expected]


async def test_an_event_of_twenty_megabytes_comes_whole() -> None:
    big = b'data: {"type":"response.output_item.done","result":"' + b"x" * 20_000_000 + b'"}\n\n'
    pieces = (chunk(big[at : at + 65_536]) for at in range(0, len(big), 65_536))
    events, error, _ = await outcome([head(), b"".join(pieces), chunk(COMPLETED), LAST_CHUNK])
    assert error is None
    assert events[0].raw + b"\n\n" == big
    assert len(events) == 2


def test_a_long_event_is_put_together_once() -> None:
    decoder = sse.Decoder()
    for held in range(1, 1001):
        assert decoder.feed(b"data: " + b"x" * 100) == []
        assert len(decoder._tail) == held, "the pieces must wait, not be joined one by one"
    (event,) = decoder.feed(b"\n\n")
    assert len(event.raw) == 106_000


# Faults before the first event


FALLS: dict[str, tuple[Script, type[CodexError], str, int]] = {
    # script, error, code, how often it is sent
    "RST before the head": ([RST], StreamInterrupted, "upstream_disconnected", 3),
    "FIN before the head": ([FIN], StreamInterrupted, "upstream_disconnected", 3),
    "half a head": ([head()[:30], FIN], StreamInterrupted, "upstream_disconnected", 3),
    "RST after the head": ([head(), RST], StreamInterrupted, "upstream_disconnected", 3),
    "RST within the first event":
        ([head(), chunk(CREATED[:20]), RST], StreamInterrupted, "upstream_disconnected", 3),
    "garbage": ([b"\x00\xff garbage\r\n\r\n", FIN], StreamInterrupted, "upstream_disconnected", 1),
    "bad chunk": ([head(), b"zz\r\n"], StreamInterrupted, "upstream_disconnected", 1),
    "FIN after the head": ([head(), FIN], StreamInterrupted, "upstream_disconnected", 1),
    "head without end":
        ([b"HTTP/1.1 200 OK\r\n", endless(b"a: b\r\n")], StreamInterrupted,
         "upstream_disconnected", 1),
    "silence before the head": ([HOLD], TimedOut, "upstream_timeout", 1),
    "silence within the head": ([head()[:30], HOLD], TimedOut, "upstream_timeout", 1),
    "silence after the head": ([head(), HOLD], TimedOut, "upstream_timeout", 1),
    "redirect":
        ([whole(302, location="http://127.0.0.1:9/")], UnexpectedAnswer, "upstream_redirect", 1),
    "a web page": ([whole(200, b"<html>", content_type="text/html")], UnexpectedAnswer,
                   "upstream_protocol_error", 1),
    "JSON": ([whole(200, {"id": "resp_1"})], UnexpectedAnswer, "upstream_protocol_error", 1),
    "gzip": ([head(content_encoding="gzip"), chunk(gzip.compress(CREATED)), LAST_CHUNK],
             UnexpectedAnswer, "upstream_protocol_error", 1),
    "brotli": ([head(content_encoding="br"), HOLD], UnexpectedAnswer, "upstream_protocol_error", 1),
    "a lie of gzip": ([stream(CREATED, COMPLETED, content_encoding="gzip")], UnexpectedAnswer,
                      "upstream_protocol_error", 1),
    "blocked": ([whole(403, b"<html>Just a moment", content_type="text/html")], UnexpectedAnswer,
                "upstream_blocked", 1),
    "bad request": ([whole(400, {"detail": "no"})], BackendError, "", 1),
    "500": ([whole(500, {"error": {"message": "x"}})], BackendError, "upstream_error", 2),
    "502": ([whole(502, b"<html>")], BackendError, "upstream_error", 2),
    "503": ([whole(503, {"error": {"message": "x", "code": "server_is_overloaded"}})], Overloaded,
            "server_is_overloaded", 2),
    "503, later": ([whole(503, {}, retry_after="3")], Overloaded, "server_is_overloaded", 1),
    "504": ([whole(504, b"")], TimedOut, "upstream_timeout", 2),
    "429": ([whole(429, {"error": {"message": "x"}})], RateLimited, "rate_limit_exceeded", 1),
    "429, soon": ([whole(429, {"error": {"message": "x"}}, retry_after="0")], RateLimited,
                  "rate_limit_exceeded", 2),
    "429, at the limit": ([whole(429, b"", retry_after="2")], RateLimited,
                          "rate_limit_exceeded", 2),
    "429, later": ([whole(429, b"", retry_after="2.1")], RateLimited, "rate_limit_exceeded", 1),
    "usage limit": ([whole(429, LIMIT, retry_after="0")], UsageLimitReached,
                    "usage_limit_reached", 1),
    "no plan": ([whole(429, {"error": {"code": "usage_not_included", "message": "x"}},
                       retry_after="0")], UsageLimitReached, "usage_not_included", 1),
}  # fmt: skip


@pytest.mark.parametrize("name", FALLS)
async def test_a_fault_before_the_first_event_is_told_and_tried_again_only_where_it_helps(
    name: str,
) -> None:
    script, kind, code, sent = FALLS[name]
    events, error, count = await outcome(otherwise=script, timeout=patience(script))
    assert type(error) is kind, error
    assert (events, error.code or "", count) == ([], code, sent)
    assert "<html>" not in str(error)


@pytest.mark.parametrize(
    "faults",
    [
        [[RST]],
        [[RST], [FIN]],
        [[head(), RST], [head(), chunk(b": comment\n\n"), RST]],
        [[head(), chunk(CREATED[:20]), RST]],
        [[whole(500, b"")]],
        [[whole(503, b"", retry_after="0")], [RST], [whole(429, b"", retry_after="0")], [RST]],
    ],
)
async def test_a_fault_that_passes_is_never_seen(faults: list[Script]) -> None:
    events, error, count = await outcome(*faults, GOOD)
    assert (error, count) == (None, len(faults) + 1)
    assert [event.raw + b"\n\n" for event in events] == [CREATED, DELTA, COMPLETED]


async def test_a_fault_does_not_count_for_the_one_after_it() -> None:
    """A reset, then silence: the silence is no reset only because one came before."""
    _, error, count = await outcome([head(), RST], [HOLD], GOOD, timeout=SHORT)
    assert type(error) is TimedOut
    assert count == 2


async def test_a_backend_that_refuses_connections_is_tried_three_times() -> None:
    with refusing_url() as url:
        counted = Counted(connect(Settings(), url))
        transport = Transport(Settings(base_url=url), Unsigned(), http=counted)
        with pytest.raises(ConnectFailed, match=r"127\.0\.0\.1") as caught:
            await transport.stream("/responses", {})
    assert f"nothing listens at {urlsplit(url).netloc}" in str(caught.value)
    assert "Errno" not in str(caught.value)
    assert counted.requests == 3
    await transport.aclose()


BIG = {"model": "m", "input": "x" * 11_200_000}


@pytest.mark.parametrize("end", [RST, FIN])
async def test_a_large_request_that_is_dropped_is_sent_once_more_and_its_size_is_told(
    end: Step,
) -> None:
    async with FaultyBackend(otherwise=[end]) as backend, to(backend) as transport:
        with pytest.raises(StreamInterrupted, match=r"connection lost.*127\.0\.0\.1.*11\.2 MB"):
            await transport.stream("/responses", BIG)
        assert [len(one.body) > 11_000_000 for one in backend.requests] == [True, True]
        with pytest.raises(StreamInterrupted, match=r"11\.2 MB"):
            await transport.post("/images/edits", BIG, timeout=60)
        assert len(backend.requests) == 4


async def test_a_large_request_that_is_dropped_half_read_is_sent_once_more() -> None:
    opened = 0

    async def drop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal opened
        opened += 1
        await reader.readexactly(2**20)
        writer.transport.abort()

    async with await asyncio.start_server(drop, "127.0.0.1", 0) as server:
        url = "http://127.0.0.1:{1}".format(*server.sockets[0].getsockname())
        transport = Transport(Settings(base_url=url), Unsigned())
        with pytest.raises(StreamInterrupted, match=r"11\.2 MB"):
            await transport.stream("/responses", BIG)
        await transport.aclose()
    assert opened == 2


async def test_a_large_request_is_sent_again_as_ever_where_nothing_of_it_went_out() -> None:
    with refusing_url() as url:
        counted = Counted(connect(Settings(), url))
        transport = Transport(Settings(base_url=url), Unsigned(), http=counted)
        with pytest.raises(ConnectFailed) as caught:
            await transport.stream("/responses", BIG)
    assert counted.requests == 3
    assert "MB" not in str(caught.value)
    await transport.aclose()


async def test_the_size_of_a_request_is_no_matter_where_it_is_small_or_was_read() -> None:
    async with FaultyBackend(otherwise=[RST]) as backend, to(backend) as transport:
        with pytest.raises(StreamInterrupted, match="connection lost") as caught:
            await transport.stream("/responses", {"input": "x" * 900_000})
        assert "MB" not in str(caught.value)
        assert len(backend.requests) == 3
    async with FaultyBackend(otherwise=[head(), chunk(CREATED), RST]) as backend:
        async with to(backend) as transport, await transport.stream("/responses", BIG) as events:
            await events.batch()
            with pytest.raises(StreamInterrupted, match="connection lost") as caught:
                await events.batch()
        assert "MB" not in str(caught.value)


async def test_a_request_that_is_too_large_in_the_backend_s_words_is_told_with_its_size() -> None:
    for body in (b"", {"detail": "Payload too large"}):
        async with FaultyBackend([whole(413, body)]) as backend, to(backend) as transport:
            with pytest.raises(BackendError, match=r"11\.2 MB") as caught:
                await transport.stream("/responses", BIG)
            assert caught.value.status == 413
            assert "11.2 MB" in caught.value.message


@pytest.mark.parametrize("url", ["https://nothing.invalid", f"https://{'a' * 70}.invalid"])
async def test_a_name_without_an_address_is_told_as_that(url: str) -> None:
    transport = Transport(Settings(base_url=url), Unsigned())
    with pytest.raises(ConnectFailed, match=r"invalid: its name cannot be resolved \(") as caught:
        await transport.stream("/responses", {})
    assert "Errno" not in str(caught.value)
    assert caught.value.status == 502
    await transport.aclose()


async def test_a_proxy_s_name_without_an_address_is_told_as_the_proxy_s() -> None:
    url = "https://chatgpt.com/backend-api/codex"
    settings = Settings(base_url=url, proxy="http://user:hunter2@nothing.invalid:3128")
    transport = Transport(settings, Unsigned())
    with pytest.raises(ConnectFailed, match=r"chatgpt\.com.*proxy's name cannot be") as caught:
        await transport.stream("/responses", {})
    assert "hunter2" not in str(caught.value)
    await transport.aclose()


async def test_a_proxy_that_nobody_runs_is_named_by_its_own_address() -> None:
    with refusing_url() as url:
        settings = Settings(base_url="https://chatgpt.com/backend-api/codex", proxy=url)
        transport = Transport(settings, Unsigned())
        with pytest.raises(ConnectFailed, match=f"nothing listens at {urlsplit(url).netloc}"):
            await transport.stream("/responses", {})
    await transport.aclose()


async def test_silence_is_told_as_a_timeout() -> None:
    async with FaultyBackend([HOLD]) as backend, to(backend, timeout=SHORT) as transport:
        with pytest.raises(TimedOut, match=r"127\.0\.0\.1 timed out"):
            await transport.stream("/responses", {})


class Counted:
    """Counts what goes into a transport; fails with `error` if there is one."""

    def __init__(self, inner: HttpTransport | None, error: Exception | None = None) -> None:
        self._inner, self._error = inner, error
        self.requests = 0

    async def send(self, request: HttpRequest) -> HttpResponse:
        self.requests += 1
        if self._error is not None or self._inner is None:
            raise self._error or AssertionError
        return await self._inner.send(request)

    async def aclose(self) -> None:
        if self._inner is not None:
            await self._inner.aclose()


class Answering:
    """Gives one response to every request."""

    def __init__(self, response: HttpResponse) -> None:
        self._response = response

    async def send(self, request: HttpRequest) -> HttpResponse:
        return self._response

    async def aclose(self) -> None:
        """Nothing is open."""


def caused(error: Exception, cause: BaseException) -> Exception:
    error.__cause__ = cause
    return error


REFUSED = ConnectionRefusedError(111, "refused")


@pytest.mark.parametrize(
    ("error", "sent"),
    [
        (failures.ConnectTimeout("slow"), 1),
        (failures.ConnectError("unknown host"), 1),
        (caused(failures.ConnectError("no"), caused(OSError("all"), REFUSED)), 3),
        (caused(failures.ConnectError("no"),
                ExceptionGroup("both addresses", [REFUSED, ConnectionRefusedError()])), 3),
        (caused(failures.ConnectError("no"),
                ExceptionGroup("both addresses", [REFUSED, TimeoutError()])), 1),
        (failures.ProxyError("407"), 1),
        (failures.ReadTimeout("silent"), 1),
        (failures.PoolTimeout("full"), 1),
        (failures.UnsupportedRequest("x"), 1),
    ],
)  # fmt: skip
async def test_only_refused_and_reset_connections_are_tried_again(
    error: Exception, sent: int
) -> None:
    counted = Counted(None, error)
    transport = Transport(Settings(), Unsigned(), http=counted)
    with pytest.raises(CodexError):
        await transport.stream("/responses", {})
    assert counted.requests == sent
    await transport.aclose()


# Faults after the first event


@pytest.mark.parametrize(
    ("steps", "kind"),
    [
        ([RST], StreamInterrupted),
        ([FIN], StreamInterrupted),
        ([b"zz\r\n"], StreamInterrupted),
        ([chunk(DELTA[:20]), FIN], StreamInterrupted),
        ([HOLD], TimedOut),
        ([chunk(b"data: " + b"x" * 100), RST], StreamInterrupted),
    ],
)
@READERS
async def test_a_fault_after_the_first_event_is_told_and_never_tried_again(
    steps: list[Step], kind: type[CodexError], read: Read
) -> None:
    script = [head(), chunk(CREATED), *steps]
    events, error, count = await outcome(script, GOOD, read=read, timeout=patience(script))
    assert [event.type for event in events] == ["response.created"]
    assert type(error) is kind
    assert count == 1


@pytest.mark.parametrize(
    "pieces", [[], [b"\n\n"], [CREATED], [CREATED, DELTA], [CREATED, COMPLETED[:-20]]]
)
async def test_a_stream_that_ends_without_its_last_event_is_no_success(pieces: list[bytes]) -> None:
    async with FaultyBackend([stream(*pieces)]) as backend, to(backend) as transport:
        async with await transport.stream("/responses", {}) as events:
            with pytest.raises(StreamInterrupted):
                await collect_response(events)
        assert len(backend.requests) == 1


@pytest.mark.parametrize("piece", [b"data: {half\n\n", b"data: []\n\n", b"data: \xff\xfe\n\n"])
async def test_an_unreadable_event_is_no_success(piece: bytes) -> None:
    async with FaultyBackend([stream(CREATED, piece, COMPLETED)]) as backend:
        async with to(backend) as transport, await transport.stream("/responses", {}) as events:
            with pytest.raises(StreamInterrupted):
                await collect_response(events)


async def test_what_came_with_an_unreadable_event_is_handed_on_before_it() -> None:
    good = b'data: {"type": "response.created", "response": {}}\n\n'
    async with FaultyBackend([stream(good + b"data: {no\n\n" + good)]) as backend:
        async with to(backend) as t, await t.stream("/responses", {"model": "m"}) as events:
            first, unreadable, last = await events.batch()
    assert first.type == last.type == "response.created"
    with pytest.raises(StreamInterrupted):
        unreadable.type  # noqa: B018


async def test_a_last_event_that_only_lacks_its_blank_line_counts() -> None:
    events, error, _ = await outcome([stream(CREATED, COMPLETED.rstrip(b"\n"))])
    assert ([event.type for event in events][-1], error) == ("response.completed", None)


async def test_silence_is_counted_between_bytes_and_not_in_all() -> None:
    async def slowly(exchange: Exchange) -> None:
        for _ in range(5):
            await asyncio.sleep(0.25)
            await exchange.send(chunk(b": still here\n\n"))

    events, error, _ = await outcome([head(), slowly, chunk(COMPLETED), LAST_CHUNK], timeout=1.0)
    assert (len(events), error) == (1, None)


# Followed: each batch is taken within the network's own call


@dataclass
class Told:
    """What a reader had of a stream."""

    batches: list[list[bytes]]
    error: type[Exception] | None
    counted: list[FinishedRun]


class Runs(Observer):
    def __init__(self) -> None:
        self.ended: list[FinishedRun] = []

    def finished(self, run: FinishedRun) -> None:
        self.ended.append(run._replace(seconds=0, first_after=None, output_after=None))


async def on_a_line() -> tuple[Lines, Transport, EventStream]:
    """A stream of which nothing has come yet."""
    network = Lines()
    transport = Transport(Settings(), Unsigned(), http=network)
    opening = asyncio.create_task(transport.stream("/responses", {}))
    await asyncio.sleep(0)
    network.receive(head())
    return network, transport, await opening


async def told(pieces: list[bytes], read: Read, *, whole: bool = True) -> Told:
    """What a reader has of these pieces, each of them a network read. The body ends with them, or
    only the connection does."""
    runs, got, error = Runs(), list[Batch](), None
    network, transport, stream = await on_a_line()
    async with stream:
        stream.watch = RunMetrics(runs)
        reading = asyncio.create_task(read(stream, got))
        for piece in pieces:
            await asyncio.sleep(0)
            network.receive(chunk(piece))
        await asyncio.sleep(0)
        if whole:
            network.receive(LAST_CHUNK)
        else:
            network.leave()
        try:
            await reading
        except CodexError as caught:
            error = type(caught)
    await transport.aclose()
    return Told([[event.raw for event in batch] for batch in got], error, runs.ended)


NAMED = b'event: response.output_text.delta\ndata: {"delta":"a"}\n\n'
LITTLE = CREATED + NAMED + NAMED + COMPLETED
ENDS = {
    "terminal": LITTLE,
    "more behind it": LITTLE + DELTA,
    "no terminal": CREATED + NAMED,
    "a terminal without its blank line": LITTLE[:-2],
    "half an event": LITTLE[:-20],
    "not UTF-8": CREATED + b"data: \xff\xfe\n\n" + COMPLETED,
}


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("name", ENDS)
async def test_what_is_pushed_is_what_is_asked_for_wherever_it_is_cut(
    name: str, whole: bool
) -> None:
    data = ENDS[name]
    for at in range(1, len(data)):
        pieces = [data[:at], data[at:]]
        asked = await told(pieces, asked_for, whole=whole)
        assert await told(pieces, pushed, whole=whole) == asked
        assert await told(pieces, by_turns, whole=whole) == asked


@pytest.mark.parametrize("name", ["reasoning_summary", "failed_server_error", "unnamed_events"])
async def test_a_recorded_stream_is_pushed_as_it_is_asked_for(name: str) -> None:
    recorded = wire(name)
    chance = random.Random(name)
    ways = [cut(recorded, size) for size in (1, 2, 7, 100, 4096)]
    for _ in range(20):
        places = sorted(chance.sample(range(len(recorded)), 12))
        ways.append([recorded[a:b] for a, b in pairwise([0, *places, len(recorded)])])
    for pieces in ways:
        asked = await told(pieces, asked_for)
        assert asked.counted[0].events >= 3
        assert asked.counted[0].model, "as its last event told it"
        assert await told(pieces, pushed) == asked
        assert await told(pieces, by_turns) == asked


async def test_a_batch_is_pushed_before_any_task_has_run() -> None:
    network, transport, stream = await on_a_line()
    async with stream:
        got: list[Batch] = []

        def on_events(events: Batch) -> bool:
            got.append(events)
            return len(got) < 3

        pushing = asyncio.create_task(stream.push(on_events))
        await asyncio.sleep(0)
        network.receive(chunk(CREATED), chunk(DELTA), chunk(DELTA[:9]), chunk(DELTA[9:] + CREATED))
        network.receive(chunk(DELTA))
        assert [len(batch) for batch in got] == [1, 1, 2], "and no more when it has enough"
        assert await pushing
        assert [event.raw + b"\n\n" for event in await stream.batch()] == [DELTA]
    await transport.aclose()


async def test_what_the_callback_raises_is_raised_by_push() -> None:
    def on_events(events: Batch) -> bool:
        raise KeyError(len(events))

    network, transport, stream = await on_a_line()
    async with stream:
        network.receive(chunk(CREATED))
        await stream.batch()
        pushing = asyncio.create_task(stream.push(on_events))
        await asyncio.sleep(0)
        network.receive(chunk(DELTA + DELTA), chunk(COMPLETED))
        with pytest.raises(KeyError, match="2"):
            await pushing
        assert [event.type for event in await stream.batch()] == ["response.completed"]
    await transport.aclose()


@READERS
async def test_a_transport_that_cannot_push_is_read_all_the_same(read: Read) -> None:
    async def body() -> AsyncIterator[bytes]:
        for piece in cut(LITTLE + DELTA, 50):
            yield piece

    async def handle(*_: object) -> tuple[int, Mapping[str, str], AsyncIterator[bytes]]:
        return 200, {}, body()

    got: list[Batch] = []
    transport = Transport(Settings(), Unsigned(), http=in_process(handle))
    async with await transport.stream("/responses", {}) as stream:
        await read(stream, got)
    assert [event.type for batch in got for event in batch] == [
        "response.created", *["response.output_text.delta"] * 2, "response.completed",
    ]  # fmt: skip
    await transport.aclose()


# Error bodies


async def test_of_an_error_body_only_the_beginning_is_read() -> None:
    class Fed(HttpResponse):
        status = 400
        fed = 0
        closed = False

        async def __anext__(self) -> bytes:
            self.fed += 4096
            return b"x" * 4096

        async def aclose(self) -> None:
            self.closed = True

    body = Fed()
    transport = Transport(Settings(), Unsigned(), http=Answering(body))
    with pytest.raises(BackendError):
        await transport.stream("/responses", {})
    assert body.fed <= MAX_ERROR_BYTES + 4096
    assert body.closed


async def test_an_error_body_without_end_ends_with_its_connection() -> None:
    script: Script = [b"HTTP/1.1 400 No\r\n\r\n", endless(b"y" * 4096)]
    async with FaultyBackend(script) as backend, to(backend) as transport:
        with pytest.raises(BackendError):
            await transport.stream("/responses", {})
        await backend.until(lambda: not backend.open)


async def test_an_error_whose_body_breaks_off_keeps_its_status() -> None:
    script: Script = [b"HTTP/1.1 400 No\r\ncontent-length: 50\r\n\r\nhalf", RST]
    _, error, _ = await outcome(script)
    assert error is not None
    assert error.status == 400


@pytest.mark.parametrize("case", table("errors"), ids=lambda case: str(case)[:60])
async def test_every_recorded_error_leaves_as_one_of_ours(case: dict[str, Any]) -> None:
    status = case.get("status", 400)
    body = case.get("body")
    data = body if isinstance(body, dict) else str(body or "").encode()
    _, error, _ = await outcome(otherwise=[whole(status, data)])
    assert isinstance(error, CodexError)


# Connections


async def test_a_connection_is_used_again_after_a_stream_that_was_read_to_its_end() -> None:
    async with FaultyBackend(otherwise=GOOD) as backend, to(backend) as transport:
        for _ in range(5):
            assert len(await ask(transport)) == 3
            await drained(transport)
        assert (len(backend.requests), backend.opened) == (5, 1)


async def drained(transport: Transport) -> None:
    await asyncio.gather(*transport._drains)


async def test_for_a_stream_that_came_whole_nothing_is_drained() -> None:
    network, transport, events = await on_a_line()
    async with events:
        network.receive(chunk(COMPLETED) + LAST_CHUNK)
        assert len(await events.batch()) == 1
    assert not transport._drains
    assert not network.line.aborted
    await transport.aclose()


async def test_a_connection_is_used_again_when_its_end_comes_a_little_later() -> None:
    later = asyncio.Event()
    script: Script = [head(), chunk(CREATED + COMPLETED), later, LAST_CHUNK]
    async with FaultyBackend(script, GOOD) as backend, to(backend) as transport:
        assert len(await ask(transport)) == 2
        later.set()
        await drained(transport)
        await ask(transport)
        assert backend.opened == 1


async def test_leaving_a_stream_midway_ends_it_at_the_backend() -> None:
    async with FaultyBackend([head(), chunk(CREATED), HOLD]) as backend, to(backend) as transport:
        async with await transport.stream("/responses", {}) as events:
            await events.batch()
            await events.aclose()
            await backend.until(lambda: not backend.open)


@pytest.mark.parametrize(
    "script",
    [[HOLD], [head()[:30], HOLD], [head(), HOLD], [head(), chunk(CREATED), HOLD],
     [head(), chunk(CREATED), endless(chunk(DELTA))]],
)  # fmt: skip
async def test_a_cancelled_request_ends_at_the_backend(script: Script) -> None:
    async with FaultyBackend(script) as backend, to(backend) as transport:
        asking = asyncio.create_task(ask(transport))
        await backend.until(lambda: len(backend.requests) == 1)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await backend.until(lambda: not backend.open)


async def test_two_hundred_cancelled_requests_leave_nothing_behind() -> None:
    scripts: list[Script] = [[HOLD], [head(), HOLD], [head(), chunk(CREATED), HOLD]]
    storm = [scripts[number % 3] for number in range(200)]
    async with FaultyBackend(*storm, otherwise=GOOD) as backend, to(backend) as transport:
        asking = [asyncio.create_task(ask(transport)) for _ in storm]
        await backend.until(lambda: len(backend.requests) == 200)
        for number, task in enumerate(asking):
            task.cancel()
            if number % 7 == 0:
                await asyncio.sleep(0)
        await asyncio.gather(*asking, return_exceptions=True)
        await backend.until(lambda: not backend.open)
        assert len(await ask(transport)) == 3
        await drained(transport)
        assert len(backend.open) == 1
        assert (len(pool(transport)._open), idle(transport)) == (1, 1), "a ghost in the pool"


def pool(transport: Transport) -> Network:
    assert isinstance(transport._http, Network)
    return transport._http


def idle(transport: Transport) -> int:
    return sum(map(len, pool(transport)._idle.values()))


async def test_requests_cancelled_at_any_step_leave_nothing_behind() -> None:
    for steps in range(40):
        async with FaultyBackend(otherwise=GOOD) as backend, to(backend) as transport:
            asking = [asyncio.create_task(ask(transport)) for _ in range(4)]
            for _ in range(steps):
                await asyncio.sleep(0)
            for task in asking:
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)
            assert len(await ask(transport)) == 3
            await drained(transport)
            assert len(pool(transport)._open) == idle(transport), steps
            await backend.until(lambda: len(backend.open) == idle(transport))


async def test_more_streams_than_a_pool_of_a_hundred_run_at_once() -> None:
    go = asyncio.Event()
    script: Script = [head(), go, chunk(COMPLETED), LAST_CHUNK]
    async with FaultyBackend(otherwise=script) as backend, to(backend) as transport:
        asking = [asyncio.create_task(ask(transport)) for _ in range(150)]
        await backend.until(lambda: len(backend.requests) == 150)
        go.set()
        assert {len(events) for events in await asyncio.gather(*asking)} == {1}


async def test_closing_the_transport_ends_what_is_still_drained() -> None:
    async with FaultyBackend([head(), chunk(COMPLETED), HOLD]) as backend:
        async with to(backend) as transport:
            await ask(transport)
        await backend.until(lambda: not backend.open)


# Fetching


async def test_a_json_object_is_fetched_from_under_the_base_or_from_anywhere() -> None:
    script: Script = [whole(200, {"a": 1}, etag='W/"1"')]
    async with FaultyBackend(otherwise=script) as backend, to(backend) as transport:
        reply = await transport.fetch("/models?x=1", headers={"if-none-match": "y"})
        assert (reply.json, reply.headers["etag"]) == ({"a": 1}, 'W/"1"')
        await transport.fetch(f"{backend.url}/elsewhere")
    assert [request.target for request in backend.requests] == ["/models?x=1", "/elsewhere"]
    assert backend.requests[0].headers["if-none-match"] == "y"
    assert backend.requests[0].method == "GET"


async def test_an_unchanged_object_is_none() -> None:
    script: Script = [whole(304, etag='W/"1"')]
    async with FaultyBackend(script) as backend, to(backend) as transport:
        assert (await transport.fetch("/models")).json is None


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        ([whole(200, b"<html>", content_type="text/html")], UnexpectedAnswer),
        ([whole(200, b"[]")], UnexpectedAnswer),
        ([whole(200, b"")], UnexpectedAnswer),
        ([whole(200, b"[" * 100_000)], UnexpectedAnswer),
        ([whole(200, gzip.compress(b"{}"), content_encoding="gzip")], UnexpectedAnswer),
        ([whole(200, {}, content_encoding="gzip")], UnexpectedAnswer),
        ([whole(302, location="/other")], UnexpectedAnswer),
        ([whole(500, b"")], BackendError),
        ([b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{", RST], StreamInterrupted),
        ([HOLD], TimedOut),
        ([b"HTTP/1.1 200 OK\r\n\r\n", endless(b"x" * 262_144)], UnexpectedAnswer),
    ],
)
async def test_what_is_no_json_object_is_told(script: Script, kind: type[CodexError]) -> None:
    async with FaultyBackend(script) as backend, to(backend) as transport:
        with pytest.raises(kind):
            await transport.fetch("/models", timeout=patience(script))
        assert len(backend.requests) == 1


# What a browser or a library would do by itself


async def test_a_cookie_of_the_backends_network_is_sent_back() -> None:
    script: Script = [stream(COMPLETED, set_cookie="__cf_bm=b; Path=/; Secure; HttpOnly")]
    async with FaultyBackend(script, otherwise=GOOD) as backend, to(backend) as transport:
        for _ in range(3):
            await ask(transport)
    cookies = [asked.headers.get("cookie") for asked in backend.requests]
    assert cookies == [None, "__cf_bm=b", "__cf_bm=b"]


async def test_a_cookie_that_no_header_can_carry_breaks_no_later_request() -> None:
    script: Script = [stream(COMPLETED, set_cookie="__cf_bm=\xfc")]
    async with FaultyBackend(script, otherwise=GOOD) as backend, to(backend) as transport:
        for _ in range(3):
            assert await ask(transport)
    assert not any("cookie" in asked.headers for asked in backend.requests)


async def test_a_cookie_that_no_header_can_carry_breaks_no_later_renewal() -> None:
    script: Script = [whole(200, b"{}", set_cookie="a=\xfc")]
    async with FaultyBackend(script, otherwise=[whole(200, b"{}")]) as backend:
        async with aclosing(connect(Settings(base_url=backend.url), backend.url)) as http:
            for _ in range(2):
                answer = await ask_token_endpoint(http, "GET", backend.url, {})
                assert answer.status == 200
    assert not any("cookie" in asked.headers for asked in backend.requests)


async def test_a_login_that_cannot_be_renewed_leaves_no_answer_open() -> None:
    class Closing(HttpResponse):
        status = 401
        closed = False

        async def aclose(self) -> None:
            self.closed = True

    class Expired(Unsigned):
        async def other_credentials(self, refused: Credentials | None) -> Credentials | None:
            raise LoginExpired("run codex login")

    answer = Closing()
    transport = Transport(Settings(), Expired(), http=Answering(answer))
    with pytest.raises(LoginExpired):
        await transport.stream("/responses", {})
    assert answer.closed


async def test_the_environment_that_libraries_read_is_not_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login canary password canary\n")
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    async with FaultyBackend(GOOD) as backend, to(backend) as transport:
        assert len(await ask(transport)) == 3
    assert "authorization" not in backend.requests[0].headers
    await connect(Settings(), "https://chatgpt.com").aclose()


async def test_the_proxy_is_asked_for_the_way_and_told_no_token() -> None:
    async with FaultyBackend([whole(407, b"")]) as proxy:
        settings = Settings(base_url="https://chatgpt.com/backend-api/codex", proxy=proxy.url)
        transport = Transport(settings, Unsigned())
        with pytest.raises(ConnectFailed, match="proxy"):
            await transport.stream("/responses", {})
        await transport.aclose()
    assert [(r.method, r.target) for r in proxy.requests] == [("CONNECT", "chatgpt.com:443")]
    assert "authorization" not in proxy.requests[0].headers


@pytest.mark.parametrize("content", [None, b"no certificate"])
def test_certificates_that_cannot_be_read_are_told_with_their_place(
    tmp_path: Any, content: bytes | None
) -> None:
    place = tmp_path / "ca.pem"
    if content is not None:
        place.write_bytes(content)
    with pytest.raises(InvalidRequest, match=r"ca\.pem"):
        connect(Settings(ca_file=place), "https://chatgpt.com")


async def test_damaged_certificates_are_told_by_the_first_request(tmp_path: Any) -> None:
    place = tmp_path / "ca.pem"
    place.write_text("-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----\n")
    transport = Transport(Settings(ca_file=place), Unsigned())
    with pytest.raises(InvalidRequest, match=r"ca\.pem"):
        await transport.stream("/responses", {})
    await transport.aclose()


# In this process


async def test_a_server_in_this_process_streams_and_is_closed() -> None:
    asked: list[tuple[str, str, bytes]] = []
    closed = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        try:
            yield CREATED
            await asyncio.Event().wait()
        finally:
            closed.set()

    async def handle(
        method: str, target: str, headers: Mapping[str, str], content: bytes
    ) -> tuple[int, Mapping[str, str], AsyncIterator[bytes]]:
        asked.append((method, target, content))
        return 200, {"content-type": "text/event-stream"}, body()

    settings = Settings(base_url="https://chatgpt.com/backend-api/codex")
    transport = Transport(settings, Unsigned(), http=in_process(handle))
    events: EventStream = await transport.stream("/responses?a=b", {"model": "m"})
    assert len(await events.batch()) == 1
    await events.aclose()
    assert closed.is_set()
    assert asked == [("POST", "/backend-api/codex/responses?a=b", b'{"model":"m"}')]
    await transport.aclose()
