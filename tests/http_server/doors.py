"""The server in this process, on a port of its own, and backends whose side of it can be seen."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from starlette.applications import Starlette
from tests.http_server import raw
from tests.http_server.raw import JsonObject, Reply

from codexapi_engine import Codex, Settings
from codexapi_engine.http.in_process import in_process
from codexapi_engine.login.store import InMemory, Store
from codexapi_engine.protocol import json, sse
from codexapi_engine.simulator import Simulator
from codexapi_engine.simulator.asgi import app as simulator_app
from codexapi_http import create_app
from codexapi_http.dialect import DialectRoutes
from codexapi_http.reports import Reports
from codexapi_http.server.process import Process, listen
from codexapi_http.server.uvicorn_protocol import Deadlines

MODEL = "gpt-6.1-sol"
Answer = tuple[int, Mapping[str, str], AsyncGenerator[bytes, None]]


class Backend(Protocol):
    async def handle(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> Answer: ...


@dataclass(frozen=True)
class Door:
    """A running server."""

    port: int
    app: Starlette

    async def reply(self, request: bytes) -> Reply:
        """The answer to one request, on a connection of its own."""
        async with raw.connect(self.port) as connection:
            await connection.send(request)
            return await connection.reply()


class Stream:
    """A backend's answer that the test sends piece by piece, and whose reader it can watch."""

    def __init__(self, headers: Mapping[str, str] | None = None) -> None:
        self._headers = headers or {}
        self._pieces: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._answered = asyncio.Event()
        self.asked: JsonObject = {}
        self.headers: Mapping[str, str] = {}
        self.reached = asyncio.Event()  # the request is there
        self.closed = asyncio.Event()  # its reader has closed it

    def answer(self) -> None:
        """Sends status and headers."""
        self._answered.set()

    def send(self, *events: JsonObject) -> None:
        """Sends events in one piece, and the status if that is still to come."""
        self.send_bytes(encoded(*events))

    def send_bytes(self, piece: bytes) -> None:
        self.answer()
        self._pieces.put_nowait(piece)

    def end(self) -> None:
        self._pieces.put_nowait(None)

    async def handle(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> Answer:
        assert not self.reached.is_set(), "one request is all it takes"
        self.asked, self.headers = json.loads(body), headers
        self.reached.set()
        try:
            await self._answered.wait()
        except asyncio.CancelledError:
            self.closed.set()
            raise
        return 200, self._headers, self._chunks()

    async def _chunks(self) -> AsyncGenerator[bytes, None]:
        try:
            while (piece := await self._pieces.get()) is not None:
                yield piece
        finally:
            self.closed.set()


@asynccontextmanager
async def door(
    backend: Backend,
    *,
    store: Store | None = None,
    clock: Callable[[], float] = time.time,
    deadlines: Deadlines | None = None,
    dialects: Sequence[DialectRoutes] = (),
    port: int = 0,
    **settings: Any,
) -> AsyncIterator[Door]:
    """A server with this backend behind it, in this process: no network between them."""
    chosen = Settings(codex_home=Path("nowhere"), base_url="http://127.0.0.1:1", **settings)
    issuer = backend if isinstance(backend, Simulator) else Simulator()
    store = store or InMemory(issuer.login())
    http, reports = in_process(backend.handle), Reports(metrics=chosen.metrics)
    async with Codex(chosen, http=http, store=store, clock=clock, observer=reports) as codex:
        app = create_app(codex, chosen, reports=reports, deadlines=deadlines, dialects=dialects)
        async with listening(app, deadlines, port=port) as opened:
            yield Door(opened, app)


@asynccontextmanager
async def distant_door(base_url: str, login: bytes, **settings: Any) -> AsyncIterator[Door]:
    """A server that reaches its backend through a socket."""
    chosen = Settings(codex_home=Path("nowhere"), base_url=base_url, **settings)
    async with Codex(chosen, store=InMemory(login)) as codex:
        app = create_app(codex, chosen)
        async with listening(app) as port:
            yield Door(port, app)


@asynccontextmanager
async def distant(simulator: Simulator, **settings: Any) -> AsyncIterator[Door]:
    """A server in front of this simulator on a port."""
    async with listening(simulator_app(simulator)) as port:
        url = f"http://127.0.0.1:{port}/backend-api/codex"
        async with distant_door(url, simulator.login(), **settings) as opened:
            yield opened


@asynccontextmanager
async def listening(
    app: Any, deadlines: Deadlines | None = None, *, port: int = 0
) -> AsyncIterator[int]:
    """An application on a port of this process: a free one, unless one is chosen."""
    socket = listen("127.0.0.1", port)
    port, ready = socket.getsockname()[1], asyncio.Event()

    async def tell(url: str) -> None:
        ready.set()

    process = Process(app, ready=tell, deadlines=deadlines)
    serving = asyncio.create_task(process.run_on(socket))
    try:
        await ready.wait()
        yield port
    finally:
        process.should_exit = True
        await serving


def encoded(*events: JsonObject) -> bytes:
    """Events as the backend writes them."""
    return b"".join(sse.encode(event, event["type"]) for event in events)


def chat(prompt: str = "hi", **more: Any) -> JsonObject:
    return {"model": MODEL, "messages": [{"role": "user", "content": prompt}], **more}


def responses(prompt: str = "hi", **more: Any) -> JsonObject:
    return {"model": MODEL, "input": prompt, **more}
