"""The process that an editor starts: what is on its stdout, and how it ends."""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests import forks
from tests.faulty import FaultyBackend, whole
from tests.logins import access_token, auth_json, write_login
from tests.mcp_server.transports import HELLO, Slow, backend, launched
from tests.processes import codexapi, environment

from codexapi_mcp.options import GROUPS

pytestmark = pytest.mark.timeout(90)

PING = {"jsonrpc": "2.0", "id": 9, "method": "ping"}
READY = {"jsonrpc": "2.0", "method": "notifications/initialized"}

PRINTING = """
import os, subprocess, sys
from codexapi_engine import Settings
from codexapi_mcp.stdio import run

def made():
    from codexapi_mcp import create_server

    server = create_server(settings=Settings(demo=True))

    @server.tool()
    async def noisy() -> str:
        print("a print")
        os.write(1, b"a write\\n")
        subprocess.run([sys.executable, "-c", "print('a child')"], check=True)
        return "done"

    @server.tool()
    async def broken(prompt: str) -> str:
        raise RuntimeError(prompt)

    return server

sys.exit(run(made))
"""


def call(name: str, **arguments: Any) -> dict[str, Any]:
    params = {"name": name, "arguments": arguments}
    return {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": params}


class Editor:
    """The other end of the pipes."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def say(self, *messages: Mapping[str, Any]) -> None:
        assert self.process.stdin is not None
        for message in messages:
            self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()

    def hear(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        heard: dict[str, Any] = json.loads(self.process.stdout.readline())
        return heard


@contextmanager
def editor(*command: str, env: Mapping[str, str] | None = None) -> Iterator[Editor]:
    process = subprocess.Popen(
        command, env=env or environment(), text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        yield Editor(process)
    finally:
        process.kill()
        process.communicate()


@asynccontextmanager
async def busy(slow: Slow, folder: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """A server in the middle of a call."""
    async with backend(slow.simulator, folder) as env:
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *launched("stdio"), env=env, stdin=pipe, stdout=pipe, stderr=pipe
        )
        try:
            assert process.stdin is not None
            for message in (HELLO, READY, call("generate_text", prompt="[[silence 60]] x")):
                process.stdin.write(json.dumps(message).encode() + b"\n")
            await slow.waiting.wait()
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_it_in_the_middle_of_a_call(
    tmp_path: Path, number: signal.Signals
) -> None:
    slow = Slow()
    async with busy(slow, tmp_path) as process:
        process.send_signal(number)
        assert await process.wait() == 128 + number
        await slow.ended.wait()
    assert slow.simulator.cancelled == 1


@pytest.mark.parametrize("twice", [False, True])
async def test_a_login_that_is_being_renewed_is_saved_before_a_signal_ends_it(
    tmp_path: Path, twice: bool
) -> None:
    """Its refresh token is spent: neither we nor Codex could go on with the one on the disk. But
    whoever sends a signal twice does not want to wait."""
    path = write_login(tmp_path, auth_json(exp=1, issued=None))
    answering, pipe = asyncio.Event(), asyncio.subprocess.PIPE
    tokens = whole(200, {"access_token": access_token(4e9), "refresh_token": "canary-refresh-new"})
    async with FaultyBackend([answering, tokens]) as backend:
        env = environment(
            CODEX_HOME=str(tmp_path), CODEXAPI_BASE_URL=backend.url,
            CODEX_REFRESH_TOKEN_URL_OVERRIDE=f"{backend.url}/oauth/token",
        )  # fmt: skip
        process = await forks.execute(
            *codexapi("mcp", "serve"), env=env, stdin=pipe, stdout=pipe, stderr=pipe
        )
        try:
            assert process.stdin is not None
            for message in (HELLO, READY, call("list_models")):
                process.stdin.write(json.dumps(message).encode() + b"\n")
            await backend.until(lambda: bool(backend.requests))
            process.send_signal(signal.SIGTERM)
            process.stdin.write(json.dumps(PING).encode() + b"\n")
            assert process.stdout is not None
            while b'"id":9' not in (line := await process.stdout.readline()):  # it heard both
                assert line
            if twice:
                process.send_signal(signal.SIGINT)
                assert await process.wait() == 128 + signal.SIGINT
            answering.set()
            assert await process.wait() == 128 + (signal.SIGINT if twice else signal.SIGTERM)
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()
    assert (b"canary-refresh-new" in path.read_bytes()) != twice


async def test_the_end_of_stdin_is_the_end_of_its_calls(tmp_path: Path) -> None:
    slow = Slow()
    async with busy(slow, tmp_path) as process:
        assert process.stdin is not None
        process.stdin.close()
        assert await process.wait() == 0
        assert process.stderr is not None
        said = (await process.stderr.read()).decode()
        await slow.ended.wait()
    assert slow.simulator.cancelled == 1
    assert said == ""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere no thread can be signalled alone")
def test_a_signal_that_another_thread_gets_ends_it() -> None:
    """The system may choose any; the one that reads stdin sleeps in a call."""
    with editor(*codexapi("mcp", "serve", "--demo")) as here:
        here.say(HELLO)
        here.hear()
        ours = here.process.pid
        other = next(int(tid) for tid in os.listdir(f"/proc/{ours}/task") if int(tid) != ours)
        ctypes.CDLL(None).tgkill(ours, other, signal.SIGTERM)
        assert here.process.wait(60) == 128 + signal.SIGTERM


def test_an_editor_that_has_left_is_told_nothing() -> None:
    with editor(*forks.for_shells("mcp", "serve", "--demo")) as here:
        here.say(HELLO)
        here.hear()
        assert here.process.stdout is not None
        assert here.process.stderr is not None
        here.process.stdout.close()
        here.say(READY, {"jsonrpc": "2.0", "id": 2, "method": "ping"})
        assert here.process.stdin is not None
        here.process.stdin.close()
        here.process.stdin = None
        assert here.process.wait() == 0
        assert here.process.stderr.read() == ""


def test_what_a_tool_prints_is_not_on_the_wire() -> None:
    with editor(*forks.for_shells(code=PRINTING)) as here:
        here.say(HELLO)
        assert here.hear()["result"]["serverInfo"]["name"] == "codexapi"
        here.say(READY, call("noisy"))
        assert here.hear()["result"]["content"][0]["text"] == "done"
        assert here.process.stdin is not None
        assert here.process.stdout is not None
        assert here.process.stderr is not None
        here.process.stdin.close()
        here.process.stdin = None
        assert here.process.stdout.read() == ""
        said = here.process.stderr.read()
    assert {"a print", "a write", "a child"} <= set(said.splitlines())


def test_a_bug_tells_the_log_where_it_is_and_nobody_what_was_asked() -> None:
    with editor(*forks.for_shells(code=PRINTING)) as here:
        here.say(HELLO)
        here.hear()
        here.say(READY, call("broken", prompt="canary"))
        result = here.hear()["result"]
        assert here.process.stdin is not None
        assert here.process.stderr is not None
        here.process.stdin.close()
        here.process.stdin = None
        said = here.process.stderr.read()
    assert result["isError"]
    assert result["structuredContent"]["error"]["code"] == "internal_error"
    assert said.startswith("codexapi: broken failed: RuntimeError < <string>:")
    assert "canary" not in said + json.dumps(result)


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone has it")
def test_once_the_login_is_there_nobody_looks_into_the_process() -> None:
    import resource

    if sys.platform != "linux":
        pytest.skip("Linux alone has this")

    with editor(*codexapi("mcp", "serve", "--demo")) as here:
        process = here.process.pid
        here.say(HELLO, READY)
        here.hear()
        resource.prlimit(process, resource.RLIMIT_CORE, (0, resource.RLIM_INFINITY))
        here.say(call("list_models"))
        assert not here.hear()["result"]["isError"]
        assert resource.prlimit(process, resource.RLIMIT_CORE) == (0, 0)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (
            ["--tools", "text,music"],
            f"--tools: text,music is not a list of {', '.join(GROUPS)}",
        ),
        (["--inline", "perhaps"], "--inline: perhaps is none of auto, always, never"),
        (["--http", "somewhere"], "--http: somewhere is not [HOST:]PORT"),
        (["--http", "0.0.0.0:0"], "--api-key"),
        (["--api-key", "x"], "--api-key: it is for --http alone"),
        (["--http", "0", "--allow-host", "a b"], "--allow-host: "),
        (
            ["--http", "0", "--api-key", "x", "--api-key-file", "y"],
            "--api-key and --api-key-file: give one of them",
        ),
    ],
)
def test_a_wrong_option_says_what_would_do(flags: list[str], said: str) -> None:
    done = forks.run(
        codexapi("mcp", "serve", *flags), env=environment(), stdin=subprocess.DEVNULL,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2, done
    assert said in done.stderr
    assert done.stdout == ""


def test_an_editor_does_not_wait_for_the_command_line() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "codexapi_cli", "mcp", "serve"],
        env=environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert done.returncode == 0
    assert "mcp.server.mcpserver" in imported
    assert not imported & {"typer", "codexapi_cli.app", "httpx"}


def test_a_wrong_setting_ends_it_before_it_begins() -> None:
    done = forks.run(
        codexapi("mcp", "serve"), env=environment(CODEXAPI_PORT="x"), stdin=subprocess.DEVNULL,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert "CODEXAPI_PORT" in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="there are no terminals of this kind")
def test_on_a_terminal_it_says_what_it_is() -> None:
    import pty

    if sys.platform == "win32":
        pytest.skip("Windows has none of this")

    ours, theirs = pty.openpty()
    process = forks.Popen(
        codexapi("mcp", "serve", "--demo"), env=environment(), text=True,
        stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    with process:
        try:
            assert process.stderr is not None
            assert process.stdout is not None
            said = process.stderr.readline()
            os.write(ours, json.dumps(HELLO).encode() + b"\n")
            heard = json.loads(process.stdout.readline())
            os.write(ours, b"\x04")
            assert process.stdout.read() == ""
        finally:
            process.kill()
            os.close(ours)
            os.close(theirs)
    assert "an MCP server" in said
    assert "codexapi mcp install" in said
    assert heard["id"] == HELLO["id"]


def ran(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script], env=environment(), capture_output=True, text=True,
        check=True,
    )  # fmt: skip


def test_what_a_client_waits_for_needs_no_engine() -> None:
    """Editors count the time to the first answer, and some go on without a slow server."""
    script = (
        "import sys; from codexapi_mcp import create_server; create_server(); "
        "print([name for name in ('httpx', 'h2', 'PIL', 'sqlite3', 'codexapi_engine.client', "
        "'codexapi_mcp.images', 'codexapi_http') if name in sys.modules])"
    )
    assert ran(script).stdout.strip() == "[]"


def test_the_log_never_tells_what_an_exception_says() -> None:
    script = (
        "import logging; from codexapi_mcp.stdio import quiet_logging; quiet_logging()\n"
        "try: raise ValueError('canary')\n"
        "except ValueError: logging.getLogger('mcp').exception('it failed')"
    )
    assert ran(script).stderr == "codexapi: it failed\nValueError < <string>:2\n"
