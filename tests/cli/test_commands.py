"""The command line through pipes: what a script sees."""

from __future__ import annotations

import json
import signal
import stat
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests import forks
from tests.cli.shell import terminal
from tests.logins import accepted_headers, access_token
from tests.processes import ROOT, Running, codexapi, environment, running, simulator

from codexapi_engine.login.location import ANOTHER_TOKEN
from codexapi_engine.simulator.backend import catalogue

DOORS = {"mcp", "starlette", "uvicorn", "openai", "codexapi_http", "codexapi_mcp"}


def run(
    *arguments: str, stdin: str | None = None, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    given: dict[str, Any] = {"stdin": subprocess.DEVNULL} if stdin is None else {"input": stdin}
    return forks.run(
        codexapi(*arguments), env=environment(**(env or {})), capture_output=True, text=True,
        check=False, **given,
    )  # fmt: skip


@pytest.fixture
def empty(tmp_path: Path) -> dict[str, str]:
    return {"CODEX_HOME": str(tmp_path), "HOME": str(tmp_path), "XDG_STATE_HOME": ""}


def test_chat_prints_the_answer_and_one_newline() -> None:
    done = run("chat", "--demo", "[[say Hello.]]")
    assert (done.returncode, done.stdout, done.stderr) == (0, "Hello.\n", "")


def test_the_demo_is_where_the_users_own_backend_is_not() -> None:
    done = run("chat", "--demo", "[[say Hello.]]", env={"CODEXAPI_BASE_URL": "https://a.org/x"})
    assert (done.returncode, done.stdout) == (0, "Hello.\n")


def test_without_a_command_one_is_shown_what_there_is() -> None:
    done = run()
    assert (done.returncode, done.stderr) == (0, "")
    assert "USAGE\n  codexapi COMMAND" in done.stdout
    assert "doctor" in done.stdout


def test_chat_adds_no_second_newline() -> None:
    assert run("chat", "--demo", "[[say Hello.\n]]").stdout == "Hello.\n"


@pytest.mark.parametrize("arguments", [(), ("-",)])
def test_chat_takes_the_question_from_stdin(arguments: tuple[str, ...]) -> None:
    done = run("chat", "--demo", *arguments, stdin="[[say From stdin.]]\n")
    assert (done.returncode, done.stdout) == (0, "From stdin.\n")


def test_chat_puts_stdin_beside_the_question() -> None:
    done = run("chat", "--demo", "repeat this", stdin="a line of text")
    assert done.returncode == 0
    assert "repeat this" in done.stdout
    assert "<stdin>" in done.stdout
    assert "a line of text" in done.stdout


def test_chat_with_an_empty_pipe_and_a_question_asks_the_question() -> None:
    assert run("chat", "--demo", "[[say Yes.]]", stdin="").stdout == "Yes.\n"


def test_a_pipe_gets_control_sequences_as_they_are() -> None:
    assert run("chat", "--demo", "[[say \x1bcred]]").stdout == "\x1bcred\n"


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("fail server_error", 1),
        ("fail content_policy_violation", 1),
        ("status usage_limit_reached", 4),
        ("fail rate_limit_exceeded", 4),
        ("status bad_gateway", 5),
        ("status cloudflare", 5),
        ("html", 5),
        ("empty", 5),
        ("cut 2", 5),
        ("status context_length_exceeded_http", 6),
    ],
)
def test_each_failure_has_its_exit_code_and_one_line(script: str, code: int) -> None:
    done = run("chat", "--demo", f"[[long 3]] [[{script}]]")
    assert done.returncode == code
    assert done.stderr.startswith("codexapi: ")
    assert done.stderr.count("\n") == 1


def test_what_came_before_a_break_stays_on_stdout() -> None:
    done = run("chat", "--demo", "[[long 5]] [[cut 3]]")
    assert done.returncode == 5
    assert done.stdout.strip()
    assert done.stdout.endswith("\n")


