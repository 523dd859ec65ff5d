"""Faults of the backend and of the network, before the first event and after it."""

from __future__ import annotations

import asyncio
import gzip
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.engine.transports import (
    COMPLETED,
    CREATED,
    DELTA,
    GOOD,
    READERS,
    SHORT,
    Answering,
    Read,
    outcome,
    patience,
    to,
)
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
from tests.ports import refusing_url
from tests.signers import Unsigned
from tests.wire_files import table

from codexapi_engine.client import collect_response
from codexapi_engine.errors import (
    BackendError,
    CodexError,
    ConnectFailed,
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
from codexapi_engine.http.messages import HttpRequest, HttpResponse, HttpTransport
from codexapi_engine.settings import Settings

LIMIT = {"error": {"type": "usage_limit_reached", "message": "The usage limit has been reached"}}


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
