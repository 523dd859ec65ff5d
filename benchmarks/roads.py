"""Clients that could carry the backend's streams, compared: `python -m benchmarks.roads [--rounds N] [--tls]`.

The engine's own `Transport`, over the road that we ship, over aiohttp's client and over httpx's
own transport, one after another in every round, against a backend in a process of its own. CPU is
what this process used (both its own and the kernel's for it); the machine may be shared, so ratios
of medians are what means anything.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from tests.signers import Unsigned

from codexapi_engine.http.client import Transport, connect
from codexapi_engine.http.messages import HttpRequest, HttpResponse, HttpTransport
from codexapi_engine.http.over_httpx import over_httpx
from codexapi_engine.protocol import sse
from codexapi_engine.settings import Settings

STREAMS, PACE, SECONDS = 20, 50, 4
"""Paced: every event alone, as in life."""

BURSTS, BURST = 16, 500
"""Saturation: all events of a stream written at once."""

SHORTS = 400
FIRSTS = 200


def main() -> None:
    options = argparse.ArgumentParser(description="The clients beneath the transport, compared.")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--tls", action="store_true")
    options.add_argument("--backend", help=argparse.SUPPRESS)  # port file: be the backend
    given = options.parse_args()
    if given.backend:
        asyncio.run(_backend(Path(given.backend), tls=given.tls))
        return
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "port"
        command = [sys.executable, "-m", "benchmarks.roads", "--backend", str(place)]
        backend = subprocess.Popen([*command, *(["--tls"] if given.tls else [])])
        try:
            while not place.exists():
                time.sleep(0.05)
            asyncio.run(_compare(place.read_text(), Path(folder) / "ca.pem", given.rounds))
        finally:
            backend.kill()
            backend.wait()


# The roads


class Aiohttp:
    """aiohttp's client: as little between the two as there can be."""

    def __init__(self, context: ssl.SSLContext | None) -> None:
        import aiohttp

        self._made = aiohttp
        connector = aiohttp.TCPConnector(limit=0, ssl=context or True, ttl_dns_cache=10)
        self._session = aiohttp.ClientSession(
            connector=connector, auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("user-agent", "accept", "accept-encoding", "content-type"),
        )  # fmt: skip

    async def send(self, request: HttpRequest) -> HttpResponse:
        timeout = self._made.ClientTimeout(
            total=None, connect=request.timeouts.connect, sock_read=request.timeouts.read
        )
        response = await self._session.request(
            request.method, str(request.url), data=request.content, headers=request.headers,
            allow_redirects=False, timeout=timeout,
        )  # fmt: skip
        return _AiohttpResponse(response)

    async def aclose(self) -> None:
        await self._session.close()


class _AiohttpResponse(HttpResponse):
    def __init__(self, response: Any) -> None:
        self._response = response
        self.status, self.lines = response.status, response.raw_headers

    async def __anext__(self) -> bytes:
        piece: bytes = await self._response.content.readany()
        if not piece:
            raise StopAsyncIteration
        return piece

    async def aclose(self) -> None:
        self._response.close()


def _roads(settings: Settings, url: str) -> dict[str, Callable[[], HttpTransport]]:
    context = None
    if settings.ca_file is not None:
        context = ssl.create_default_context(cafile=str(settings.ca_file))
    return {
        "own": lambda: connect(settings, url),
        "aiohttp": lambda: Aiohttp(context),
        "httpx": lambda: over_httpx(
            httpx.AsyncHTTPTransport(
                verify=context or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), trust_env=False,
                limits=httpx.Limits(max_connections=None, max_keepalive_connections=20),
            )
        ),
    }  # fmt: skip


# What is measured


async def _compare(url: str, ca_file: Path, rounds: int) -> None:
    settings = Settings(base_url=url, ca_file=ca_file if url.startswith("https") else None)
    measured: dict[str, dict[str, list[float]]] = {}
    for number in range(rounds + 1):
        for name, road in _roads(settings, url).items():
            transport = Transport(settings, Unsigned(), http=road())
            try:
                found = await _all(transport)
            finally:
                await transport.aclose()
            for row, value in found.items() if number else ():  # the first round warms up
                measured.setdefault(row, {}).setdefault(name, []).append(value)
    for row, by_road in measured.items():
        base = statistics.median(by_road["own"])
        print(row)
        for name, values in by_road.items():
            middle = statistics.median(values)
            low, high = min(values), max(values)
            print(f"  {name:<8} {middle:9.2f}  ({low:.2f}-{high:.2f})  {middle / base:5.2f} x own")