def test_an_incomplete_answer_is_said_so_on_stderr() -> None:
    done = run("chat", "--demo", "[[incomplete]]")
    assert done.returncode == 9
    assert done.stdout
    assert "incomplete (max_output_tokens)" in done.stderr


def test_a_refusal_is_printed_and_a_failure(tmp_path: Path) -> None:
    done = run("chat", "--demo", "[[refuse I will not.]]")
    assert (done.returncode, done.stdout) == (1, "I will not.\n")
    assert done.stderr == "codexapi: the model refused\n"
    done = run("chat", "--demo", "--json", "[[refuse I will not.]]")
    assert done.returncode == 1
    assert json.loads(done.stdout)["refusal"] == "I will not."
    path = tmp_path / "answer.md"
    path.write_text("old")
    done = run("chat", "--demo", "-o", str(path), "[[refuse I will not.]]")
    assert (done.returncode, path.read_text()) == (1, "old")


@pytest.mark.parametrize("command", ["chat", "models", "status"])
def test_without_a_login_every_command_says_what_to_run(
    command: str, empty: dict[str, str]
) -> None:
    arguments = [command, "Hi"] if command == "chat" else [command]
    done = run(*arguments, env=empty)
    assert done.returncode == 3
    assert done.stdout == ""
    assert "codex login" in done.stderr


@pytest.mark.parametrize("command", ["chat", "models"])
def test_an_access_token_that_is_over_is_told_by_the_name_of_its_variable(
    command: str, empty: dict[str, str]
) -> None:
    """A new login of the client's would not help: the variable goes before it."""
    arguments = [command, "Hi"] if command == "chat" else [command]
    done = run(*arguments, env={**empty, "CODEX_ACCESS_TOKEN": access_token(exp=1)})
    assert done.returncode == 3
    assert f"cannot be renewed: {ANOTHER_TOKEN}" in done.stderr


@pytest.mark.parametrize(
    "url", ["http://example.org", "ftp://127.0.0.1/x", "https://me:secret@example.org", "nonsense"]
)
def test_a_base_url_that_would_expose_the_login_is_refused(url: str) -> None:
    done = run("chat", "--base-url", url, "Hi")
    assert done.returncode == 2
    assert "secret" not in done.stderr.replace(url, "")
    assert "--base-url" in done.stderr


def test_a_wrong_setting_in_the_environment_is_named() -> None:
    done = run("chat", "Hi", env={"CODEXAPI_PORT": "many"})
    assert done.returncode == 2
    assert "CODEXAPI_PORT" in done.stderr


def test_an_unknown_command_is_an_error_and_asks_no_model() -> None:
    done = run("imge", "--demo")
    assert done.returncode == 2
    assert done.stdout == ""


def test_models_lists_the_default_first() -> None:
    done = run("models", "--demo")
    assert done.returncode == 0
    header, first, *_ = done.stdout.splitlines()
    assert header.split() == ["MODEL", "CONTEXT", "EFFORTS"]
    assert first.startswith(f"{catalogue()[0]['slug']} (default) ")


def test_models_as_json() -> None:
    listed = json.loads(run("models", "--demo", "--json").stdout)
    assert listed[0]["id"] == catalogue()[0]["slug"]


def test_status_tells_the_plan_and_its_windows() -> None:
    done = run("status", "--demo")
    assert done.returncode == 0
    assert "5-hour window" in done.stdout


def test_status_as_json_holds_no_token() -> None:
    told = json.loads(run("status", "--demo", "--json").stdout)
    assert told["logged_in"] is True
    assert told["limits"]["primary"]["used_percent"] >= 0
    assert "token" not in " ".join(str(value) for value in told.values())


def test_version_and_help_say_who_we_are() -> None:
    assert run("--version").stdout.startswith("codexapi 0.")
    shown = run("--help").stdout
    assert "chat" in shown
    assert "serve" in shown


