"""Staying alive: many streams, slow readers, storms of hang-ups, and an end that tells everybody."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest
from tests.faulty import HOLD, PATIENCE, Exchange, FaultyBackend, chunk, head
from tests.faulty import stream as streaming
from tests.http_server import raw
from tests.http_server.doors import MODEL, Door, chat, distant_door, responses
from tests.http_server.raw import JsonObject, post
from tests.live.test_serve import serving
from tests.logins import write_login
from tests.matrix.by_mcp import mcp_client, tool_told
from tests.matrix.doors import LOGIN
from tests.matrix.faults import ANSWER, SAID, UNTIL, begun, encoded, ended
from tests.wire_files import events

CHAT, RESPONSES, COMPLETIONS = "/v1/chat/completions", "/v1/responses", "/v1/completions"
LONG = pytest.mark.long

pytestmark = pytest.mark.timeout(120)


def asked(number: int, prompt: str = "hi") -> tuple[str, JsonObject]:
    """A request for a stream, in each dialect by turns."""
    return [
        (CHAT, chat(prompt, stream=True)),
        (RESPONSES, responses(prompt, stream=True, store=False)),
        (COMPLETIONS, {"model": MODEL, "prompt": prompt, "stream": True}),
    ][number % 3]


# The end.


@pytest.mark.parametrize("count", [120, pytest.param(1000, marks=LONG)])
async def test_at_the_end_every_single_stream_is_told(tmp_path: Path, count: int) -> None:
    write_login(tmp_path, LOGIN)
    async with FaultyBackend(otherwise=[head() + b"".join(map(chunk, UNTIL)), HOLD]) as backend:
        async with serving(tmp_path, url=backend.url, drain=0.05) as server:
            ready = asyncio.Semaphore(0)

            async def one(number: int) -> str:
                path, body = asked(number)
                body["stream"] = number % 4 != 3
                async with raw.connect(server.port) as client:
                    await client.send(post(path, body))
                    if not body["stream"]:  # its client has nothing to read yet
                        await backend.until(lambda: len(backend.requests) == count)
                        ready.release()
                        return str((await client.reply()).error["code"])
                    assert (await client.head()).status == 200
                    told = await client.piece()
                    ready.release()
                    told += b"".join([piece async for piece in client.pieces()])
                    assert b"[DONE]" not in told
                    return str(events(told)[-1].json["error"]["code"])

            streams = [asyncio.create_task(one(number)) for number in range(count)]
            for _ in streams:
                await ready.acquire()
            server.signal(signal.SIGTERM)
            codes = await asyncio.gather(*streams, return_exceptions=True)
            assert Counter(map(repr, codes)) == {repr("shutting_down"): count}
            code, said = await server.ended()
    assert (code, "Traceback" in said) == (143, False)


# Readers that take their time.


class Flood:
    """Sends without end, and counts what it could get rid of."""

    def __init__(self) -> None:
        self.sent = 0

    async def __call__(self, exchange: Exchange) -> None:
        piece = chunk(encoded(begun("x" * 4000))[-1] * 16)
        while not exchange.gone.is_set():
            await exchange.send(piece)
            self.sent += len(piece)
            await asyncio.sleep(0)


@pytest.mark.parametrize("number", range(3), ids=["chat", "responses", "completions"])
async def test_one_who_does_not_read_holds_back_the_backend_itself(number: int) -> None:
    """Counted where it is sent: what nobody takes must not be taken in. Four sockets hold some
    megabytes each, by the system's own measure; a flood that goes on is many times that."""
    flood, most = Flood(), 200_000_000
    path, body = asked(number, "flood")

    async def answer(exchange: Exchange) -> None:
        if b"flood" in exchange.request.body:
            await exchange.send(head() + b"".join(map(chunk, UNTIL)))
            await flood(exchange)
        await exchange.send(streaming(*SAID))

    async with FaultyBackend(otherwise=[answer]) as backend:
        async with distant_door(backend.url, LOGIN) as server:
            async with raw.connect(server.port, limit=1024) as lazy:
                await lazy.send(post(path, body))
                await lazy.head()
                before, still = -1, 0
                while still < 20 and flood.sent < most:
                    reply = await server.reply(post(CHAT, chat("quick")))  # nobody else waits
                    assert reply.status == 200
                    still = still + 1 if flood.sent == before else 0
                    before = flood.sent
                assert flood.sent < most / 4, "the reader's slowness never reached the backend"
                lazy.leave()
            await backend.until(lambda: len(backend.open) <= 1)


