"""The rows of the table: what each is called, how it is measured, and what was promised.

A measure asks one server once and returns figures by key; FIGURES says what they are.
"""

from __future__ import annotations

import asyncio
import json
import math
import socket
import statistics
import subprocess
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.driver import (
    UPGRADE,
    Answer,
    Client,
    Failed,
    began,
    check,
    connections,
    count_request,
    one,
    request,
    turn_request,
)
from benchmarks.plays import Play
from benchmarks.servers import OURS, SERVER_CORE, Server, on_core
from codexapi_engine.protocol import anthropic, responses

SHORT = Play("text", 20)
STREAMS = (100, 500, 1000)
LARGE = 256 * 1024
TURN = 140_000
"""Bytes of a turn of Claude Code's, with tools."""
NEVER = math.inf

Figures = dict[str, float]


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is done for one figure."""

    samples: int = 150  # of the time to the first token
    large: int = 60  # with a large request
    connections: int = 16
    requests: int = 800  # short ones
    paced_seconds: float = 3.0
    paced_streams: int = 20
    deltas: int = 500  # of a stream at saturation
    bursts: int = 12  # at the most, of `connections` streams each
    cpu_seconds: float = 0.6  # of the server, that end a saturation sooner
    image_megabytes: int = 8
    streams: tuple[int, ...] = STREAMS
    thinks: int = 1000  # milliseconds
    leavers: int = 20
    sockets: int = 1000  # that are idle
    stalled: int = 4
    stalled_deltas: int = 80_000  # 20 MB
    stalls: float = 15.0  # seconds, if a server takes in more and more


QUICK = Sizes(
    samples=60, large=20, requests=200, paced_seconds=1.0, bursts=5, cpu_seconds=0.3,
    streams=(100, 1000), stalls=5.0,
)  # fmt: skip
TINY = Sizes(
    samples=5, large=5, requests=32, paced_seconds=0.2, paced_streams=4, deltas=50, bursts=1,
    image_megabytes=1, sockets=20, streams=(100,), thinks=50, leavers=3, stalled=1,
    stalled_deltas=4000,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Bench:
    """What a measure is given beside the server."""

    backend: int  # its port
    sizes: Sizes

    def counts(self) -> dict[str, Any]:
        """What the backend has counted. Blocks, for less than a millisecond."""
        with socket.create_connection(("127.0.0.1", self.backend)) as asking:
            asking.sendall(b"GET /counts HTTP/1.1\r\n\r\n")
            counts: dict[str, Any] = json.loads(asking.recv(4096).partition(b"\r\n\r\n")[2])
            return counts

    async def open_streams(self, *, within: float) -> int:
        """How many streams are open at the backend, when none is or the time is over."""
        deadline = time.monotonic() + within
        while (count := self.counts()["open"]) and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.002)
        return int(count)


async def started(server: Server, road: str, bench: Bench) -> Figures:
    """Right after the start: the first answer of all, and what the server is then."""
    answer = check(await one(server.port, request(road, SHORT)), SHORT)
    figures = {"start": (answer.ended - server.spawned) * 1000}
    for _ in range(3):
        await one(server.port, request(road, SHORT))
    figures["idle"] = server.memory()
    if server.help:
        figures["help"] = _help_ms(server)
    return figures


def _help_ms(server: Server) -> float:
    null = subprocess.DEVNULL
    with on_core(SERVER_CORE):
        began_at = time.perf_counter()
        subprocess.run(
            server.help, env=server.env, stdin=null, stdout=null, stderr=null, check=True
        )
        return (time.perf_counter() - began_at) * 1000


async def first_token(server: Server, road: str, bench: Bench) -> Figures:
    p50, p99 = await _added(server, road, bench, bench.sizes.samples)
    return {f"first.{road}.p50": p50, f"first.{road}.p99": p99}


async def first_token_large(server: Server, road: str, bench: Bench) -> Figures:
    p50, _ = await _added(server, road, bench, bench.sizes.large, padding=LARGE)
    return {f"large.{road}.p50": p50}


async def turn(server: Server, road: str, bench: Bench) -> Figures:
    """The CPU of an agent's turn: most of it is spent to translate the request."""
    data = turn_request(SHORT, TURN)
    async with connections(server.port, 1) as (client,):
        for _ in range(3):
            check(await client.ask(data), SHORT)
        cpu = server.cpu()
        for _ in range(bench.sizes.large):
            check(await client.ask(data), SHORT)
        cpu = server.cpu() - cpu
    return {f"turn.{road}": cpu / bench.sizes.large * 1000}


