"""`codexapi serve` as a process: how it starts, how it ends, and how it lives with its login."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests import forks
from tests.faulty import HOLD, Exchange, FaultyBackend, Step, chunk, endless, head
from tests.http_server import raw, sockets
from tests.http_server.doors import chat, encoded, listening, responses
from tests.http_server.raw import JsonObject, Reply, get, post
from tests.logins import auth_json, write_login
from tests.processes import codexapi, environment
from tests.wire_files import events

from codexapi_engine.simulator import Simulator
from codexapi_engine.simulator.asgi import app as simulator_app

pytestmark = pytest.mark.timeout(90)

CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"
LOGIN = auth_json(exp=4_000_000_000)
CREATED = encoded({"type": "response.created", "response": {"id": "resp_1", "created_at": 5}})
COMPLETED = encoded({"type": "response.completed", "response": {"status": "completed"}})
DELTA = encoded(
    {
        "type": "response.output_text.delta",
        "item_id": "msg_1",
        "output_index": 0,
        "content_index": 0,
        "delta": "x" * 1000,
    }
)
IMPATIENT = """
import sys
from dataclasses import replace
from codexapi_engine import Settings
from codexapi_http import serve
sys.exit(serve(replace(Settings.from_env(), port=0, drain=float(sys.argv[1]))))
"""
"""A server that lets running streams go on for some seconds of our choice."""


@dataclass
class Server:
    process: asyncio.subprocess.Process
    port: int

    async def reply(self, request: bytes) -> Reply:
        async with raw.connect(self.port) as connection:
            await connection.send(request)
            return await connection.reply()

    async def line(self) -> str:
        """The next line that it says on stderr."""
        assert self.process.stderr is not None
        return (await self.process.stderr.readline()).decode()

    async def ended(self) -> tuple[int, str]:
        """Its exit code, and what else it said. There is nothing on stdout."""
        told, complained = await self.process.communicate()
        assert told == b""
        assert self.process.returncode is not None
        return self.process.returncode, complained.decode()

    def signal(self, number: int) -> None:
        self.process.send_signal(number)


@asynccontextmanager
async def serving(
    home: Path,
    *flags: str,
    url: str = "",
    drain: float | None = None,
    token_url: str = "",
    env: Mapping[str, str] | None = None,
) -> AsyncIterator[Server]:
    """A server process that is ready."""
    command = codexapi("serve", "--port", "0", *flags)
    if drain is not None:
        command = [sys.executable, "-c", IMPATIENT, str(drain), *flags]
    env = {"CODEX_HOME": str(home), **(env or {})}
    env |= {"CODEXAPI_BASE_URL": url} if url else {}
    env |= {"CODEX_REFRESH_TOKEN_URL_OVERRIDE": token_url} if token_url else {}
    async with started(command, env) as process:
        assert process.stderr is not None
        first = (await process.stderr.readline()).decode()
        ready = re.search(r"codexapi ready on http://\S+:(\d+)/v1\b", first)
        assert ready, first
        yield Server(process, int(ready[1]))


@asynccontextmanager
async def started(
    command: list[str], env: Mapping[str, str]
) -> AsyncIterator[asyncio.subprocess.Process]:
    pipe = asyncio.subprocess.PIPE
    process = await forks.execute(
        *command, env=environment(**env), stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@asynccontextmanager
async def on_a_port(simulator: Simulator) -> AsyncIterator[str]:
    async with listening(simulator_app(simulator)) as port:
        yield f"http://127.0.0.1:{port}"


# How it starts.


@pytest.mark.parametrize(
    ("flags", "code", "told"),
    [
        (["--host", "0.0.0.0"], 2, "--api-key"),
        (["--host", "::"], 2, "--api-key"),
        (["--base-url", "http://example.com"], 2, "--base-url"),
        (["--timeout", "0"], 2, "--timeout"),
        (["--allow-host", "box:80"], 2, "--allow-host: box:80 is not a host name"),
        (["--cors", "*"], 2, "--cors: * is not an origin"),
        (["--cors", "https://chat.example/"], 2, "--cors"),
        (["--api-key-file", "/nowhere/key"], 7, "--api-key-file: /nowhere/key"),
        (["--api-key-file", "/dev/null"], 2, "--api-key-file: /dev/null"),
        (["--api-key-file", "k", "--api-key", "k"], 2, "--api-key-file"),
        (["--port", "{taken}"], 8, "{taken}"),
        (["--port", "0", "--state", "/"], 7, "--state"),
    ],
)
async def test_server_that_cannot_start_says_why_in_one_line(
    tmp_path: Path, flags: list[str], code: int, told: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        taken = holder.getsockname()[1]
        given = [flag.format(taken=taken) for flag in flags]
        async with started(codexapi("serve", *given), {"CODEX_HOME": str(tmp_path)}) as process:
            printed, complained = await process.communicate()
            assert process.returncode == code, complained
    assert printed == b""
    assert complained.count(b"\n") == 1
    assert complained.startswith(b"codexapi: ")
    assert told.format(taken=taken).encode() in complained


async def test_open_server_with_a_key_says_for_whom_it_is(tmp_path: Path) -> None:
    write_login(tmp_path, LOGIN)
    async with serving(tmp_path, "--host", "0.0.0.0", "--api-key", "k", "--model", "m") as server:
        assert "own devices" in await server.line()
        (await server.reply(get("/v1/models"))).refused(401, "invalid_api_key")
        assert (await server.reply(get("/healthz"))).status == 200
        (await server.reply(get("/healthz", host="0.0.0.0"))).refused(421, "host_not_allowed")


async def test_key_comes_from_a_file_and_a_file_that_others_read_is_told(tmp_path: Path) -> None:
    write_login(tmp_path, LOGIN)
    key = tmp_path / "key"
    key.write_text("the-key\n")
    key.chmod(0o644)
    command = codexapi("serve", "--port", "0", "--host", "0.0.0.0", "--api-key-file", str(key))
    async with started(command, {"CODEX_HOME": str(tmp_path)}) as process:
        assert process.stderr is not None
        note = (await process.stderr.readline()).decode()
        assert note == f"codexapi: {key} can be read by others (mode 0644): chmod 600 {key}\n"
        ready = re.search(rb":(\d+)/v1", await process.stderr.readline())
        assert ready
        server = Server(process, int(ready[1]))
        (await server.reply(get("/openapi.json"))).refused(401, "invalid_api_key")
        assert (
            await server.reply(get("/openapi.json", "Authorization: Bearer the-key"))
        ).status == 200


async def test_demo_answers_without_a_login_and_writes_none(tmp_path: Path) -> None:
    async with serving(tmp_path, "--demo", "--quiet") as server:
        assert "simulated" in await server.line()
        reply = await server.reply(post(CHAT, chat("[[say All is well.]]")))
        assert reply.json["choices"][0]["message"]["content"] == "All is well."
    assert not (tmp_path / "auth.json").exists()


# How it ends.


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
async def test_idle_server_ends_at_once_and_without_a_word(
    tmp_path: Path, number: int, code: int
) -> None:
    write_login(tmp_path, LOGIN)
    async with serving(tmp_path, "--quiet") as server:
        async with raw.connect(server.port) as kept, raw.connect(server.port) as half:
            await kept.send(get("/healthz"))
            await kept.reply()
            await half.send(b"GET /healthz HTTP/1.1\r\nHost: 127")
            server.signal(number)
            assert await server.ended() == (code, "")
            assert await kept.ended()


async def test_running_streams_finish_while_new_requests_are_turned_away(tmp_path: Path) -> None:
    write_login(tmp_path, LOGIN)
    may_end = asyncio.Event()
    script: list[Step] = [head(), chunk(CREATED + DELTA), may_end, chunk(DELTA + COMPLETED)]
    async with FaultyBackend(script) as backend:
        async with serving(tmp_path, url=backend.url, drain=600) as server:
            async with raw.connect(server.port) as client:
                await client.send(post(RESPONSES, responses(stream=True)))
                assert (await client.head()).status == 200
                await client.piece()
                server.signal(signal.SIGTERM)
                await turned_away(server)
                may_end.set()
                rest = b"".join([piece async for piece in client.pieces()])
                assert rest.endswith(b"data: [DONE]\n\n")
            assert await server.ended() == (143, "")
    assert len(backend.requests) == 1


async def turned_away(server: Server) -> None:
    """Returns when new requests are: by a 503, or by nobody who listens."""
    while True:
        try:
            reply = await server.reply(get("/healthz"))
        except (OSError, EOFError):
            return
        if reply.status != 200:
            assert reply.refused(503, "shutting_down")["type"] == "server_error"
            assert reply.headers["retry-after"] == "1"
            return


@pytest.mark.parametrize("again", [False, True], ids=["after the drain", "by a second signal"])
async def test_nothing_holds_up_the_end_and_every_stream_is_told(
    tmp_path: Path, again: bool
) -> None:
    """Streams, a whole reply, a request half sent, one that reads nothing, a slow catalogue."""
    write_login(tmp_path, LOGIN)

    async def answer(exchange: Exchange) -> None:
        if b"whole" in exchange.request.body or exchange.request.method == "GET":
            await HOLD(exchange)
        await exchange.send(head() + chunk(CREATED + DELTA))
        await (endless(chunk(DELTA)) if b"flood" in exchange.request.body else HOLD)(exchange)

    async with FaultyBackend(otherwise=[answer]) as backend:
        async with serving(tmp_path, url=backend.url, drain=600 if again else 0.2) as server:
            async with (
                raw.connect(server.port) as one,
                raw.connect(server.port) as other,
                raw.connect(server.port) as whole,
                raw.connect(server.port) as half,
                raw.connect(server.port, limit=1024) as lazy,
                raw.connect(server.port) as usage,
            ):
                await half.send(post(CHAT, chat())[:-1])
                await usage.send(get("/v1/usage"))
                await whole.send(post(CHAT, chat("whole")))
                await one.send(post(CHAT, chat(stream=True)))
                await other.send(post(RESPONSES, responses(stream=True)))
                await lazy.send(post(RESPONSES, responses("flood", stream=True)))
                for client in (one, other, lazy):
                    assert (await client.head()).status == 200
                    await client.piece()
                await backend.until(lambda: len(backend.requests) == 5)
                server.signal(signal.SIGTERM)
                if again:
                    await turned_away(server)
                    server.signal(signal.SIGTERM)
                for client in (one, other):
                    told = b"".join([piece async for piece in client.pieces()])
                    assert [event.json["error"]["code"] for event in events(told)] == [
                        "shutting_down"
                    ]
                (await whole.reply()).refused(503, "shutting_down")
                code, said = await server.ended()
                assert code == 143
                assert "Traceback" not in said


async def test_websockets_finish_their_runs_and_are_closed_as_the_server_goes(
    tmp_path: Path,
) -> None:
    write_login(tmp_path, LOGIN)
    may_end = asyncio.Event()
    script: list[Step] = [head(), chunk(CREATED + DELTA), may_end, chunk(DELTA + COMPLETED)]
    async with FaultyBackend(script) as backend:
        async with serving(tmp_path, url=backend.url, drain=600) as server:
            async with sockets.client(server.port) as idle, sockets.client(server.port) as busy:
                await busy.send(sockets.create())
                assert (await busy.event())["type"] == "response.created"
                server.signal(signal.SIGTERM)
                assert await idle.close_code() == 1001
                await busy.send(sockets.create(stream_id="late"))
                may_end.set()
                events: list[JsonObject] = []
                while len(ends := [one for one in events if one["type"] in sockets.ENDS]) < 2:
                    events.append(await busy.event())
                assert {(one["type"], one.get("stream_id")) for one in ends} == {
                    ("response.completed", None),
                    ("error", "late"),
                }
                (refused,) = [one for one in ends if one["type"] == "error"]
                assert (refused["status"], refused["error"]["code"]) == (503, "shutting_down")
                assert await busy.close_code() == 1001
            assert await server.ended() == (143, "")


@pytest.mark.parametrize("again", [False, True], ids=["after the drain", "by a second signal"])
async def test_a_websocket_whose_run_does_not_end_is_told(tmp_path: Path, again: bool) -> None:
    write_login(tmp_path, LOGIN)
    async with FaultyBackend(otherwise=[head(), chunk(CREATED + DELTA), HOLD]) as backend:
        async with serving(tmp_path, url=backend.url, drain=600 if again else 0.2) as server:
            async with sockets.client(server.port) as socket:
                await socket.send(sockets.create(stream_id="a"), sockets.create(stream_id="b"))
                await backend.until(lambda: len(backend.requests) == 2)
                server.signal(signal.SIGTERM)
                if again:
                    await turned_away(server)
                    server.signal(signal.SIGTERM)
                ends = [(await socket.rest())[-1] for _ in range(2)]
                assert {end["stream_id"] for end in ends} == {"a", "b"}
                assert {end["error"]["code"] for end in ends} == {"shutting_down"}
                assert await socket.close_code() == 1001
            code, said = await server.ended()
            assert code == 143
            assert "Traceback" not in said


async def test_clients_that_leave_are_no_news(tmp_path: Path) -> None:
    write_login(tmp_path, LOGIN)
    async with FaultyBackend(otherwise=[head(), chunk(CREATED + DELTA), HOLD]) as backend:
        async with serving(tmp_path, "--quiet", url=backend.url) as server:
            for path, body in ((CHAT, chat(stream=True)), (RESPONSES, responses(stream=True))):
                async with raw.connect(server.port) as client:
                    await client.send(post(path, body))
                    await client.head()
                    await client.piece()
                    client.leave()
                async with raw.connect(server.port) as client:
                    await client.send(post(path, {**body, "stream": False}))
                    await backend.until(lambda: len(backend.requests) % 2 == 0)
                    client.leave()
                await backend.until(lambda: not backend.open)
            server.signal(signal.SIGTERM)
            assert await server.ended() == (143, "")
    assert len(backend.requests) == 4


# Its login.


async def test_login_is_used_as_soon_as_there_is_one(tmp_path: Path) -> None:
    simulator = Simulator()
    async with on_a_port(simulator) as url:
        async with serving(tmp_path, "-q", url=f"{url}/backend-api/codex") as server:
            said = await server.line()
            assert "codex login" in said
            assert "401" in said
            for request in (post(CHAT, chat()), post(RESPONSES, responses(stream=True))):
                (await server.reply(request)).refused(401, "auth_file_not_found")
            assert not simulator.requests
            write_login(tmp_path, simulator.login())
            assert (await server.reply(post(CHAT, chat()))).status == 200
            (tmp_path / "auth.json").unlink()
            (await server.reply(post(CHAT, chat()))).refused(401, "auth_file_not_found")
            server.signal(signal.SIGTERM)
            assert await server.ended() == (143, "")


async def test_expired_login_is_renewed_once_for_twenty_requests(tmp_path: Path) -> None:
    simulator, login = expired()
    path = write_login(tmp_path, login)
    async with on_a_port(simulator) as url:
        async with renewing(tmp_path, url) as server:
            replies = await asyncio.gather(*(ask(server, number) for number in range(20)))
            assert [reply.status for reply in replies] == [200] * 20
            assert (simulator.refreshes, simulator.refused_refreshes) == (1, 0)
            server.signal(signal.SIGTERM)
            code, said = await server.ended()
    assert code == 143
    renewed = json.loads(path.read_bytes())["tokens"]
    before = json.loads(login)["tokens"]
    assert renewed["refresh_token"] != before["refresh_token"]
    secrets = [value for tokens in (renewed, before) for value in tokens.values()]
    assert not any(secret in said for secret in secrets)


async def test_two_servers_renew_one_expired_login_once(tmp_path: Path) -> None:
    simulator, login = expired()
    write_login(tmp_path, login)
    async with on_a_port(simulator) as url:
        async with (
            renewing(tmp_path, url) as one,
            renewing(tmp_path, url) as other,
        ):
            replies = await asyncio.gather(
                *(ask(server, number) for number in range(10) for server in (one, other))
            )
            assert [reply.status for reply in replies] == [200] * 20
    assert (simulator.refreshes, simulator.refused_refreshes) == (1, 0)


def expired() -> tuple[Simulator, bytes]:
    """A backend whose clock is right, and a login of it that ended an hour ago."""
    now = time.time
    late = [0.0]
    simulator = Simulator(clock=lambda: now() - late[0])
    late[0] = 864_000 + 3600
    login = simulator.login()
    late[0] = 0.0
    return simulator, login


def renewing(home: Path, url: str) -> AbstractAsyncContextManager[Server]:
    """A server that renews its login at the backend too."""
    return serving(home, url=f"{url}/backend-api/codex", token_url=f"{url}/oauth/token")


async def ask(server: Server, number: int) -> Reply:
    streamed = number % 2 == 0
    request = post(CHAT, chat(stream=streamed)) if number % 4 < 2 else post(RESPONSES, responses())
    return await server.reply(request)
