"""Measures of streams: paced, at once, many, large, and left alone."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Sequence

from benchmarks import corpora
from benchmarks.driver import UPGRADE, Answer, Client, Failed, began, check, one, request
from benchmarks.plays import Play
from benchmarks.servers import Server
from benchmarks.short import loop
from benchmarks.sizes import NEVER, Bench, Figures, Measure


async def paced(server: Server, road: str, bench: Bench) -> Figures:
    """Streams as in life: each event alone. Measured while all of them run."""
    per_event, _ = await _steady(server, road, bench, bench.sizes.paced_streams)
    return {f"paced.{road}": per_event * 100_000}


async def single(server: Server, road: str, bench: Bench) -> Figures:
    """The share of a core that one stream of 50 events/s takes."""
    _, share = await _steady(server, road, bench, 1)
    return {f"share.{road}": share * 100}


async def _steady(server: Server, road: str, bench: Bench, count: int) -> tuple[float, float]:
    """CPU seconds per event, and per second."""
    seconds, rate = bench.sizes.paced_seconds, 50
    play = Play("text", int((2 * seconds + 2) * rate), rate)
    async with began(server.port, request(road, play), count) as clients:
        await asyncio.sleep(0.3)
        return await _running(server, clients, seconds)


async def _running(
    server: Server, clients: Sequence[Client], seconds: float
) -> tuple[float, float]:
    """CPU seconds per event, and per second, of streams that are open."""
    cpu, marks, began_at = server.cpu(), _marks(clients), time.perf_counter()
    end = began_at + seconds
    while _marks(clients) == marks or time.perf_counter() < end:  # noqa: ASYNC110
        await asyncio.sleep(seconds)
    cpu, marks = server.cpu() - cpu, _marks(clients) - marks
    return cpu / marks, cpu / (time.perf_counter() - began_at)


def _marks(clients: Sequence[Client]) -> int:
    return sum(client.marks for client in clients)


async def saturation(server: Server, road: str, bench: Bench) -> Figures:
    per_second = await _burst(server, road, bench, Play("text", bench.sizes.deltas))
    return {f"saturation.{road}": per_second / 1000}


async def tool_calls(server: Server, road: str, bench: Bench) -> Figures:
    per_second = await _burst(server, road, bench, Play("tool", bench.sizes.deltas))
    return {f"tools.{road}": 100_000 / per_second}


async def corpus(server: Server, road: str, bench: Bench) -> Figures:
    """What models write, kind by kind; `escapes`: as a share of what plain deltas reach."""
    warm, count = Play(corpora.PLAIN, bench.sizes.deltas), bench.sizes.connections
    await loop(server, road, warm, count, 2 * count)
    rates = {
        kind: await _rate(server, road, bench, Play(kind, bench.sizes.deltas))
        for kind in corpora.KINDS
    }
    shares = {
        f"escapes.{kind}.{road}": each / rates[plain]
        for kind, each in rates.items()
        if (plain := corpora.base(kind))
    }
    return {f"corpus.{kind}.{road}": each / 1000 for kind, each in rates.items()} | shares


async def _burst(server: Server, road: str, bench: Bench, play: Play) -> float:
    """Events per CPU second, of streams that come all at once, again and again."""
    await loop(server, road, play, bench.sizes.connections, bench.sizes.connections)
    return await _rate(server, road, bench, play)


async def _rate(server: Server, road: str, bench: Bench, play: Play) -> float:
    """The same, of a server that is warm."""
    sizes, start, count = bench.sizes, server.cpu(), 0
    for _ in range(sizes.bursts):
        count += await loop(server, road, play, sizes.connections, sizes.connections)
        if server.cpu() - start > sizes.cpu_seconds:
            break
    return count * play.count / (server.cpu() - start)


async def image(server: Server, road: str, bench: Bench) -> Figures:
    play = Play("image", bench.sizes.image_megabytes)
    straight = [await one(bench.backend, request("direct", play)) for _ in range(3)]
    before = server.memory()
    server.forget_peak()
    through = [check(await one(server.port, request(road, play)), play) for _ in range(3)]
    return {
        "image.added": _median_ms(through) - _median_ms(straight),
        "image.peak": server.memory("VmHWM") - before,
    }


def _median_ms(answers: list[Answer]) -> float:
    return statistics.median(answer.ended - answer.began for answer in answers) * 1000


async def leavers(server: Server, road: str, bench: Bench) -> Figures:
    """Clients go away in the middle: until when the backend still works for nobody."""
    play = Play("text", 200, 50)
    async with began(server.port, request(road, play), bench.sizes.leavers):
        await asyncio.sleep(0.1)
        left = time.monotonic()
    if await bench.open_streams(within=3):
        return {"leavers": NEVER}
    return {"leavers": (bench.counts()["closed"] - left) * 1000}


async def stalled(server: Server, road: str, bench: Bench) -> Figures:
    """Readers that stop reading: what of their streams the server takes in for them, or the least of
    it, where there is no end of it."""
    play = Play("text", bench.sizes.long_deltas)
    before = server.memory()
    server.forget_peak()
    async with began(server.port, request(road, play), bench.sizes.stalled, stall=True):
        grown, end = 0.0, time.monotonic() + bench.sizes.stalls
        while (now := server.memory("VmHWM")) > grown and time.monotonic() < end:
            grown = now
            await asyncio.sleep(0.5)
    return {f"stalled.{road}": grown - before}


async def long_answer(server: Server, road: str, bench: Bench) -> Figures:
    """A stream that is read to its end as fast as it comes: what the server takes for it."""
    play = Play("text", bench.sizes.long_deltas)
    before = server.memory()
    server.forget_peak()
    check(await one(server.port, request(road, play)), play)
    return {f"long.{road}": server.memory("VmHWM") - before}


async def idle_sockets(server: Server, road: str, bench: Bench) -> Figures:
    """WebSockets that say nothing: what they take."""
    before, opened = server.memory(), list[asyncio.StreamWriter]()
    for _ in range(bench.sizes.sockets):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        opened.append(writer)
        writer.write(UPGRADE)
        if b" 101" not in await reader.readuntil(b"\r\n\r\n"):
            raise Failed("no WebSocket")
    grown = server.memory() - before
    for writer in opened:
        writer.transport.abort()
    return {"sockets": grown}


def many(count: int) -> Measure:
    """A measure of its own for each count: a server that has enough of them keeps the others."""

    async def measure(server: Server, road: str, bench: Bench) -> Figures:
        """Streams that are all open at once: for so long that the slowest peers can open them, and
        no longer, since some play on when their clients have left."""
        if count not in bench.sizes.streams:
            return {}
        server.forget_peak()
        seconds, rate = bench.sizes.paced_seconds, pace(count)
        slow = Play("text", int((2 * seconds + 2 + count / 50) * rate), rate)
        async with began(server.port, request(road, slow), count) as clients:
            if (now := bench.counts()["open"]) < count:
                raise Failed(f"only {now} of {count} streams were open at once")
            memory = server.memory("VmHWM")
            per_event, _ = await _running(server, clients, seconds)
        return {f"many.{count}": memory, f"many.{count}.cpu": per_event * 100_000}

    measure.__name__ = f"many_{count}"
    return measure


def pace(count: int) -> int:
    """Events a second of each of so many streams: 50 as in life, where this client keeps up."""
    return min(50, 2000 // count)