async def translation(server: Server, road: str, bench: Bench) -> Figures:
    """What of it is ours to save: from the client's object to the backend's, in this process."""
    if server.name != OURS:
        return {}
    body = json.loads(turn_request(SHORT, TURN).partition(b"\r\n\r\n")[2])
    began_at = time.process_time()
    for _ in range(bench.sizes.large):
        sent, _, _ = anthropic.from_client(body, model=body["model"])
        anthropic.tokens(sent)
        responses.to_backend(sent)
    return {f"translation.{road}": (time.process_time() - began_at) / bench.sizes.large * 1000}


async def _added(
    server: Server, road: str, bench: Bench, samples: int, *, padding: int = 0
) -> tuple[float, float]:
    """What the server adds to the time to the first token, one request at a time: p50, p99."""
    through, direct = (request(way, SHORT, padding=padding) for way in (road, "direct"))
    async with connections(server.port, 1) as (door,), connections(bench.backend, 1) as (straight,):
        times: dict[Client, list[float]] = {door: [], straight: []}
        for number in range(samples + 5):
            for client, data in ((straight, direct), (door, through)):
                answer = check(await client.ask(data), SHORT)
                if number >= 5:
                    times[client].append(answer.first_ms)
    base, ranked = statistics.median(times[straight]), sorted(times[door])
    return statistics.median(ranked) - base, ranked[int(len(ranked) * 0.99)] - base


async def short_requests(server: Server, road: str, bench: Bench) -> Figures:
    """A closed loop on some connections; a request's share of the CPU, not of the clock, since the
    driver may well be slower than the server."""
    await loop(server, road, SHORT, bench.sizes.connections, bench.sizes.connections * 2)
    before, cpu, began_at = bench.counts(), server.cpu(), time.perf_counter()
    count = await loop(server, road, SHORT, bench.sizes.connections, bench.sizes.requests)
    cpu, wall, after = server.cpu() - cpu, time.perf_counter() - began_at, bench.counts()
    return {
        f"requests.{road}": count / cpu,
        f"rate.{road}": count / wall,
        f"connects.{road}": (after["connects"] - before["connects"]) / count,
    }


async def loop(server: Server, road: str, play: Play, count: int, total: int) -> int:
    """So many answers in all, each connection busy all the time."""
    data, each = request(road, play), math.ceil(total / count)

    async def worker(client: Client) -> None:
        for _ in range(each):
            check(await client.ask(data), play)

    async with connections(server.port, count) as clients:
        await asyncio.gather(*(worker(client) for client in clients))
    return each * count


async def paced(server: Server, road: str, bench: Bench) -> Figures:
    """Streams as in life: each event alone. Measured while all of them run."""
    per_event, _ = await _steady(server, road, bench, bench.sizes.paced_streams)
    return {f"paced.{road}": per_event * 100_000}


async def person(server: Server, road: str, bench: Bench) -> Figures:
    """What one person feels: seconds to the first token of a model that thinks first, through the
    server and straight."""
    play, figures = Play(wait=bench.sizes.thinks), {}
    for name, port, way in (("felt", server.port, road), ("felt.direct", bench.backend, "direct")):
        figures[name] = check(await one(port, request(way, play)), play).first_ms / 1000
    return figures


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
        cpu, marks, began_at = server.cpu(), _marks(clients), time.perf_counter()
        end = began_at + seconds
        while _marks(clients) == marks or time.perf_counter() < end:  # noqa: ASYNC110
            await asyncio.sleep(seconds)
        cpu, marks = server.cpu() - cpu, _marks(clients) - marks
        passed = time.perf_counter() - began_at
    return cpu / marks, cpu / passed


def _marks(clients: Sequence[Client]) -> int:
    return sum(client.marks for client in clients)


async def saturation(server: Server, road: str, bench: Bench) -> Figures:
    per_second = await _burst(server, road, bench, Play("text", bench.sizes.deltas))
    return {f"saturation.{road}": per_second / 1000}


async def tool_calls(server: Server, road: str, bench: Bench) -> Figures:
    per_second = await _burst(server, road, bench, Play("tool", bench.sizes.deltas))
    return {f"tools.{road}": 100_000 / per_second}


