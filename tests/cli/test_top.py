"""`codexapi top`, `status --watch` and `keys` as a person uses them, on a real server."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from mcp import Client
from tests import forks
from tests.cli.shell import PATIENCE, exit_code, run, terminal
from tests.ports import reserved_port
from tests.processes import Running, codexapi, environment, server

from codexapi_cli.terminal.cells import cells
from codexapi_cli.terminal.request_table import table, title

pytestmark = pytest.mark.timeout(120)
MODEL = "gpt-6.1-sol"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("state")


@pytest.fixture(scope="module")
def served(folder: Path) -> Iterator[Running]:
    with server("--demo", "--mcp", env={"CODEXAPI_STATE_DIR": str(folder)}) as process:
        yield process


@pytest.fixture
def env(folder: Path) -> dict[str, str]:
    return {"CODEXAPI_STATE_DIR": str(folder)}


def ask(served: Running, agent: str, *, path: str = "/v1/chat/completions", key: str = "") -> int:
    connection = HTTPConnection(urlsplit(served.url).netloc, timeout=PATIENCE)
    body = json.dumps({"model": MODEL, "messages": [{"role": "user", "content": "[[say hello]]"}]})
    headers = {"User-Agent": agent, "Content-Type": "application/json"}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    try:
        connection.request("POST", path, body, headers)
        response = connection.getresponse()
        response.read()
        return response.status
    finally:
        connection.close()


def test_top_in_a_pipe_prints_the_table_once(served: Running, env: dict[str, str]) -> None:
    assert ask(served, "editor/1.0") == 200
    done = run("top", env=env)
    assert (done.returncode, done.stderr) == (0, "")
    head, _, titles, first, *_ = done.stdout.splitlines()
    assert head.endswith(": 0 running")
    assert titles.split()[:4] == ["TIME", "PROGRAM", "ROUTE", "MODEL"]
    assert first.split()[1:5] == ["editor", "1.0", "/v1/chat/completions", MODEL]
    assert first.endswith("200")
    assert "\x1b" not in done.stdout


def test_top_for_a_program_is_the_report_of_the_server(
    served: Running, env: dict[str, str]
) -> None:
    port = str(urlsplit(served.url).port)
    for which in ((), ("--port", port), ("--url", f"http://127.0.0.1:{port}")):
        done = run("top", "--json", *which, env=env)
        assert json.loads(done.stdout)["base_url"] == served.url


def test_nothing_of_a_client_reaches_a_terminal_raw(served: Running, env: dict[str, str]) -> None:
    ask(
        served,
        "evil/1.0\x9b31m",
        path="/v1/\x1b]0;title\x07%1b%5b2J".replace("\x1b", "%1b").replace("\x07", "%07"),
    )
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", run("top", env=env).stdout)


@pytest.mark.parametrize("key", ["q", "\x03"], ids=["q", "^C"])
def test_top_on_a_terminal_is_live_and_gives_it_back(
    served: Running, env: dict[str, str], key: str
) -> None:
    with terminal("top", "--every", "0.05", env=env) as child:
        child.expect_exact("\x1b[?1049h")
        child.expect_exact("STATUS")
        ask(served, "newcomer/1.0")
        child.expect_exact("newcomer 1.0")
        child.send(key)
        child.expect_exact("\x1b[?1049l")
        child.read()
        assert exit_code(child) == (0 if key == "q" else 130)


def test_top_follows_the_size_of_its_terminal(served: Running, env: dict[str, str]) -> None:
    ask(served, "editor/1.0")
    with terminal("top", "--every", "3600", env=env, width=200) as child:
        child.expect_exact("CACHED")
        child.setwinsize(24, 50)
        child.expect_exact("\x1b[H")
        child.expect_exact("STATUS")
        assert "CACHED" not in child.before
        child.send("q")
        child.read()


def test_top_waits_for_a_server_that_stops(env: dict[str, str], tmp_path: Path) -> None:
    own = {"CODEXAPI_STATE_DIR": str(tmp_path)}
    with (
        reserved_port() as port,
        server("--demo", port=port, env=own) as process,
        terminal("top", "--every", "0.05", env=own) as child,
    ):
        child.expect_exact("0 running")
        process.stop(signal.SIGTERM, PATIENCE)
        child.expect_exact("trying again")
        child.send("q")
        child.read()
        assert exit_code(child) == 0


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((), 2, "no server runs"),
        (("--url", "ftp://x"), 2, "--url"),
        (("--url", "http://127.0.0.1:1"), 5, "no codexapi answers"),
        (("--every", "0"), 2, "--every"),
    ],
)
def test_top_says_what_is_wrong(
    tmp_path: Path, arguments: tuple[str, ...], code: int, words: str
) -> None:
    done = run("top", *arguments, env={"CODEXAPI_STATE_DIR": str(tmp_path)})
    assert done.returncode == code
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_server_without_a_page_is_told_so(tmp_path: Path) -> None:
    own = {"CODEXAPI_STATE_DIR": str(tmp_path)}
    with server("--demo", "--no-page", env=own):
        done = run("top", env=own)
    assert done.returncode == 5
    assert "--no-page" in done.stderr


def test_a_key_of_a_program_is_made_used_shown_and_revoked(
    served: Running, env: dict[str, str]
) -> None:
    made = run("keys", "add", "laptop", env=env)
    key = made.stdout.strip()
    assert re.fullmatch(r"codexapi-[\w-]{43}", key)
    assert "demands a key" in made.stderr
    assert (ask(served, "any/1"), ask(served, "any/1", key=key)) == (401, 200)
    assert ask(served, "any/1", path="/mcp") == 401
    assert ask(served, "any/1", path="/mcp", key=key) != 401
    refused = run("top", env=env)
    assert (refused.returncode, "CODEXAPI_API_KEY" in refused.stderr) == (3, True)
    shown = run("top", env={**env, "CODEXAPI_API_KEY": key})
    assert "laptop" in shown.stdout
    (listed,) = json.loads(run("keys", "list", "--json", env=env).stdout)
    assert set(listed) == {"name", "created_at"}
    assert key not in run("keys", "list", env=env).stdout
    again = run("keys", "add", "laptop", env=env)
    assert (again.returncode, "keys revoke laptop" in again.stderr) == (6, True)
    assert run("keys", "revoke", "laptop", env=env).returncode == 0
    assert ask(served, "any/1", key=key) == 200  # no key is demanded any more
    assert run("keys", "revoke", "laptop", env=env).returncode == 2


def test_a_server_says_at_its_start_that_it_demands_a_key(tmp_path: Path) -> None:
    own = {"CODEXAPI_STATE_DIR": str(tmp_path)}
    assert run("keys", "add", "laptop", env=own).returncode == 0
    with server("--demo", env=own) as process:
        assert process.process.stderr is not None
        notes = [process.process.stderr.readline() for _ in range(2)]
    assert "every request needs a key: that of laptop" in notes[1]
    noted = run("setup", "claude-code", "--print", "--demo", "--model", "x", env=own)
    assert "keys add NAME" in noted.stderr


def test_status_sums_up_the_requests_by_program(served: Running, env: dict[str, str]) -> None:
    ask(served, "counter/1.0")
    ask(served, "counter/1.0")
    done = run("status", "--demo", "--json", env=env)
    (one,) = json.loads(done.stdout)["servers"]
    sums = {program["program"]: program for program in one["programs"]}
    assert sums["counter 1.0"]["requests"] == 2
    assert sums["counter 1.0"]["output"] > 0
    assert "counter 1.0: 2 requests" in run("status", "--demo", env=env).stdout


async def test_mcp_beside_the_server_tells_the_same_sums(served: Running) -> None:
    await asyncio.to_thread(ask, served, "besides/1.0")
    async with Client(served.url.replace("/v1", "/mcp")) as mcp:
        told = (await mcp.call_tool("account_status", {})).structured_content
    assert told is not None
    (one,) = [each for each in told["programs"] if each["program"] == "besides 1.0"]
    assert (one["requests"], one["running"]) == (1, 0)
    assert one["output_tokens"] > 0


def test_status_watch_prints_a_line_for_each_change(served: Running, env: dict[str, str]) -> None:
    process = forks.Popen(
        codexapi("status", "--demo", "--json", "--watch", "--every", "0.05"),
        env=environment(**env), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        first = json.loads(process.stdout.readline())
        ask(served, "watched/1.0")
        second = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=PATIENCE)
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
    assert process.returncode == 130
    assert (rest, errors) == ("", "")
    assert first["logged_in"]
    assert "watched 1.0" not in str(first)
    assert "watched 1.0" in str(second["servers"])


def test_status_watch_draws_over_itself_on_a_terminal(served: Running, env: dict[str, str]) -> None:
    with terminal("status", "--demo", "--watch", "--every", "0.05", env=env) as child:
        child.expect_exact("logged in")
        child.expect_exact("7-day")
        ask(served, "redrawn/1.0")
        child.expect(r"\x1b\[\d+A\r\x1b\[J")
        child.expect_exact("redrawn 1.0: 1 request")
        child.sendcontrol("c")
        child.read()
        assert exit_code(child) == 130


def entry(**more: Any) -> dict[str, Any]:
    return {
        "request_id": "r", "at": 1.0, "program": "editor 1.0", "method": "POST",
        "route": "/v1/chat/completions", "model": MODEL, "effort": "high", "seconds": 1.25, **more,
    }  # fmt: skip


ENDED = {
    "tokens": {"input": 3, "cached": None, "output": 4}, "first": 0.5, "status": 200, "code": None,
}  # fmt: skip


@pytest.mark.parametrize("columns", [1, 20, 40, 60, 80, 200])
def test_the_table_fits_whatever_the_server_says(columns: int) -> None:
    report: Any = {
        "running": [entry(stoppable=True), entry(program="名前" * 30, stoppable=False), 7],
        "recent": [entry(**ENDED), entry(at="x", model=None, tokens=[], program="\x1b[2J"), {}],
    }
    lines = table(report, columns, 5)
    assert len(lines) == 5
    assert all(cells(line) <= columns for line in lines)
    assert "\x1b" not in "".join(lines)
    assert len(table(report)) == 6
    assert table({}, columns) == table({"running": None, "recent": "x"}, columns)
    assert "\x1b" not in title({"version": "\x1b[2J"}, "http://x")


def test_the_running_requests_come_first() -> None:
    report = {"recent": [entry(**ENDED)], "running": [entry(program="now", stoppable=True)]}
    _, first, second = table(report)
    assert ("now" in first, first.endswith("running")) == (True, True)
    assert second.endswith("200")