@pytest.mark.parametrize(
    ("arguments", "absent"),
    [
        (("--version",), {"typer", "httpx", "asyncio", "pydantic_core", "json"}),
        (("--help",), {"httpx", "asyncio", "pydantic", "pydantic_core", "rich", "logging"}),
        (("chat", "--help"), {"httpx", "asyncio", "pydantic", "rich"}),
        (("setup", "shell"), {"httpx", "asyncio", "pydantic", "rich", "yaml", "tomlkit"}),
        (("stop",), {"httpx", "asyncio", "pydantic", "rich"}),
        (("service", "print"), {"httpx", "asyncio", "pydantic", "rich"}),
        (
            ("chat", "--demo", "[[say Hi.]]"),
            {"rich", "pydantic"},
        ),
        (
            ("image", "--demo", "a fox", "-o", "-"),
            {"rich", "pydantic", "PIL"},
        ),
    ],
)
def test_a_command_loads_only_what_it_needs(
    arguments: tuple[str, ...], absent: set[str], tmp_path: Path
) -> None:
    command = codexapi(*arguments)
    command[1:1] = ["-X", "importtime"]
    env = environment(CODEXAPI_STATE_DIR=str(tmp_path), PATH=str(tmp_path))
    done = subprocess.run(
        command, env=env, stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    loaded = _loaded(done.stderr.decode())
    assert done.returncode == 0
    assert "codexapi_cli" in loaded
    assert not loaded & (absent | DOORS)


def test_the_version_is_told_without_anything_of_ours() -> None:
    command = codexapi("--version")
    command[1:1] = ["-X", "importtime"]
    done = subprocess.run(command, env=environment(), capture_output=True, check=True)
    ours = {name for name in _loaded(done.stderr.decode()) if name.startswith("codexapi")}
    assert ours == {"codexapi_cli", "codexapi_engine"}, "the packages themselves, which are empty"


@pytest.mark.skipif(sys.platform == "win32", reason="opens a terminal")
@pytest.mark.parametrize(("script", "there"), [("say Hi.", True), ("status bad_gateway", False)])
def test_what_draws_markdown_is_loaded_when_an_answer_comes(script: str, there: bool) -> None:
    """And so costs nothing: the model thinks meanwhile."""
    with terminal("chat", "--demo", f"[[{script}]]", python=("-X", "importtime")) as child:
        loaded = _loaded(child.read())
    assert "codexapi_cli.conversation.turns" in loaded
    assert ("rich" in loaded) is there


def _loaded(told: str) -> set[str]:
    return {line.rpartition("|")[2].strip() for line in told.splitlines() if "|" in line}


def test_a_closed_pipe_ends_quietly_and_stops_the_backend(tmp_path: Path) -> None:
    with simulator(tmp_path / "login") as backend:
        process = forks.Popen[bytes](
            codexapi("chat", "-m", "gpt-6.1-sol", "[[long 100000]]"),
            env=environment(**backend.env), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(1)
        process.stdout.close()
        assert process.wait() == 141
        assert process.stderr.read() == b""
        process.stderr.close()


def test_simulate_writes_a_login_that_works_and_never_over_another(tmp_path: Path) -> None:
    folder = tmp_path / "login"
    with simulator(folder) as backend:
        path = folder / "auth.json"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert set(backend.env) == {
            "CODEX_HOME", "CODEXAPI_BASE_URL", "CODEX_REFRESH_TOKEN_URL_OVERRIDE",
        }  # fmt: skip
        done = run("chat", "-m", "gpt-6.1-sol", "[[say Hello.]]", env=backend.env)
        assert done.stdout == "Hello.\n"
        before = path.read_bytes()
        again = run("simulate", "--login", str(folder))
        assert again.returncode == 7
        assert path.read_bytes() == before
        assert backend.stop(signal.SIGTERM) == 143


def test_a_token_in_a_variable_does_not_reach_the_simulator(tmp_path: Path) -> None:
    real, ready = {"CODEX_ACCESS_TOKEN": "at-canary-real"}, r"codexapi simulator on (\S+)"
    with running("simulate", "--login", str(tmp_path), ready=ready, env=real) as backend:
        env = {**real, **backend.env, "CODEX_ACCESS_TOKEN": ""}
        done = run("chat", "-m", "gpt-6.1-sol", "[[say Hello.]]", env=env)
        assert (done.stdout, done.stderr) == ("Hello.\n", "")
        assert backend.stop(signal.SIGTERM) == 143
        assert backend.process.stdout is not None
        assert backend.process.stdout.read() == "export CODEX_ACCESS_TOKEN=''\n"


def test_a_wrong_token_really_fails(tmp_path: Path) -> None:
    folder = tmp_path / "login"
    with simulator(folder) as backend:
        path = folder / "auth.json"
        content = json.loads(path.read_bytes())
        content["tokens"]["access_token"] = "wrong"
        content["tokens"]["refresh_token"] = "wrong"
        path.write_text(json.dumps(content))
        done = run("chat", "-m", "gpt-6.1-sol", "Hi", env=backend.env)
    assert done.returncode == 3
    assert "codex login" in done.stderr


def test_simulate_lists_its_scripts() -> None:
    done = run("simulate", "--list")
    assert done.returncode == 0
    assert "say" in done.stdout
    assert "fail" in done.stdout


def test_simulate_lists_its_rules_with_their_evidence() -> None:
    done = run("simulate", "--list-rules")
    assert done.returncode == 0
    assert "call_id_length\n  ungate#26" in done.stdout


def test_simulate_names_the_rules_when_there_is_none_of_a_name() -> None:
    done = run("simulate", "--lenient", "call_id_length", "--lenient", "call_length")
    assert (done.returncode, done.stdout) == (2, "")
    assert "no rule call_length" in done.stderr
    assert "\ncall_id_length\n" in done.stderr


@pytest.mark.parametrize(("options", "status"), [((), 400), (("--lenient", "model_effort"), 200)])
def test_simulate_switches_a_rule_off(
    options: tuple[str, ...], status: int, tmp_path: Path
) -> None:
    with simulator(tmp_path / "login", *options) as backend:
        assert ask_simulator(backend, {"reasoning": {"effort": "minimal"}}).status_code == status


def test_simulate_drops_a_large_body_unread(tmp_path: Path) -> None:
    with simulator(tmp_path / "login", "--max-body", "1000") as backend:
        assert ask_simulator(backend, {}).status_code == 200
        with pytest.raises(httpx.TransportError):
            ask_simulator(backend, {"instructions": "a" * 1000})


def ask_simulator(backend: Running, changes: dict[str, object]) -> httpx.Response:
    """A request that the simulator takes, with changes, signed with its login."""
    content = [{"type": "input_text", "text": "[[say a]]"}]
    body = {
        "model": "gpt-6.1-sol",
        "instructions": "Be brief.",
        "input": [{"type": "message", "role": "user", "content": content}],
        "stream": True,
        "store": False,
        **changes,
    }
    headers = accepted_headers((Path(backend.env["CODEX_HOME"]) / "auth.json").read_bytes())
    url = f"{backend.env['CODEXAPI_BASE_URL']}/responses"
    return httpx.post(url, json=body, headers=headers, trust_env=False)


def test_both_script_names_are_the_same_program() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["scripts"]["codexapi"] == project["scripts"]["codexapi-kit"]


def test_a_ctrl_c_at_the_very_end_of_a_command_leaves_no_traceback() -> None:
    """It may come while the program sets out to ignore it."""
    program = (
        "import signal, sys\n"
        "ignore, calls = signal.signal, []\n"
        "def late(*arguments):\n"
        "    calls.append(arguments)\n"
        "    if len(calls) == 1:\n"
        "        raise KeyboardInterrupt\n"
        "    return ignore(*arguments)\n"
        "signal.signal = late\n"
        "sys.argv = ['codexapi', '--help']\n"
        "from codexapi_cli.__main__ import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "LEARN MORE" in done.stdout