async def _burst(server: Server, road: str, bench: Bench, play: Play) -> float:
    """Events per CPU second, of streams that come all at once, again and again."""
    sizes = bench.sizes
    await loop(server, road, play, sizes.connections, sizes.connections)
    start, count = server.cpu(), 0
    for _ in range(sizes.bursts):
        count += await loop(server, road, play, sizes.connections, sizes.connections)
        if server.cpu() - start > sizes.cpu_seconds:
            break
    return count * play.count / (server.cpu() - start)


async def counts(server: Server, road: str, bench: Bench) -> Figures:
    """As Claude Code asks for them: 25 at once, of 50 kB each."""
    data = count_request(50_000)
    async with connections(server.port, 25) as clients:
        answers = await asyncio.gather(*(client.ask(data) for client in clients))
    took = max(a.ended for a in answers) - min(a.began for a in answers)
    return {f"counts.{road}": took * 1000}


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
    play = Play("text", bench.sizes.stalled_deltas)
    before = server.memory()
    server.forget_peak()
    async with began(server.port, request(road, play), bench.sizes.stalled, stall=True):
        grown, end = 0.0, time.monotonic() + bench.sizes.stalls
        while (now := server.memory("VmHWM")) > grown and time.monotonic() < end:
            grown = now
            await asyncio.sleep(0.5)
    return {"stalled": grown - before}


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


Measure = Callable[[Server, str, Bench], Awaitable[Figures]]


