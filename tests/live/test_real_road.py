"""The road that users take: `codexapi` without a single setting, to a backend that has a name, TLS
and port 443, under each event loop that we run on.

In a private network (`namespace.py`), where `chatgpt.com` and `auth.openai.com` are the simulator.
Everything else about the programs is as a user has it: base URL, token endpoint, port 18080, and a
login in `~/.codex`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest
from mcp import Client, StdioServerParameters
from openai import OpenAI
from tests.codex_cli import NEWEST, official_client
from tests.contract.test_codex_cli import CONFIG
from tests.downloads import had
from tests.live.namespace import (
    BACKEND,
    DARK,
    HERE,
    ISSUER,
    PROXY,
    PrivateNetwork,
    check,
    private_network,
)
from tests.mcp_server.transports import answer, structured
from tests.processes import Running, process

from codexapi_engine.bounds import CONNECT_TIMEOUT

pytestmark = pytest.mark.timeout(100)

URL = "http://127.0.0.1:18080"
READY = rf"codexapi ready on ({URL})/v1\n"
MODEL = "gpt-6.1-sol"
LOOPS = ["uvloop", "asyncio"]
HELLO = "[[say Hello.]]"
CONNECT_LIMIT = CONNECT_TIMEOUT
"""Seconds that the engine waits for a connection (`Settings.connect_timeout`)."""

PROMPT = 8.0
"""Seconds in which a program ends that waits for nothing: less than the system's resolver takes."""

PATIENCE = 60.0


@pytest.fixture(scope="module", autouse=True)
def possible() -> None:
    had("a private network", check)


@pytest.fixture(scope="module", params=LOOPS)
def network(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PrivateNetwork]:
    """One for all tests that spoil nothing, under each loop."""
    folder = tmp_path_factory.mktemp(request.param)
    with private_network(folder, loop=request.param) as network:
        yield network


@pytest.fixture(scope="module")
def server(network: PrivateNetwork) -> Iterator[Running]:
    """An interpreter of its own, whose loop can be seen."""
    command = network.codexapi("serve", "--mcp")
    with process(command, network.environment(), READY) as server:
        yield server


@pytest.fixture
def client(network: PrivateNetwork, server: Running) -> Iterator[OpenAI]:
    with network.entered(), OpenAI(base_url=f"{URL}/v1", api_key="unused") as client:
        yield client


