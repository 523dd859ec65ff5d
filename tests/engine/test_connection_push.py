"""A body whose pieces are taken within the network's own call."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import pytest
from tests.engine.connections import (
    CHUNKED,
    ELL,
    GOOD,
    HELLO,
    OK,
    H,
    O,
    Takes,
    on_a_line,
    opened,
    request,
    rest,
)
from tests.faulty import HOLD, FaultyBackend, Script, chunk, head
from tests.lines import cut
from tests.virtual_time import hurried

from codexapi_engine.http import connection as road
from codexapi_engine.http import failures
from codexapi_engine.http.connection import READ_BUFFER


async def following(
    answer: road.ResponseParser, take: Callable[[bytes], bool]
) -> asyncio.Task[bool]:
    """A task that follows, and waits for something to come."""
    task = asyncio.create_task(answer.push(take))
    await asyncio.sleep(0)
    return task


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
