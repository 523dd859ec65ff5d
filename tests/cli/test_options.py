"""The options that all commands share: they stand before the command or after it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextvars import copy_context
from http.client import HTTPConnection
from pathlib import Path

import pytest
from tests import forks
from tests.cli.shell import exit_code, plain, run, shown, terminal
from tests.cli.test_chat import NEVER
from tests.faulty import HOLD, FaultyBackend, head
from tests.logins import auth_json, write_login
from tests.processes import codexapi, environment, server, simulator

from codexapi_cli.global_options import set_global_options
from codexapi_cli.terminal.colors import colourful
from codexapi_cli.terminal.stdin import _telling
from codexapi_engine.simulator.backend import catalogue

COLOUR = re.compile(r"\x1b\[[\d;]*3\d")
posix = pytest.mark.skipif(sys.platform == "win32", reason="opens terminals")


def before_and_after(*options: str, command: tuple[str, ...]) -> list[tuple[str, ...]]:
    return [(*options, *command), (*command, *options)]


@pytest.mark.parametrize(
    "arguments",
    [
        *before_and_after("-q", command=("chat", "--demo", "-x", "[[say No block.]]")),
        *before_and_after("--quiet", command=("chat", "--demo", "-x", "[[say No block.]]")),
        ("-q", "[[say No block.]] please", "--demo", "-x"),
    ],
)
def test_quiet_leaves_the_notes_out(arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout, done.stderr) == (0, "No block.\n", "")


def test_quiet_leaves_no_error_out() -> None:
    done = run("-q", "chat", "--demo", "[[incomplete]]")
    assert "the answer is incomplete" in done.stderr
    assert run("-q", "chat", "--demo", "[[status bad_gateway]]").stderr.startswith("codexapi: ")


@posix
def test_quiet_shows_no_progress() -> None:
    with terminal("-q", "chat", "--demo", "--raw", "[[slow 0.1]] [[say Hi.]]") as child:
        said = child.read()
        assert exit_code(child) == 0
    assert said == "Hi.\r\n"


@pytest.mark.parametrize(
    "arguments",
    [
        *before_and_after("-v", command=("chat", "--demo", "[[say Hello.]]")),
        ("sh", "--demo", "--verbose", "[[say Hello.]]"),
    ],
)
def test_verbose_tells_model_time_tokens_and_request(arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (0, "Hello.\n")
    assert re.fullmatch(
        rf"codexapi: {re.escape(catalogue()[0]['slug'])}, "
        r"\d+\.\d\d s, the first event after \d+\.\d\d s, "
        r"\d+ tokens in \(0 cached\), \d+ out \(\d+ reasoning\), request req_simulated_\d+\n",
        done.stderr,
    )


def test_verbose_tells_of_a_picture(tmp_path: Path) -> None:
    done = run("image", "--demo", "-v", "a fox", "-o", str(tmp_path / "fox.png"))
    assert re.match(r"codexapi: gpt-image-\S+, \d+\.\d\d s, .* tokens in ", done.stderr)


async def test_very_verbose_shows_headers_and_no_secret(tmp_path: Path) -> None:
    write_login(tmp_path, auth_json(exp=NEVER))
    async with FaultyBackend([head(), HOLD]) as backend:
        process = await forks.execute(
            *codexapi("chat", "-m", "m", "-vv", "hi"),
            env=environment(CODEX_HOME=str(tmp_path), CODEXAPI_BASE_URL=backend.url),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip
        try:
            assert process.stderr is not None
            said = b""
            while b"< content-type" not in said:
                line = await process.stderr.readline()
                assert line, said
                said += line
        finally:
            process.kill()
            _, rest = await process.communicate()
        (authorization,) = [request.headers["authorization"] for request in backend.requests]
    said += rest
    assert len(authorization) > 20
    assert authorization.removeprefix("Bearer ").encode() not in said
    assert b"canary" not in said
    assert b"> authorization: (left out)\n" in said
    assert b"> chatgpt-account-id: (left out)\n" in said
    assert b"> originator: codexapi\n" in said
    assert b"/responses\n" in said


@pytest.mark.parametrize(
    ("arguments", "env", "coloured"),
    [
        ((), {}, True),
        (("--color", "never"), {}, False),
        (("--color", "never"), {"FORCE_COLOR": "1"}, False),
        (("--color", "always"), {"NO_COLOR": "1"}, True),
        (("--color", "auto"), {"NO_COLOR": "1"}, False),
        ((), {"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
    ],
)
@posix
def test_colours_are_as_one_says(
    arguments: tuple[str, ...], env: dict[str, str], coloured: bool
) -> None:
    question = "[[reason]] [[say Look: `code` here]]"
    _, said = shown("chat", "--demo", "--show-reasoning", question, *arguments, env=env)
    assert bool(COLOUR.search(said)) is coloured
    assert ("\x1b[2m" in said) is coloured
    assert "Look: code here" in plain(said)


@pytest.mark.parametrize("color", ["always", "auto", "never"])
def test_a_pipe_gets_the_bytes_of_the_answer_whatever_the_colours(color: str) -> None:
    done = run("--color", color, "chat", "--demo", "[[say # Look: `code`]]")
    assert done.stdout == "# Look: `code`\n"


def test_reasoning_in_a_pipe_is_dim_where_colours_are_forced() -> None:
    question = ("chat", "--demo", "--show-reasoning", "[[reason]] [[say Yes.]]")
    assert "\x1b[2m" in run(*question, "--color", "always").stderr
    assert "\x1b" not in run(*question).stderr


@pytest.mark.parametrize(
    ("terminal_", "environ", "wanted"),
    [
        (True, {}, True),
        (False, {}, False),
        (True, {"TERM": "dumb"}, False),
        (True, {"NO_COLOR": ""}, True),
        (False, {"FORCE_COLOR": "1"}, True),
        (True, {"FORCE_COLOR": "1", "TERM": "dumb"}, True),
        (True, {"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
    ],
)
def test_who_decides_on_colours(terminal_: bool, environ: Mapping[str, str], wanted: bool) -> None:
    assert colourful(terminal_, environ) is wanted


@pytest.mark.parametrize(
    "arguments",
    before_and_after("--timeout", "0.2", command=("chat", "-m", "gpt-6.1-sol", "[[silence 600]]")),
)
def test_a_silence_can_be_too_long(arguments: tuple[str, ...], tmp_path: Path) -> None:
    with simulator(tmp_path / "login") as backend:
        done = run(*arguments, env=backend.env)
    assert (done.returncode, done.stdout) == (5, "")
    assert done.stderr.startswith("codexapi: ")
    assert done.stderr.endswith(" (upstream_timeout)\n")


@pytest.mark.parametrize("seconds", ["0", "soon", "nan"])
def test_a_timeout_that_is_none_is_refused(seconds: str) -> None:
    done = run("--timeout", seconds, "chat", "--demo", "hi")
    assert (done.returncode, done.stdout) == (2, "")
    assert "--timeout" in done.stderr


@pytest.mark.parametrize(
    "arguments", before_and_after("--no-log", command=("chat", "--demo", "[[say Hi.]]"))
)
def test_nothing_is_kept_where_one_says_so(arguments: tuple[str, ...], tmp_path: Path) -> None:
    env = {"CODEXAPI_STATE_DIR": str(tmp_path), "CODEXAPI_NO_LOG": ""}
    assert run(*arguments, env=env).returncode == 0
    assert not list(tmp_path.iterdir())
    assert run("chat", "--demo", "[[say Hi.]]", env=env).returncode == 0
    assert list(tmp_path.iterdir()), "else it is"


@pytest.mark.parametrize(
    "command",
    ["chat", "image", "transcribe", "history", "history show", "mcp serve", "serve"],
)
def test_every_command_takes_them(command: str) -> None:
    options = ("--quiet", "--verbose", "--color", "never", "--timeout", "5")
    done = run(*command.split(), *options, "--help")
    assert (done.returncode, done.stderr) == (0, "")


def test_what_belongs_to_another_program_is_not_taken_from_it(tmp_path: Path) -> None:
    program = tmp_path / "codex"
    program.write_text('#!/bin/sh\necho "$*"\n')
    program.chmod(0o755)
    done = run("login", "-q", "--verbose", env={"PATH": f"{tmp_path}:/bin:/usr/bin"})
    assert done.stdout == "login -q --verbose\n"


def test_quiet_serves_without_a_line_for_each_request() -> None:
    for options, lines in ((["-q"], 0), ([], 1)):
        with server("--demo", *options) as running:
            assert running.process.stderr is not None
            assert "simulated" in running.process.stderr.readline()
            connection = HTTPConnection(running.url.split("/")[2])
            connection.request("GET", "/healthz")
            assert connection.getresponse().status == 200
            connection.close()
            running.process.terminate()
            assert running.process.stderr.read().count("/healthz") == lines


def test_config_names_the_flags_that_a_setting_comes_from() -> None:
    env = {"CODEXAPI_TIMEOUT": "never", "CODEXAPI_NO_LOG": ""}
    done = run("--timeout", "7", "--no-log", "config", "--json", env=env)
    found = {one["name"]: (one["value"], one["source"]) for one in json.loads(done.stdout)}
    assert found["timeout"] == (7.0, "--timeout")
    assert found["history"] == (None, "--no-log")


def test_a_command_that_we_run_keeps_the_users_own_environment() -> None:
    show = "[[say printenv]]"
    done = run(
        "--color", "never", "--timeout", "7", "-q", "sh", "--demo", "-y", show, env={"TERM": "x"}
    )
    assert done.returncode == 0, done.stderr
    names = {line.partition("=")[0] for line in done.stdout.splitlines()}
    assert "TERM" in names
    assert not names & {"NO_COLOR", "CODEXAPI_TIMEOUT", "CODEXAPI_QUIET"}


def test_a_note_of_another_thread_is_left_out_too(capsys: pytest.CaptureFixture[str]) -> None:
    def wait(quiet: bool) -> str:
        set_global_options(quiet=quiet)
        with _telling(0.0, "codexapi: waiting"):
            for thread in threading.enumerate():
                if isinstance(thread, threading.Timer):
                    thread.join()
        return capsys.readouterr().err

    assert copy_context().run(wait, False) == "codexapi: waiting\n"
    assert copy_context().run(wait, True) == ""
