"""What a large request takes: memory by tracemalloc, and its passes through JSON, counted."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

import pytest
from tests import drawn
from tests.http_server import forms
from tests.http_server.doors import chat, distant_door, responses
from tests.http_server.raw import Connection, JsonObject, connect, post
from tests.http_server.test_work import Spring, counted

from codexapi_engine.bounds import MAX_BODY_BYTES
from codexapi_engine.protocol import json
from codexapi_engine.protocol.responses.backend import to_backend
from codexapi_engine.simulator import Simulator

SIZE = MAX_BODY_BYTES // 2

Memory = Callable[[], tuple[int, int]]
"""Gives the bytes that are in memory now, and the most that were."""

ROADS: dict[str, Callable[[str], JsonObject]] = {
    "/v1/chat/completions": lambda text: chat(text, stream=True),
    "/v1/messages": lambda text: chat(text, stream=True, max_tokens=9),
    "/api/chat": chat,
    "/v1/responses": lambda text: responses(text, stream=True, store=False),
}


class Drain:
    """A backend on a port, which keeps nothing of a request, and writes the end of its answer when
    it may. `failures` are answers that go before, each once: one of no bytes is a connection that
    ends."""

    def __init__(self) -> None:
        self.may_end = asyncio.Event()
        self.size = 0  # of the largest body
        self.failures: list[bytes] = []
        self._serving: list[asyncio.Task[None]] = []

    def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._serving.append(asyncio.create_task(self._serve(reader, writer)))

    async def ended(self) -> None:
        """Returns when every client has left."""
        await asyncio.gather(*self._serving)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                await self._exchange(reader, writer)
        with suppress(ConnectionError):
            writer.close()
            await writer.wait_closed()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        if head.startswith(b"get"):
            models = b'{"models":[]}'
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(models), models))
            return
        left = int(head.partition(b"content-length:")[2].split()[0])
        self.size = max(self.size, left)
        while left:
            left -= len(await reader.read(min(left, 2**16)))
        if self.failures:
            if not (failure := self.failures.pop(0)):
                raise ConnectionError
            writer.write(failure)
            return
        first, second, last = Spring(1, 5).stream
        size = sum(map(len, (first, second, last)))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b%b" % (size, first, second))
        await self.may_end.wait()
        writer.write(last)


@asynccontextmanager
async def drain() -> AsyncIterator[tuple[Drain, int]]:
    """The backend, and the port of a server before it."""
    backend = Drain()
    async with await asyncio.start_server(backend.serve, "127.0.0.1", 0) as listener:
        port = listener.sockets[0].getsockname()[1]
        url, login = f"http://127.0.0.1:{port}", Simulator().login()
        async with distant_door(url, login, token_url=f"{url}/token") as server:
            yield backend, server.port
        await backend.ended()


FAULT = b"HTTP/1.1 500 Internal Server Error\r\nRetry-After: 0\r\nContent-Length: 2\r\n\r\n{}"
UNAUTHORIZED = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\n{}"
REFUSAL = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 16\r\n\r\n" + b'{"detail": "no"}'
CUT = b""


@contextmanager
def traced() -> Iterator[Memory]:
    """What is in memory, without the garbage collector: what is in a reference cycle stays."""
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        yield tracemalloc.get_traced_memory
    finally:
        tracemalloc.stop()
        gc.enable()


@asynccontextmanager
async def measured(
    requests: tuple[bytes, bytes], *failures: bytes
) -> AsyncIterator[tuple[Connection, Memory, Drain]]:
    """A client that has sent the large one of two requests, the memory that this takes, and the
    backend, which answers with these failures first. What is made but once is made for the small
    request."""
    small, large = requests
    async with drain() as (backend, port), connect(port) as client:
        await client.send(small)
        backend.may_end.set()
        await client.reply()
        backend.may_end.clear()
        backend.failures, backend.size = [*failures], 0
        with traced() as memory:
            for at in range(0, len(large), 2**16):  # the client's buffer is in this process too
                await client.send(large[at : at + 2**16])
            yield client, memory, backend
        backend.may_end.set()
        assert not backend.failures
    assert backend.size > SIZE


def conversations(path: str) -> tuple[bytes, bytes]:
    return post(path, ROADS[path]("hi")), post(path, ROADS[path]("as it was said " * (SIZE // 15)))


def edits(n: int) -> tuple[bytes, bytes]:
    def edit(side: int) -> bytes:
        image = drawn.picture(size=(side, side), compress_level=0)
        fields = forms.part("prompt", "a hat"), forms.part("n", str(n))
        return forms.post("/v1/images/edits", *fields, forms.picture("image", image))

    return edit(2), edit(2150)


async def at_first_delta(client: Connection, memory: Memory, backend: Drain) -> tuple[int, int]:
    """The memory then; the stream is read to its end."""
    assert (await client.head()).status == 200
    text = b""
    while b'"ab' not in text:
        text += await client.piece()
    used = memory()
    backend.may_end.set()
    async for _ in client.pieces():
        pass
    return used


@pytest.mark.parametrize("path", ROADS)
async def test_a_large_request_takes_twice_its_size_until_it_is_answered(path: str) -> None:
    """As it came and as text; then as text, and as the backend gets it. What is stored at the end
    stays as text, and all else is freed at the first event."""
    async with measured(conversations(path)) as running:
        left, peak = await at_first_delta(*running)
    assert peak < 2.3 * SIZE
    assert left < (1.1 if path == "/v1/responses" else 0.1) * SIZE


@pytest.mark.parametrize("failure", [FAULT, CUT], ids=["fault", "cut"])
async def test_a_large_request_that_was_sent_again_takes_no_more(failure: bytes) -> None:
    async with measured(conversations("/v1/chat/completions"), failure) as running:
        left, peak = await at_first_delta(*running)
    assert peak < 2.3 * SIZE
    assert left < 0.1 * SIZE


@pytest.mark.parametrize(
    "failures",
    [[REFUSAL], [FAULT, FAULT], [CUT, CUT], [UNAUTHORIZED, FAULT]],
    ids=["refusal", "faults", "cuts", "login"],
)
async def test_a_large_request_that_fails_is_freed_with_its_error(failures: list[bytes]) -> None:
    """The last one fails by its login, which stores why it cannot be renewed."""
    async with measured(conversations("/v1/chat/completions"), *failures) as (client, memory, _):
        assert (await client.reply()).status >= 400
        left, peak = memory()
    assert peak < 2.3 * SIZE
    assert left < 0.1 * SIZE


@pytest.mark.parametrize("n", [1, 2])
async def test_a_picture_whose_edit_fails_is_freed_with_the_error(n: int) -> None:
    async with measured(edits(n), *[REFUSAL] * n) as (client, memory, _):
        assert (await client.reply()).status == 400
        left, _ = memory()
    assert left < 0.1 * SIZE


@pytest.mark.parametrize("path", ROADS)
async def test_a_large_request_is_read_once_and_written_once(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not a second time for a cache key, nor for its size."""
    size: Counter[str] = Counter()
    read, write = json.loads, json.dumps

    def loads(data: bytes | str) -> Any:
        size["read"] += len(data)
        return read(data)

    def dumps(value: Any, **options: Any) -> bytes:
        data = write(value, **options)
        size["written"] += len(data)
        return data

    monkeypatch.setattr(json, "loads", loads)
    monkeypatch.setattr(json, "dumps", dumps)
    request = post(path, ROADS[path]("as it was said " * 2**16))
    async with drain() as (backend, port), connect(port) as client:
        backend.may_end.set()
        size.clear()
        await client.send(request)
        assert (await client.reply()).status == 200
    assert len(request) <= size["read"] < 1.1 * len(request)
    assert backend.size <= size["written"] < 1.1 * backend.size


@pytest.mark.parametrize("size", [300_000, 500_000])
async def test_what_is_no_more_work_than_a_thread_takes_none(
    size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    count: Counter[str] = Counter()
    async with drain() as (backend, port), connect(port) as client:
        backend.may_end.set()
        loop = asyncio.get_running_loop()
        in_thread = counted(count, "threads", loop.run_in_executor)
        monkeypatch.setattr(loop, "run_in_executor", in_thread)
        await client.send(post("/v1/chat/completions", chat("a" * size)))
        assert (await client.reply()).status == 200
    assert not count


def test_a_cache_key_is_of_the_beginning_of_a_long_text_and_of_its_length() -> None:
    def key(text: str) -> Any:
        item = {"role": "user", "content": [{"type": "input_text", "text": text}]}
        return to_backend({"model": "m", "input": [item]})["prompt_cache_key"]

    long = "a" * 100_000
    assert key(long) == key("a" * 100_000)
    assert len({key(long), key(f"{long}b"), key(f"b{long[1:]}"), key("a"), key("b")}) == 5
