"""The official client at the end of each road to our server: in memory, a process on stdin and
stdout, a process over HTTP. Behind it the simulated backend, whose side can be seen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CallToolResult, TextContent
from tests import forks
from tests.http_server.doors import listening
from tests.logins import write_login
from tests.processes import codexapi, environment
from tests.two_accounts import TwoAccounts

from codexapi_engine import Codex, Settings
from codexapi_engine.http.in_process import in_process
from codexapi_engine.login.store import InMemory
from codexapi_engine.simulator import Simulator
from codexapi_engine.simulator.asgi import app as simulator_app
from codexapi_mcp import Options, create_server

HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}
"""How a client of the older era begins."""

MODES = ["2026-07-28", "legacy"]
ROADS = ["stdio", "http"]

LAUNCHER = """
import sys
from dataclasses import replace
from codexapi_engine import Settings

settings = replace(Settings.from_env(), port=0, drain=float(sys.argv[2]))
if sys.argv[1] == "stdio":
    from codexapi_mcp.stdio import run

    def made():
        from codexapi_mcp import create_server

        return create_server(settings=settings, heartbeat=0.05)

    sys.exit(run(made))
import codexapi_http
from codexapi_mcp import Endpoint

build = lambda codex: Endpoint(codex, heartbeat=0.05)
sys.exit(codexapi_http.serve(settings, mounts=[build], api=False))
"""
"""A server whose signs of life come often, and that drains for as long as we say."""


class Slow:
    """A simulator that waits where a script says so, until the test lets it go on."""

    def __init__(self) -> None:
        self.waiting = asyncio.Event()
        self.ready = asyncio.Event()
        self.ended = asyncio.Event()  # a wait is over, in whatever way
        self.simulator = Simulator(sleep=self._sleep)

    async def _sleep(self, seconds: float) -> None:
        self.waiting.set()
        try:
            await self.ready.wait()
        finally:
            self.ended.set()


@asynccontextmanager
async def in_memory(
    folder: Path,
    simulator: Simulator | None = None,
    *,
    mode: str = "auto",
    heartbeat: float = 10.0,
    options: Options | None = None,
) -> AsyncIterator[Client]:
    """No process, no network."""
    simulator = simulator or Simulator()
    settings = Settings(
        codex_home=folder / "none", base_url="http://127.0.0.1:1", image_dir=folder / "pictures",
        state_dir=folder / "state",
    )  # fmt: skip
    http = in_process(simulator.handle)
    store = simulator.store if isinstance(simulator, TwoAccounts) else InMemory(simulator.login())
    async with Codex(settings, http=http, store=store) as codex:
        server = create_server(codex, heartbeat=heartbeat, options=options)
        async with Client(server, mode=mode) as client:
            yield client


@asynccontextmanager
async def backend(simulator: Simulator, folder: Path) -> AsyncIterator[dict[str, str]]:
    """The simulator on a port of this process, and the environment of a server that uses it."""
    home = folder / "codex"
    home.mkdir()
    write_login(home, simulator.login())
    async with listening(simulator_app(simulator)) as port:
        yield environment(
            HOME=str(folder),
            CODEX_HOME=str(home),
            CODEXAPI_BASE_URL=f"http://127.0.0.1:{port}/backend-api/codex",
            CODEX_REFRESH_TOKEN_URL_OVERRIDE=f"http://127.0.0.1:{port}/oauth/token",
            CODEXAPI_IMAGE_DIR=str(folder / "pictures"),
            CODEXAPI_STATE_DIR=str(folder / "state"),
        )


@dataclass
class Served:
    """A server over HTTP."""

    process: asyncio.subprocess.Process
    url: str
    said: list[str] = field(default_factory=list)  # its lines on stderr, once it has ended

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2].partition("/")[0])

    async def stop(self, number: int) -> int:
        """Sends a signal, and returns the exit code."""
        self.process.send_signal(number)
        return await self.ended()

    async def ended(self) -> int:
        assert self.process.stderr is not None
        self.said += (await self.process.stderr.read()).decode().splitlines()
        return await self.process.wait()


@asynccontextmanager
async def served(
    env: Mapping[str, str], *arguments: str, command: list[str] | None = None
) -> AsyncIterator[Served]:
    """`codexapi mcp serve --http`, or another command that says where its `/mcp` is."""
    words = command or codexapi("mcp", "serve", "--http", "0", *arguments)
    process = await forks.execute(
        *words, env=env, stdin=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    try:
        assert process.stderr is not None
        said = []
        while not (line := (await process.stderr.readline()).decode().strip()).endswith("/mcp"):
            said.append(line)
            assert line, said
        yield Served(process, line.removeprefix("codexapi ready on "))
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def launched(road: str, *, drain: float = 0.1) -> list[str]:
    return forks.for_shells(road, str(drain), code=LAUNCHER)


@asynccontextmanager
async def client(
    road: str,
    env: Mapping[str, str],
    *,
    mode: str,
    command: list[str] | None = None,
    arguments: tuple[str, ...] = (),
) -> AsyncIterator[Client]:
    """The official client of a server process."""
    async with AsyncExitStack() as stack:
        if road == "stdio":
            word, *words = command or forks.for_shells("mcp", "serve", *arguments)
            target: Any = StdioServerParameters(command=word, args=words, env=dict(env), cwd="/")
        else:
            server = await stack.enter_async_context(served(env, *arguments, command=command))
            target = server.url
        yield await stack.enter_async_context(Client(target, mode=mode))


@asynccontextmanager
async def keyed(url: str, key: str, *, mode: str) -> AsyncIterator[Client]:
    """A client that sends a key."""
    async with httpx2.AsyncClient(headers={"authorization": f"Bearer {key}"}) as http:
        road = streamable_http_client(url, http_client=http)
        async with Client(road, mode=mode) as connected:
            yield connected


def texts(result: CallToolResult) -> list[str]:
    return [part.text for part in result.content if isinstance(part, TextContent)]


def answer(result: CallToolResult) -> str:
    """The answer of a model, and nothing else."""
    assert not result.is_error, result
    return texts(result)[0]


def facts(result: CallToolResult) -> dict[str, Any]:
    """What is told of an answer to programs."""
    assert result.meta is not None
    told: dict[str, Any] = result.meta["codexapi"]
    return told


def failure(result: CallToolResult) -> dict[str, Any]:
    """The error, as an object; its words are the same."""
    assert result.is_error, result
    assert result.structured_content is not None
    error: dict[str, Any] = result.structured_content["error"]
    code, _, words = texts(result)[0].partition(": ")
    assert code == error["code"]
    assert error["message"].startswith(words)
    return error


def structured(result: CallToolResult) -> dict[str, Any]:
    assert not result.is_error, result
    told: dict[str, Any] | None = result.structured_content
    assert told is not None
    return told


def content(image: dict[str, Any]) -> bytes:
    """The bytes of a picture that a result tells of."""
    return Path(image["path"]).read_bytes()