@pytest.fixture(params=LOOPS)
def loop(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def serving(
    network: PrivateNetwork, *, env: dict[str, str] | None = None
) -> AbstractContextManager[Running]:
    environ = env or network.environment()
    return process(network.warm("serve"), environ, READY)


def ask(network: PrivateNetwork, path: str, body: Any = None) -> httpx.Response:
    with network.entered(), httpx.Client(base_url=URL, trust_env=False, timeout=60) as client:
        return client.post(path, json=body) if body else client.get(path)


def chat(network: PrivateNetwork) -> httpx.Response:
    body = {"model": MODEL, "messages": [{"role": "user", "content": HELLO}]}
    return ask(network, "/v1/chat/completions", body)


def ended(done: subprocess.CompletedProcess[str]) -> str:
    """What a command that ended well wrote."""
    assert done.returncode == 0, done
    return done.stdout


# Through `serve`.


def test_the_server_runs_on_the_loop_that_is_meant(
    network: PrivateNetwork, server: Running, request: pytest.FixtureRequest
) -> None:
    libraries = Path(f"/proc/{server.process.pid}/maps").read_text()
    assert ("uvloop" in libraries) == ("uvloop" in request.node.callspec.id)


def test_the_models_are_listed(client: OpenAI) -> None:
    assert MODEL in [model.id for model in client.models.list()]


def test_a_response_comes(client: OpenAI) -> None:
    assert client.responses.create(model=MODEL, input=HELLO).output_text == "Hello."


def test_a_response_is_streamed(client: OpenAI) -> None:
    with client.responses.create(model=MODEL, input=HELLO, stream=True) as events:
        told = list(events)
    deltas = [event.delta for event in told if event.type == "response.output_text.delta"]
    assert "".join(deltas) == "Hello."
    assert told[-1].type == "response.completed"


def test_a_chat_is_answered(client: OpenAI) -> None:
    asked: Any = [{"role": "user", "content": HELLO}]
    said = client.chat.completions.create(model=MODEL, messages=asked)
    assert said.choices[0].message.content == "Hello."


def test_a_chat_is_streamed(client: OpenAI) -> None:
    asked: Any = [{"role": "user", "content": HELLO}]
    chunks = client.chat.completions.create(model=MODEL, messages=asked, stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "Hello."


def test_a_picture_is_drawn_by_the_endpoint(client: OpenAI, network: PrivateNetwork) -> None:
    drawn = client.images.generate(model="gpt-image-1", prompt="a cat")
    assert drawn.data is not None
    assert drawn.data[0].b64_json
    assert network.simulator.requests[-1].path == "/images/generations"


def test_a_picture_is_drawn_by_the_hosted_tool(client: OpenAI, network: PrivateNetwork) -> None:
    with client.images.generate(
        model="gpt-image-1", prompt="a cat", stream=True, partial_images=1
    ) as events:
        *_, last = events
    assert last.type == "image_generation.completed"
    assert last.b64_json
    assert network.simulator.requests[-1].path == "/responses"


def test_the_usage_of_the_plan_is_told(network: PrivateNetwork, server: Running) -> None:
    told = ask(network, "/v1/usage")
    assert (told.status_code, told.json()["plan"]) == (200, "plus")


def test_a_conversation_is_compacted(client: OpenAI) -> None:
    compact = client.responses.compact(model=MODEL, input="A long story.")
    assert compact.output[-1].type == "compaction"


def test_a_login_is_renewed_at_the_token_endpoint(client: OpenAI, network: PrivateNetwork) -> None:
    before = network.simulator.refreshes
    network.log_in(left=30)
    old = (network.home / ".codex" / "auth.json").read_bytes()
    assert client.responses.create(model=MODEL, input=HELLO).output_text == "Hello."
    assert network.simulator.refreshes == before + 1
    assert (network.home / ".codex" / "auth.json").read_bytes() != old


def test_a_token_that_is_refused_in_the_middle_is_renewed(
    client: OpenAI, network: PrivateNetwork
) -> None:
    assert client.responses.create(model=MODEL, input=HELLO).output_text == "Hello."
    before = network.simulator.refreshes
    network.simulator.accounts.invalidate()
    assert client.responses.create(model=MODEL, input=HELLO).output_text == "Hello."
    assert network.simulator.refreshes == before + 1


async def test_mcp_is_served_beside_it(network: PrivateNetwork, server: Running) -> None:
    with network.entered():
        async with Client(f"{URL}/mcp") as client:
            said = await client.call_tool("generate_text", {"prompt": HELLO})
    assert answer(said) == "Hello."


@pytest.mark.timeout(600)  # the first run downloads 160 MB
def test_the_codex_cli_is_a_client(network: PrivateNetwork, server: Running) -> None:
    codex = official_client(NEWEST)
    home = network.work / "codex"
    home.mkdir()
    (home / "config.toml").write_text(CONFIG.format(model=MODEL, url=f"{URL}/v1"))
    options = ["--strict-config", "--skip-git-repo-check", "--sandbox", "read-only"]
    done = subprocess.run(
        network.command(str(codex), "exec", *options, HELLO),
        env=network.environment(CODEX_HOME=str(home)), stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip
    assert "Hello." in ended(done)


# Commands.


def doctor(network: PrivateNetwork, *options: str) -> tuple[int, dict[str, dict[str, str]]]:
    """The exit code of `codexapi doctor`, and its findings by name."""
    done = network.run("doctor", "--json", *options)
    return done.returncode, {each["name"]: each for each in json.loads(done.stdout)["findings"]}


def test_the_doctor_finds_nothing_wrong(
    network: PrivateNetwork, server: Running, request: pytest.FixtureRequest
) -> None:
    code, told = doctor(network)
    assert not [found for found in told.values() if found["state"] == "problem"]
    assert code == 0
    assert told["backend"]["state"] == "ok"
    loop = request.node.callspec.id
    assert told["serve"]["told"].startswith(f"it starts, on {loop}, and lists ")
    assert "codexapi" in told["port"]["told"]


def test_the_doctor_reports_what_the_backend_really_says(network: PrivateNetwork) -> None:
    code, told = doctor(network, "--online")
    assert code == 0
    for name in ("catalogue", "usage page", "answer", "headers", "events", "fields"):
        assert told[name]["state"] == "ok", told[name]


def test_chat_answers(network: PrivateNetwork) -> None:
    assert ended(network.run("chat", HELLO)).strip() == "Hello."


def test_a_command_for_the_shell_is_proposed(network: PrivateNetwork) -> None:
    assert ended(network.run("sh", "[[say true]]")).strip() == "true"


@pytest.mark.parametrize("options", [(), ("--background", "transparent")])
def test_image_saves_a_picture(
    network: PrivateNetwork, tmp_path: Path, options: tuple[str, ...]
) -> None:
    path = tmp_path / "cat.png"
    ended(network.run("image", "a cat", "-o", str(path), *options))
    assert path.read_bytes().startswith(b"\x89PNG")


def test_usage_and_models_are_told(network: PrivateNetwork) -> None:
    assert "%" in ended(network.run("usage"))
    assert MODEL in ended(network.run("models"))


# MCP of its own.


async def test_mcp_is_served_on_stdin_and_stdout(network: PrivateNetwork) -> None:
    word, *words = network.warm("mcp", "serve")
    server = StdioServerParameters(command=word, args=words, env=network.environment())
    async with Client(server) as client:
        assert answer(await client.call_tool("generate_text", {"prompt": HELLO})) == "Hello."
        models = structured(await client.call_tool("list_models", {}))
    assert MODEL in json.dumps(models)


async def test_mcp_is_served_over_http(network: PrivateNetwork) -> None:
    command = network.warm("mcp", "serve", "--http", "0")
    ready = r"codexapi ready on (http://\S+/mcp)\n"
    with process(command, network.environment(), ready) as server, network.entered():
        async with Client(server.url) as client:
            said = await client.call_tool("generate_text", {"prompt": HELLO})
    assert answer(said) == "Hello."


# In the background.


def test_a_server_goes_on_in_the_background_until_it_is_stopped(loop: str, tmp_path: Path) -> None:
    with private_network(tmp_path, loop=loop) as network:
        try:
            assert ended(network.run("serve", "--detach")).strip() == f"{URL}/v1"
            reply = chat(network)
        finally:
            stopped = network.run("stop")
        assert reply.status_code == 200, reply.text
        assert stopped.returncode == 0
        assert URL in stopped.stderr
        with pytest.raises(httpx.ConnectError):
            ask(network, "/healthz")


# Addresses that are dead.


def answers(network: PrivateNetwork) -> None:
    """Both sides of codexapi reach the backend, within the connect limit."""
    with serving(network) as server:
        reply = chat(network)
        assert reply.status_code == 200, reply.text
        assert reply.elapsed.total_seconds() < CONNECT_LIMIT
        assert ended(network.run("chat", HELLO, seconds=CONNECT_LIMIT)).strip() == "Hello."
        assert server.stop(signal.SIGTERM) == 128 + signal.SIGTERM


def test_an_address_that_refuses_is_passed_over(loop: str, tmp_path: Path) -> None:
    hosts = {BACKEND: ["::1", HERE], ISSUER: ["::1", HERE]}
    with private_network(tmp_path, loop=loop, hosts=hosts) as network:
        network.log_in(left=30)
        answers(network)
        assert network.simulator.refreshes == 1


def test_an_address_that_is_silent_is_passed_over(loop: str, tmp_path: Path) -> None:
    hosts = {BACKEND: [DARK, HERE], ISSUER: [DARK, HERE]}
    with private_network(tmp_path, loop=loop, hosts=hosts) as network:
        network.darken()
        network.log_in(left=30)
        answers(network)
        assert network.simulator.refreshes == 1


# A proxy.


class Proxy:
    """A proxy that knows where the backend is, and keeps what it is asked for."""

    def __init__(self) -> None:
        self.requests: list[str] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.requests.append(head.splitlines()[0])
        there, back = await asyncio.open_connection(HERE, 443)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with contextlib.suppress(OSError):
            await asyncio.gather(_pump(reader, back), _pump(there, writer))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
    writer.close()


def test_a_proxy_that_has_a_name_is_used(loop: str, tmp_path: Path) -> None:
    """And the backend's name is the proxy's to resolve: nothing here knows it."""
    proxy = Proxy()
    with private_network(tmp_path, loop=loop, hosts={PROXY: [HERE]}) as network:
        network.serve(proxy, 3128)
        network.log_in(left=30)
        env = network.environment(HTTPS_PROXY=f"http://{PROXY}:3128")
        with serving(network, env=env):
            reply = chat(network)
        assert reply.status_code == 200, reply.text
        assert ended(network.run("chat", HELLO, env=env)).strip() == "Hello."
    assert {f"CONNECT {name}:443 HTTP/1.1" for name in (BACKEND, ISSUER)} == set(proxy.requests)


# Names that nobody knows.


def test_a_name_that_nobody_knows_is_told(loop: str, tmp_path: Path) -> None:
    with private_network(tmp_path, loop=loop, hosts={}) as network:
        with serving(network) as server:
            reply = chat(network)
            assert reply.status_code == 502, reply.text
            assert BACKEND in reply.json()["error"]["message"]
            assert server.stop(signal.SIGTERM) == 128 + signal.SIGTERM
        done = network.run("chat", HELLO)
        assert (done.returncode, done.stdout) == (5, "")
        assert BACKEND in done.stderr
        code, told = doctor(network)
        assert (code, told["serve"]["state"], told["backend"]["state"]) == (1, "problem", "problem")
        assert BACKEND in told["serve"]["told"]


# Silence.


def test_silence_ends_at_the_connect_limit(tmp_path: Path) -> None:
    """Of an address and of a name server, under each loop: at once, for each takes all of it."""
    kinds = [(loop, what) for loop in LOOPS for what in ("address", "name server")]

    def outcome(loop: str, what: str) -> tuple[int, str]:
        folder = tmp_path / f"{loop} {what}"
        folder.mkdir()
        hosts = {BACKEND: [DARK]} if what == "address" else {}
        with private_network(folder, loop=loop, hosts=hosts) as network:
            network.darken()
            network.silence_resolver()
            with serving(network):
                reply = chat(network)
        return reply.status_code, reply.json()["error"]["message"]

    with ThreadPoolExecutor(len(kinds)) as pool:
        for status, message in pool.map(lambda kind: outcome(*kind), kinds):
            assert status == 502
            assert f"no connection to {BACKEND} in time" in message


leaving = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])


@leaving
def test_a_server_that_waits_for_a_name_ends_at_once(
    loop: str, number: int, tmp_path: Path
) -> None:
    with private_network(tmp_path, loop=loop, hosts={}) as network:
        query = network.silence_resolver()
        with serving(network) as server:
            with network.entered(), httpx.Client(trust_env=False, timeout=0.5) as client:
                with pytest.raises(httpx.TimeoutException):
                    client.get(f"{URL}/v1/models")
            assert query.wait(PATIENCE)
            assert server.stop(number, PROMPT) == 128 + number


@leaving
def test_a_command_that_waits_for_a_name_ends_at_once(number: int, tmp_path: Path) -> None:
    with private_network(tmp_path, hosts={}) as network:
        query = network.silence_resolver()
        command = subprocess.Popen(
            network.warm("chat", HELLO), env=network.environment(),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            assert query.wait(PATIENCE)
            command.send_signal(number)
            assert command.wait(PROMPT) == 128 + number
        finally:
            command.kill()
            command.wait()