def many(count: int) -> Measure:
    """A measure of its own for each count: a server that has enough of them keeps the others."""

    async def measure(server: Server, road: str, bench: Bench) -> Figures:
        """Slow streams, all open at once: for so long that the slowest peers can open them, and no
        longer, since some play on when their clients have left."""
        if count not in bench.sizes.streams:
            return {}
        server.forget_peak()
        slow = Play("text", 2 + count // 50, 1)
        async with began(server.port, request(road, slow), count):
            if (now := bench.counts()["open"]) < count:
                raise Failed(f"only {now} of {count} streams were open at once")
            return {f"many.{count}": server.memory("VmHWM")}

    measure.__name__ = f"many_{count}"
    return measure


ONCE = tuple(many(count) for count in STREAMS)
"""In the first round alone: they take longest, and differ least from round to round."""

# On the first of the roads that a server has. `many` first: what later measures leave behind in a server's memory would be counted.
MEASURES: tuple[tuple[Measure, tuple[str, ...]], ...] = (
    *((measure, ("chat", "responses")) for measure in ONCE),
    (first_token, ("responses",)),
    (first_token, ("chat",)),
    (first_token_large, ("responses",)),
    (first_token_large, ("chat",)),
    (short_requests, ("responses",)),
    (short_requests, ("chat",)),
    (short_requests, ("whole",)),
    (paced, ("responses",)),
    (paced, ("chat",)),
    (person, ("chat", "responses")),
    (single, ("responses",)),
    (single, ("chat",)),
    (saturation, ("responses",)),
    (saturation, ("chat",)),
    (tool_calls, ("chat",)),
    (first_token, ("messages",)),
    (first_token_large, ("messages",)),
    (turn, ("messages",)),
    (translation, ("messages",)),
    (paced, ("messages",)),
    (saturation, ("messages",)),
    (tool_calls, ("messages",)),
    (counts, ("count",)),
    (idle_sockets, ("socket",)),
    (first_token, ("socket",)),
    (paced, ("socket",)),
    (saturation, ("socket",)),
    (first_token, ("ollama",)),
    (paced, ("ollama",)),
    (saturation, ("ollama",)),
    (image, ("responses",)),
    (leavers, ("chat", "responses")),
    (stalled, ("chat", "responses")),
)


@dataclass(frozen=True, slots=True)
class Figure:
    """A row of the table. `goal`: the ratio to the Go peer that was promised, or the value."""

    title: str
    goal: str = ""
    more: bool = False  # is better
    digits: int = 1


def _figures() -> dict[str, Figure]:
    roads = {"responses": "Responses", "chat": "Chat", "whole": "Chat whole"}
    table: dict[str, Figure] = {}
    for share, goal in (("p50", "≤ 1.0 ×"), ("p99", "≤ 1.3 ×")):
        for road in ("responses", "chat"):
            title = f"added first-token time {share}, {roads[road]}, ms"
            table[f"first.{road}.{share}"] = Figure(title, goal, digits=2)
    for road in ("responses", "chat"):
        title = f"the same p50 with a request of 256 KB, {roads[road]}, ms"
        table[f"large.{road}.p50"] = Figure(title, digits=2)
    for road in ("responses", "chat"):
        title = f"CPU per 100,000 events paced, {roads[road]}, s"
        table[f"paced.{road}"] = Figure(title, "≤ 1.0 ×", digits=2)
    for road, goal in (("responses", "≥ 8 ×"), ("chat", "≥ 6 ×")):
        title = f"events per CPU second at saturation, {roads[road]}, thousands"
        table[f"saturation.{road}"] = Figure(title, goal, more=True)
    table["tools.chat"] = Figure("CPU per 100,000 tool-call deltas, Chat, s", digits=2)
    for road, name in roads.items():
        title = f"short requests per CPU second, {name}"
        table[f"requests.{road}"] = Figure(title, "≥ 2 ×", more=True, digits=0)
    for road, name in roads.items():
        title = f"short requests per second by the clock, {name}"
        table[f"rate.{road}"] = Figure(title, more=True, digits=0)
    for road, name in roads.items():
        title = f"connects to the backend per request, {name}"
        table[f"connects.{road}"] = Figure(title, "< 0.01", digits=3)
    table |= _messages_figures() | _ollama_figures()
    table |= _socket_figures()
    table |= {
        "image.added": Figure("image of 8 MB in one event, added, ms", "≤ 0.25 ×"),
        "image.peak": Figure("image of 8 MB in one event, peak growth, MB", "≤ 24"),
        "start": Figure("start to the first good answer, ms", "≤ 400", digits=0),
        "help": Figure("`--help`, ms", digits=0),
        "idle": Figure("memory idle, MB", "≤ 60"),
        **{f"many.{n}": Figure(f"memory at {n:,} slow Chat streams, MB") for n in (100, 500)},
        "many.1000": Figure("memory at 1,000 slow Chat streams, MB", "≤ 1.3 ×"),
        "leavers": Figure("20 clients leave: all backend streams closed after, ms"),
        "stalled": Figure("4 readers stall on 20 MB streams: growth, MB"),
        "felt": Figure("a model that thinks for a second: to the first token, s", digits=3),
        "felt.direct": Figure("the same, straight from the backend, s", digits=3),
        "share.chat": Figure("one Chat stream of 50 events/s, % of a core", "< 0.5", digits=2),
        "share.responses": Figure("one Responses stream of 50 events/s, % of a core", digits=2),
    }
    return table


def _socket_figures() -> dict[str, Figure]:
    """Of Responses over a WebSocket, which the Go peer lacks too."""
    return {
        "first.socket.p50": Figure("added first-token time p50, WebSocket, ms", digits=2),
        "first.socket.p99": Figure("added first-token time p99, WebSocket, ms", digits=2),
        "paced.socket": Figure("CPU per 100,000 events paced, WebSocket, s", digits=2),
        "saturation.socket": Figure(
            "events per CPU second at saturation, WebSocket, thousands", more=True
        ),
        "sockets": Figure("1,000 idle WebSockets: growth, MB", "≤ 40"),
    }


def _messages_figures() -> dict[str, Figure]:
    """Of a dialect that the Go peer lacks."""
    return {
        "first.messages.p50": Figure("added first-token time p50, Messages, ms", digits=2),
        "first.messages.p99": Figure("added first-token time p99, Messages, ms", digits=2),
        "large.messages.p50": Figure(
            "the same p50 with a request of 256 KB, Messages, ms", digits=2
        ),
        "turn.messages": Figure("CPU of an agent's turn of 140 KB, Messages, ms", digits=2),
        "translation.messages": Figure("CPU of its translation, in process, ms", "≤ 5", digits=2),
        "paced.messages": Figure("CPU per 100,000 events paced, Messages, s", digits=2),
        "saturation.messages": Figure(
            "events per CPU second at saturation, Messages, thousands", more=True
        ),
        "tools.messages": Figure("CPU per 100,000 tool-call deltas, Messages, s", digits=2),
        "counts.count": Figure("25 counts of tokens at once, 50 KB each, ms", "≤ 300"),
    }


def _ollama_figures() -> dict[str, Figure]:
    """Likewise."""
    return {
        "first.ollama.p50": Figure("added first-token time p50, Ollama, ms", digits=2),
        "first.ollama.p99": Figure("added first-token time p99, Ollama, ms", digits=2),
        "paced.ollama": Figure("CPU per 100,000 events paced, Ollama, s", digits=2),
        "saturation.ollama": Figure(
            "events per CPU second at saturation, Ollama, thousands", more=True
        ),
    }


MESSAGES = frozenset(_messages_figures())
FIGURES = _figures()
