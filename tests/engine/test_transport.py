"""Requests that the transport sends, and what it makes of good answers."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any

import pytest
from tests.engine.transports import (
    COMPLETED,
    CREATED,
    DELTA,
    GOOD,
    Answering,
    ask,
    outcome,
    patience,
    to,
)
from tests.faulty import (
    HOLD,
    LAST_CHUNK,
    RST,
    FaultyBackend,
    Script,
    chunk,
    endless,
    head,
    stream,
    whole,
)
from tests.signers import Unsigned
from tests.wire_files import wire

from codexapi_engine.errors import (
    BackendError,
    CodexError,
    ConnectFailed,
    InvalidRequest,
    LoginExpired,
    StreamInterrupted,
    TimedOut,
    UnexpectedAnswer,
)
from codexapi_engine.http.client import Transport, connect
from codexapi_engine.http.event_stream import EventStream
from codexapi_engine.http.in_process import in_process
from codexapi_engine.http.messages import HttpResponse
from codexapi_engine.login.token_endpoint import ask_token_endpoint
from codexapi_engine.protocol import sse
from codexapi_engine.protocol.auth_file import Credentials
from codexapi_engine.settings import Settings

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


@pytest.mark.parametrize(
    "content",
    [None, b"no certificate", b"-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY-----\n"],
)
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
