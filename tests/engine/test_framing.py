"""Framing, without a network: bytes in, an answer out."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.engine.connections import CHUNKED, GOOD, OK, on_a_line, opened, request, rest
from tests.faulty import FaultyBackend, Script
from tests.lines import cut

from codexapi_engine.bounds import MAX_RESPONSE_HEAD_BYTES
from codexapi_engine.http import failures


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
