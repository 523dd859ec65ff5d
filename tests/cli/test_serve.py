"""What `codexapi serve` says to a person, and to what reads its stderr in their place."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.cli.shell import exit_code, run, terminal
from tests.logins import auth_json, write_login
from tests.processes import codexapi, environment, server

from codexapi_engine import Settings
from codexapi_engine.login.login_hint import INSTALL
from codexapi_http.server.process import cannot_listen
from codexapi_http.server.serve import addresses

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="opens terminals, sends signals")

NO_CODEX = str(Path(sys.executable).parent)
"""A PATH with no official client on it."""


def url_of(child: Any) -> str:
    child.expect(r"codexapi ready on (http://\S+)/v1\r\n")
    return str(child.match[1])


def test_a_person_reads_the_address_the_login_and_how_to_end_it(tmp_path: Path) -> None:
    write_login(tmp_path, auth_json(exp=4_000_000_000))
    with terminal("serve", "--port", "0", env={"CODEX_HOME": str(tmp_path)}) as child:
        url = url_of(child)
        child.expect_exact(f"codexapi: in a browser: {url}/\r\n")
        child.expect_exact("codexapi: logged in, plan pro\r\ncodexapi: Ctrl-C ends it\r\n")
        child.sendintr()
        assert child.read().strip() in ("", "^C")
        assert exit_code(child) == 130


def test_without_a_login_the_start_says_how_to_log_in_and_how_to_do_without(tmp_path: Path) -> None:
    env = {"CODEX_HOME": str(tmp_path), "PATH": NO_CODEX}
    with terminal("serve", "--port", "0", env=env, width=60) as child:
        url_of(child)
        child.expect_exact("Ctrl-C ends it\r\n")
        lines = child.before.splitlines()
        child.sendintr()
        child.read()
    assert all(len(line) <= 60 or len(line.split()) == 1 for line in lines)
    said = " ".join(line.strip() for line in lines)
    for part in ("codexapi: not logged in", "`codex` is not installed", INSTALL, "--demo", "401"):
        assert part in said


def test_ctrl_c_says_what_it_waits_for_and_a_second_one_ends_it() -> None:
    with terminal("serve", "--demo", "--port", "0") as child:
        url = url_of(child)
        child.expect_exact("Ctrl-C ends it")
        body = {
            "model": "gpt-6.1-sol",
            "input": "[[long 10]] [[hold]] [[slow 600]]",
            "stream": True,
        }
        connection = HTTPConnection(urlsplit(url).netloc, timeout=60)
        connection.request(
            "POST", "/v1/responses", json.dumps(body), {"content-type": "application/json"}
        )
        reply = connection.getresponse()
        reply.read1(100)
        child.sendintr()
        child.expect_exact("codexapi: ending: 1 stream has 5 s; Ctrl-C again ends it now")
        child.sendintr()
        assert b"shutting_down" in reply.read()
        connection.close()
        child.read()
        assert exit_code(child) == 130


def test_a_pipe_gets_no_advice_for_a_keyboard(tmp_path: Path) -> None:
    write_login(tmp_path, auth_json(exp=4_000_000_000))
    with server(env={"CODEX_HOME": str(tmp_path)}) as running:
        assert running.process.stderr is not None
        assert running.process.stderr.readline() == "codexapi: logged in, plan pro\n"
        assert running.stop(signal.SIGTERM) == 143
        assert running.process.stderr.read() == ""


def test_a_json_log_is_json_from_its_first_line_to_its_last(tmp_path: Path) -> None:
    command = codexapi("serve", "--demo", "--port", "0", "--log-format", "json")
    process = subprocess.Popen(command, env=environment(), stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        ready = json.loads(process.stderr.readline())
        assert ready["level"] == "info"
        urllib.request.urlopen(f"{ready['url']}/models").read()
        process.terminate()
        rest = process.stderr.read()
    finally:
        process.kill()
        process.communicate()
    assert [json.loads(line)["level"] for line in rest.splitlines()] == ["warning", "info"]


def test_the_log_of_a_server_in_the_background_has_dates(tmp_path: Path) -> None:
    env = {"CODEXAPI_STATE_DIR": str(tmp_path)}
    started = run("serve", "--demo", "--port", "0", "--detach", env=env)
    assert started.returncode == 0, started.stderr
    urllib.request.urlopen(f"{started.stdout.strip()}/models").read()
    port = str(urlsplit(started.stdout).port)
    assert f"`codexapi stop --port {port}` ends it" in started.stderr
    assert run("stop", "--port", port, env=env).returncode == 0
    (log,) = (tmp_path / "logs").glob("*.log")
    pattern = r"(?m)^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d codexapi\.http GET /v1/models 200 "
    assert re.search(pattern, log.read_text())


def test_on_a_terminal_a_line_of_the_log_is_broken_between_words() -> None:
    with terminal("serve", "--demo", "--port", "0", width=60) as child:
        url = url_of(child)
        child.expect_exact("Ctrl-C ends it\r\n")
        urllib.request.urlopen(f"{url}/v1/models").read()
        child.expect(r"req_\w+")
        lines = f"{child.before}{child.after}".splitlines()
        child.sendintr()
        child.read()
    first, *rest = lines
    assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d GET /v1/models 200 ", first)
    assert rest
    assert all(re.fullmatch(r" {20}\S.*", line) for line in rest)
    assert all(len(line) <= 60 for line in lines)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells who has a port")
def test_who_has_the_port_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        done = run("serve", "--demo", "--port", str(port))
    assert done.returncode == 8
    assert f"127.0.0.1:{port}: Address already in use by " in done.stderr
    assert f", process {os.getpid()}; choose another --port" in done.stderr


def test_the_port_of_ollama_is_served_too_and_named(tmp_path: Path) -> None:
    env = {"CODEXAPI_OLLAMA_PORT": "0", "CODEXAPI_STATE_DIR": str(tmp_path)}
    with server("--demo", "--ollama", env=env) as running:
        assert running.process.stderr is not None
        lines = iter(running.process.stderr.readline, "")
        note = next(line for line in lines if "Ollama" in line)
        told = re.fullmatch(
            r"codexapi: programs that look for Ollama find it at (http://127.0.0.1:(\d+))\n", note
        )
        assert told, note
        assert told[1] != running.url.removesuffix("/v1")
        for url in (told[1], running.url.removesuffix("/v1")):
            with urllib.request.urlopen(url) as reply:
                assert reply.read() == b"Ollama is running"
        env = {"CODEXAPI_OLLAMA_PORT": told[2]}
        found = run("doctor", "--demo", "--offline", "--json", env=env)
        checks = {check["name"]: check for check in json.loads(found.stdout)["findings"]}
        assert "is serving on" in checks["ollama port"]["told"]
        assert json.loads(found.stdout)["ok"], checks
        assert running.stop(signal.SIGTERM) == 143


def test_a_port_of_ollama_that_is_taken_ends_the_start(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        env = {"CODEXAPI_OLLAMA_PORT": str(port), "CODEXAPI_STATE_DIR": str(tmp_path)}
        done = run("serve", "--demo", "--port", "0", "--ollama", env=env)
    assert done.returncode == 8
    assert f"127.0.0.1:{port}: Address already in use by " in done.stderr


def test_the_own_port_of_ollama_has_a_hint_of_its_own() -> None:
    told = cannot_listen("127.0.0.1", 11434, OSError(errno.EADDRINUSE, "Address already in use"))
    assert "quit Ollama" in told
    assert "--port" not in told


@pytest.mark.parametrize(
    ("host", "port", "expected"),
    [
        ("127.0.0.1", 11434, [("127.0.0.1", 11434)]),
        ("0.0.0.0", 11434, [("0.0.0.0", 11434)]),
        ("127.0.0.1", 18080, [("127.0.0.1", 18080), ("127.0.0.1", 11434)]),
        ("::1", 11434, [("::1", 11434), ("127.0.0.1", 11434)]),
    ],
)
def test_an_address_is_listened_on_once(
    host: str, port: int, expected: list[tuple[str, int]]
) -> None:
    chosen = Settings(host=host, port=port, ollama_port=11434)
    assert addresses(chosen, api=True) == expected
    assert addresses(chosen, api=False) == [(host, port)]