async def _all(transport: Transport) -> dict[str, float]:
    found: dict[str, float] = {}
    used = _cpu()
    times = sorted([await _first(transport) for _ in range(FIRSTS)])
    found["first event, p50 ms"] = times[len(times) // 2] * 1e3
    found["first event, p99 ms"] = times[len(times) * 99 // 100] * 1e3
    found["CPU per request, one by one, us"] = (_cpu() - used) / FIRSTS * 1e6
    used = _cpu()
    await asyncio.gather(*(_several(transport, SHORTS // 16) for _ in range(16)))
    found["CPU per request, 16 at once, us"] = (_cpu() - used) / (SHORTS // 16 * 16) * 1e6
    used = _cpu()
    counts = await asyncio.gather(
        *(_events(transport, f"/paced/{PACE * SECONDS}") for _ in range(STREAMS))
    )
    found["CPU per event, paced, us"] = (_cpu() - used) / sum(counts) * 1e6
    used = _cpu()
    for _ in range(5):
        counts = await asyncio.gather(
            *(_events(transport, f"/burst/{BURST}") for _ in range(BURSTS))
        )
    found["CPU per event, at once, us"] = (_cpu() - used) / sum(counts) / 5 * 1e6
    return found


def _cpu() -> float:
    if sys.platform == "win32":
        raise NotImplementedError
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def _first(transport: Transport) -> float:
    began = time.perf_counter()
    async with await transport.stream("/burst/3", {"model": "m"}) as events:
        await events.batch()
        took = time.perf_counter() - began
        while await events.batch():
            pass
    return took


async def _several(transport: Transport, count: int) -> None:
    for _ in range(count):
        await _events(transport, "/burst/3")


async def _events(transport: Transport, path: str) -> int:
    count = 0
    async with await transport.stream(path, {"model": "m"}) as events:
        while batch := await events.batch():
            count += len(batch)
    return count


# The backend


def event(number: int) -> bytes:
    """One of about 260 bytes, as the real ones are."""
    data = {
        "type": "response.output_text.delta",
        "content_index": 0,
        "delta": " token",
        "item_id": "msg_0123456789abcdef0123456789abcdef0123456789abcdef",
        "logprobs": [],
        "obfuscation": "xYzxYzxYz",
        "output_index": 0,
        "sequence_number": number,
    }
    return sse.encode(data, "response.output_text.delta")


COMPLETED = sse.encode(
    {
        "type": "response.completed",
        "response": {"id": "resp_1", "status": "completed", "output": []},
    },
    "response.completed",
)
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


class Backend(asyncio.Protocol):
    """Answers /paced/N and /burst/N with N events, the last of them terminal."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._seen = b""

    def data_received(self, data: bytes) -> None:
        self._seen += data
        head, mark, body = self._seen.partition(b"\r\n\r\n")
        if not mark:
            return
        length = 0
        for line in head.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        if len(body) < length:
            return
        self._seen = body[length:]
        _, kind, count = head.split(b" ", 2)[1].rsplit(b"/", 2)
        if kind == b"burst":
            events = [chunk(event(number)) for number in range(int(count) - 1)]
            self._transport.write(HEAD + b"".join(events) + chunk(COMPLETED) + b"0\r\n\r\n")
        else:
            self._transport.write(HEAD)
            self._next(0, int(count), asyncio.get_running_loop().time())

    def _next(self, number: int, count: int, since: float) -> None:
        if self._transport.is_closing():
            return
        if number == count - 1:
            self._transport.write(chunk(COMPLETED) + b"0\r\n\r\n")
            return
        self._transport.write(chunk(event(number)))
        due = since + (number + 1) / PACE
        asyncio.get_running_loop().call_at(due, self._next, number + 1, count, since)


async def _backend(place: Path, *, tls: bool) -> None:
    context = _certificate(place.parent) if tls else None
    loop = asyncio.get_running_loop()
    listening = await loop.create_server(Backend, "127.0.0.1", 0, ssl=context)
    port = listening.sockets[0].getsockname()[1]
    place.with_suffix(".new").write_text(f"http{'s' if tls else ''}://127.0.0.1:{port}")
    place.with_suffix(".new").rename(place)
    await asyncio.Event().wait()


def _certificate(folder: Path) -> ssl.SSLContext:
    key, ca = folder / "key.pem", folder / "ca.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-keyout", key, "-out", ca, "-days", "1", "-subj", "/CN=x",
         "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(ca, key)
    return context


if __name__ == "__main__":
    main()
