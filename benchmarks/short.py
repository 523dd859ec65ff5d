"""Measures of requests: the time to the first token, and what short and large ones cost."""

from __future__ import annotations

import asyncio
import json
import math
import statistics
import time
from dataclasses import replace

from benchmarks.driver import Client, check, connections, count_request, one, request, turn_request
from benchmarks.plays import Play
from benchmarks.servers import OURS, Server, bare_ms, run_ms
from benchmarks.sizes import BODIES, KILOBYTE, SHORT, Bench, Figures, Measure
from codexapi_engine.protocol import anthropic, responses

TURN = 140_000
"""Bytes of a turn of Claude Code's, with tools."""

_NEW = replace(SHORT, closes=True)
"""The backend closes after the answer: every request needs a connection."""


async def started(server: Server, road: str, bench: Bench) -> Figures:
    """Right after the start: the first answer of all, and what the server is then."""
    answer = check(await one(server.port, request(road, SHORT)), SHORT)
    start = (answer.ended - server.spawned) * 1000
    bare = statistics.median(bare_ms(bench.python) for _ in range(3))
    figures = {"start": start, "start.bare": start / bare}
    for _ in range(3):
        await one(server.port, request(road, SHORT))
    figures["idle"] = server.memory()
    if server.help:
        figures["help"] = run_ms(server.help, server.env)
    return figures


async def first_token(server: Server, road: str, bench: Bench) -> Figures:
    p50, p99 = await _added(server, road, bench, bench.sizes.samples)
    return {f"first.{road}.p50": p50, f"first.{road}.p99": p99}


async def first_token_new(server: Server, road: str, bench: Bench) -> Figures:
    """Each on a connection of its own to the backend, where the straight ones keep theirs."""
    p50, _ = await _added(server, road, bench, bench.sizes.samples, play=_NEW)
    return {f"new.{road}.p50": p50}


def large(size: int) -> Measure:
    """A measure for each size of a request."""

    async def measure(server: Server, road: str, bench: Bench) -> Figures:
        if size not in bench.sizes.bodies:
            return {}
        samples = max(3, bench.sizes.large * BODIES[0] // size)
        name = f"large.{size // KILOBYTE}.{road}"
        before, cpu = server.memory(), server.cpu()
        server.forget_peak()
        p50, _ = await _added(server, road, bench, samples, padding=size)
        return {
            f"{name}.p50": p50,
            f"{name}.rate": (samples + _warm(samples)) / (server.cpu() - cpu),
            f"{name}.peak": server.memory("VmHWM") - before,
        }

    measure.__name__ = f"large_{size // KILOBYTE}"
    return measure


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
    server: Server, road: str, bench: Bench, samples: int, *, padding: int = 0, play: Play = SHORT
) -> tuple[float, float]:
    """What the server adds to the time to the first token, one request at a time: p50, p99."""
    through = request(road, play, padding=padding)
    direct = request("direct", SHORT, padding=padding)
    warm = _warm(samples)
    async with connections(server.port, 1) as (door,), connections(bench.backend, 1) as (straight,):
        times: dict[Client, list[float]] = {door: [], straight: []}
        for number in range(samples + warm):
            for client, data in ((straight, direct), (door, through)):
                answer = check(await client.ask(data), SHORT)
                if number >= warm:
                    times[client].append(answer.first_ms)
    base, ranked = statistics.median(times[straight]), sorted(times[door])
    return statistics.median(ranked) - base, ranked[int(len(ranked) * 0.99)] - base


def _warm(samples: int) -> int:
    """Requests that come before those that count."""
    return min(5, samples // 2)


async def short_requests(server: Server, road: str, bench: Bench) -> Figures:
    """A closed loop on some connections; a request's share of the CPU, not of the clock, since the
    driver may well be slower than the server."""
    count, cpu, wall, connects = await _closed_loop(server, road, bench, SHORT)
    return {
        f"requests.{road}": count / cpu,
        f"rate.{road}": count / wall,
        f"connects.{road}": connects / count,
    }


async def short_requests_new(server: Server, road: str, bench: Bench) -> Figures:
    """The same, each on a connection of its own to the backend."""
    count, cpu, _, _ = await _closed_loop(server, road, bench, _NEW)
    return {f"requests_new.{road}": count / cpu}


async def _closed_loop(
    server: Server, road: str, bench: Bench, play: Play
) -> tuple[int, float, float, int]:
    """Answers, seconds of CPU and by the clock, and connections to the backend."""
    sizes = bench.sizes
    await loop(server, road, play, sizes.connections, sizes.connections * 2)
    before, cpu, began_at = bench.counts(), server.cpu(), time.perf_counter()
    count = await loop(server, road, play, sizes.connections, sizes.requests)
    cpu, wall = server.cpu() - cpu, time.perf_counter() - began_at
    return count, cpu, wall, bench.counts()["connects"] - before["connects"]


async def loop(server: Server, road: str, play: Play, count: int, total: int) -> int:
    """So many answers in all, each connection busy all the time."""
    data, each = request(road, play), math.ceil(total / count)

    async def worker(client: Client) -> None:
        for _ in range(each):
            check(await client.ask(data), play)

    async with connections(server.port, count) as clients:
        await asyncio.gather(*(worker(client) for client in clients))
    return each * count


async def person(server: Server, road: str, bench: Bench) -> Figures:
    """What one person feels: seconds to the first token of a model that thinks first, through the
    server and straight."""
    play, figures = Play(wait=bench.sizes.thinks), {}
    for name, port, way in (("felt", server.port, road), ("felt.direct", bench.backend, "direct")):
        figures[name] = check(await one(port, request(way, play)), play).first_ms / 1000
    return figures


async def counts(server: Server, road: str, bench: Bench) -> Figures:
    """As Claude Code asks for them: 25 at once, of 50 kB each."""
    data = count_request(50_000)
    async with connections(server.port, 25) as clients:
        answers = await asyncio.gather(*(client.ask(data) for client in clients))
    took = max(a.ended for a in answers) - min(a.began for a in answers)
    return {f"counts.{road}": took * 1000}