# Storms.


async def test_a_storm_of_hang_ups_leaves_nothing_behind() -> None:
    """300 clients leave, each at another moment; then 300 more. Connections, open files and threads
    are then what they were before."""
    moments = [b"", head(), head() + chunk(UNTIL[0]), head() + b"".join(map(chunk, UNTIL))]

    async def answer(exchange: Exchange) -> None:
        if b"patient" in exchange.request.body:
            await exchange.send(streaming(*SAID))
            return
        await exchange.send(moments[len(backend.requests) % len(moments)])
        await HOLD(exchange)

    async with FaultyBackend(otherwise=[answer]) as backend:
        async with distant_door(backend.url, LOGIN) as server:

            async def leave(number: int) -> None:
                path, body = asked(number, "rude")
                async with raw.connect(server.port) as client:
                    await client.send(post(path, {**body, "stream": number % 2 == 0}))
                    for _ in range(number % 97):  # each a little later than the one before
                        await asyncio.sleep(0)
                    client.leave()

            def now() -> tuple[int, int]:
                """Without the connections that wait to be used again, of which we see both ends."""
                return open_files() - 2 * len(backend.open), threading.active_count()

            assert await patient(server, 10) == [200] * 10
            before = now()
            for _ in range(2):
                await asyncio.gather(*(leave(number) for number in range(300)))
                assert await patient(server, 10) == [200] * 10
                async with asyncio.timeout(PATIENCE):
                    while now() != before or len(backend.open) > 20:  # noqa: ASYNC110  (nobody tells)
                        await asyncio.sleep(0.01)
        await backend.until(lambda: not backend.open)


async def patient(server: Door, count: int) -> list[int]:
    replies = await asyncio.gather(
        *(server.reply(post(CHAT, chat("patient"))) for _ in range(count))
    )
    return [reply.status for reply in replies]


def open_files() -> int:
    """Of this process; 0 where the system does not say."""
    return len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0


# Many at once.

DELTAS = 10


@pytest.mark.parametrize("count", [200, pytest.param(1000, marks=LONG)])
async def test_of_many_slow_streams_none_is_dropped_and_no_word_is_lost(count: int) -> None:
    """Slow by steps and not by the clock: no stream's next word is sent before every client has
    the last one, so all of them are open all the time."""
    words = [f"{number} " for number in range(DELTAS)]
    said = [asyncio.Event() for _ in words]
    heard = [0] * DELTAS
    most = 0

    async def answer(exchange: Exchange) -> None:
        nonlocal most
        most = max(most, len(backend.open))
        await exchange.send(head() + b"".join(map(chunk, encoded(begun()))))
        for number, word in enumerate(words):
            await exchange.send(chunk(encoded(begun(word))[-1]))
            await exchange.wait(said[number])
        await exchange.send(b"".join(map(chunk, encoded(ended("".join(words))))) + b"0\r\n\r\n")

    async with FaultyBackend(otherwise=[answer]) as backend:
        async with distant_door(backend.url, LOGIN, keep_alive=600.0) as server:

            async def one(number: int) -> str:
                path, body = asked(number)
                told, heard_here = b"", 0
                async with raw.connect(server.port) as client:
                    await client.send(post(path, body))
                    assert (await client.head()).status == 200
                    async for piece in client.pieces():
                        told += piece
                        # Words are counted as they come: each ends in a space and a quote.
                        while heard_here < DELTAS and b'"%d "' % heard_here in told:
                            heard[heard_here] += 1
                            if heard[heard_here] == count:
                                said[heard_here].set()
                            heard_here += 1
                assert told.endswith(b"data: [DONE]\n\n")
                return text(path, told)

            texts = await asyncio.gather(*(one(number) for number in range(count)))
    assert Counter(texts) == {"".join(words): count}
    assert most == count, "they were open together"
    assert (len(backend.requests), heard) == (count, [count] * DELTAS)


def text(path: str, told: bytes) -> str:
    found = [event.json for event in events(told) if event.data != b"[DONE]"]
    if path == RESPONSES:
        return "".join(one["delta"] for one in found if one["type"].endswith("output_text.delta"))
    choices = [choice for one in found for choice in one["choices"]]
    return "".join(
        (choice["delta"].get("content") or "") if "delta" in choice else choice["text"]
        for choice in choices
    )


async def test_a_hundred_tool_calls_at_once_are_all_answered() -> None:
    together = asyncio.Event()

    async def answer(exchange: Exchange) -> None:
        if len(backend.requests) == 100:
            together.set()
        await exchange.wait(together)
        await exchange.send(streaming(*SAID))

    async with FaultyBackend(otherwise=[answer]) as backend, mcp_client(backend.url, {}) as client:
        asked = (client.call_tool("generate_text", {"prompt": str(n)}) for n in range(100))
        told = [tool_told(result) for result in await asyncio.gather(*asked)]
    assert Counter((one.text, one.finish) for one in told) == {(ANSWER, "stop"): 100}


# Very many, one after the other.

REQUESTS = 100_000
WARM_UP = 10_000
GROWTH = 24 * 1024 * 1024
"""Bytes: less than 280 for each request, and a list of what came in would be more; above what an
allocator keeps between one peak and the next."""


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_a_hundred_thousand_requests_leave_the_memory_as_it_was(tmp_path: Path) -> None:
    """A third of the clients leave early. Memory is that of the server's own process."""
    write_login(tmp_path, LOGIN)
    answers = [streaming(*SAID), head() + b"".join(map(chunk, UNTIL))]

    async def answer(exchange: Exchange) -> None:
        rude = b"rude" in exchange.request.body
        await exchange.send(answers[rude])
        if rude:
            await HOLD(exchange)
        backend.requests.clear()

    async with FaultyBackend(otherwise=[answer]) as backend:
        async with serving(tmp_path, "--quiet", url=backend.url) as server:
            process = Path(f"/proc/{server.process.pid}")

            async def one(number: int) -> None:
                rude = number % 3 == 0
                path, body = asked(number // 3, "rude" if rude else "patient")
                body["stream"] = number % 2 == 0
                async with raw.connect(server.port) as client:
                    await client.send(post(path, body))
                    if not rude:
                        assert (await client.reply()).status == 200
                        return
                    for _ in range(number % 53):
                        await asyncio.sleep(0)
                    if body["stream"] and number % 4 == 0:
                        await client.piece() if (await client.head()).status == 200 else None
                    client.leave()

            async def many(numbers: range) -> tuple[int, int, int]:
                left = iter(numbers)

                async def worker() -> None:
                    for number in left:
                        await one(number)

                await asyncio.gather(*(worker() for _ in range(16)))
                await backend.until(lambda: len(backend.open) <= 20)
                for _ in range(3):  # the server has seen the last hang-ups by now
                    assert (await server.reply(post(CHAT, chat("patient")))).status == 200
                threads = len(list((process / "task").iterdir()))
                return resident(process), len(list((process / "fd").iterdir())), threads

            memory, open_files, threads = await many(range(WARM_UP))
            after, files_after, threads_after = await many(range(WARM_UP, REQUESTS))
            print(f"memory {memory >> 10} kB, then {after >> 10} kB; files {open_files}, "
                  f"{files_after}; threads {threads}, {threads_after}")  # fmt: skip
            server.signal(signal.SIGTERM)
            assert await server.ended() == (143, "")
        await backend.until(lambda: not backend.open)
    assert after - memory < GROWTH
    assert files_after <= open_files + 20
    assert threads_after <= threads + 1


def resident(process: Path) -> int:
    (line,) = [
        line for line in (process / "status").read_text().split("\n") if line.startswith("VmRSS")
    ]
    return int(line.split()[1]) * 1024
