"""`codexapi config`, `login`, `logout` and `usage`."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from tests import forks
from tests.cli.shell import run, shown
from tests.logins import auth_json, write_login
from tests.processes import codexapi, environment, server
from typer.main import get_command

from codexapi_cli.commands import serve
from codexapi_cli.terminal.plan import lines
from codexapi_engine.settings import VARIABLES, Settings


def config(env: dict[str, str]) -> dict[str, tuple[Any, str]]:
    done = run("config", "--json", env=env)
    assert done.returncode == 0, done.stderr
    return {told["name"]: (told["value"], told["source"]) for told in json.loads(done.stdout)}


def test_a_switch_that_is_off_keeps_chats(tmp_path: Path) -> None:
    state = {"CODEXAPI_STATE_DIR": str(tmp_path), "CODEXAPI_NO_LOG": "0"}
    assert config(state)["history"] == (str(tmp_path / "history.db"), "default")
    assert run("chat", "--demo", "hello", env=state).returncode == 0
    assert "hello" in run("history", "--demo", env=state).stdout


@pytest.mark.parametrize(
    ("variable", "given", "name", "value"),
    [
        ("CODEX_HOME", "/some/where", "codex_home", "/some/where"),
        ("CODEXAPI_BASE_URL", "https://example.org/x/", "base_url", "https://example.org/x"),
        ("CODEX_REFRESH_TOKEN_URL_OVERRIDE", "https://example.org", "token_url", "https://example.org"),
        ("CODEXAPI_CLIENT_VERSION", "1.2.3", "client_version", "1.2.3"),
        ("CODEXAPI_MODEL", "some-model", "model", "some-model"),
        ("CODEXAPI_TIMEOUT", "5", "timeout", 5.0),
        ("CODEXAPI_HOST", "::1", "host", "::1"),
        ("CODEXAPI_PORT", "1234", "port", 1234),
        ("CODEXAPI_API_KEY", "canary-key", "api_key", "(set)"),
        ("HTTPS_PROXY", "http://proxy:1", "proxy", "http://proxy:1"),
        ("HTTPS_PROXY", "http://me:canary-key@proxy:1", "proxy", "http://(login left out)@proxy:1"),
        ("NO_PROXY", "a.org,.b.org", "no_proxy", "a.org,b.org"),
        ("SSL_CERT_FILE", "/some/where", "ca_file", "/some/where"),
        ("CODEXAPI_STATE_DIR", "/some/where", "state_dir", "/some/where"),
        ("XDG_STATE_HOME", "/some/where", "state_dir", "/some/where/codexapi"),
        ("CODEXAPI_IMAGE_DIR", "/some/where", "image_dir", "/some/where"),
        ("CODEXAPI_NO_LOG", "1", "history", None),
    ],
)  # fmt: skip
@pytest.mark.skipif(sys.platform != "linux", reason="its folders are those of Linux")
def test_a_setting_is_shown_with_where_it_comes_from(
    variable: str, given: str, name: str, value: object
) -> None:
    told = config({variable: given})
    assert told[name] == (value, variable)
    assert "canary" not in json.dumps(told)


def test_without_anything_set_all_is_default(tmp_path: Path) -> None:
    cleared = dict.fromkeys([name for names in VARIABLES.values() for name in names], "")
    told = config({**cleared, "HOME": str(tmp_path), "CODEXAPI_NO_LOG": ""})
    assert {source for _, source in told.values()} == {"default"}
    assert told["port"][0] == 18080


def test_the_model_of_the_codex_client_is_told_as_its_own(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('model = "theirs"\n')
    told = config({"CODEX_HOME": str(tmp_path)})
    assert told["model"] == ("theirs", str(tmp_path / "config.toml"))


def test_config_for_a_person_has_a_line_for_each() -> None:
    done = run("config", env={"CODEXAPI_PORT": "1234"})
    assert re.search(r"^port +1234  \(CODEXAPI_PORT\)$", done.stdout, re.MULTILINE)


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in is a script")
@pytest.mark.parametrize("name", ["login", "logout"])
def test_login_and_logout_are_the_official_ones(name: str, tmp_path: Path) -> None:
    program = tmp_path / "codex"
    program.write_text('#!/bin/sh\necho "codex $* in $CODEX_HOME"\nexit 9\n')
    program.chmod(0o755)
    env = {"PATH": f"{tmp_path}:/bin:/usr/bin", "CODEX_HOME": "/some/where"}
    done = run(name, "--device-auth", "more", env=env)
    assert done.returncode == 9
    assert done.stdout == f"codex {name} --device-auth more in /some/where\n"


@pytest.mark.parametrize("name", ["login", "logout"])
def test_without_the_official_client_one_is_told_how_to_get_it(name: str, tmp_path: Path) -> None:
    done = run(name, env={"PATH": str(tmp_path)})
    assert (done.returncode, done.stdout) == (3, "")
    assert "npm install -g @openai/codex" in done.stderr


def test_usage_shows_a_bar_for_each_window() -> None:
    done = run("usage", "--demo")
    assert done.returncode == 0
    five_hours, week = done.stdout.splitlines()
    assert re.fullmatch(
        r"  5-hour window  ███░{21}   12 % used, resets .+ \(in 2 h \d+ min\)", five_hours
    )
    assert week.lstrip().startswith("7-day window")


def test_usage_as_json() -> None:
    told = json.loads(run("usage", "--demo", "--json").stdout)
    assert told["primary"]["window_minutes"] == 300
    assert set(told) >= {"plan", "limit_reached", "primary", "secondary"}


async def test_usage_is_watched_until_ctrl_c() -> None:
    process = await forks.execute(
        *codexapi("usage", "--demo", "--json", "--watch", "--every", "0.01"), env=environment(),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        seen = [json.loads(await process.stdout.readline()) for _ in range(3)]
        process.send_signal(signal.SIGINT)
        _, complaint = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert (process.returncode, complaint) == (130, b"")
    assert all(told["primary"] for told in seen)


def test_usage_that_would_never_wait_is_refused() -> None:
    assert run("usage", "--demo", "--watch", "--every", "0").returncode == 2


@pytest.mark.parametrize("command", ["usage", "models"])
def test_with_json_a_missing_login_is_one_object_on_stderr(command: str, tmp_path: Path) -> None:
    done = run(command, "--json", env={"CODEX_HOME": str(tmp_path)})
    assert (done.returncode, done.stdout) == (3, "")
    assert json.loads(done.stderr)["error"]["code"] == "auth_file_not_found"


@pytest.mark.skipif(sys.platform == "win32", reason="opens a terminal")
def test_usage_on_a_terminal_is_plain_lines() -> None:
    code, said = shown("usage", "--demo")
    assert code == 0
    assert "\x1b" not in said


def window(used: float, **more: object) -> dict[str, object]:
    return {"used_percent": used, "window_minutes": 300, "resets_at": None, **more}


@pytest.mark.parametrize(
    ("limits", "shown_lines"),
    [
        ({}, []),
        ({"primary": window(50)}, ["  5-hour window  ############------------   50 % used"]),
        ({"primary": window(130)}, ["  5-hour window  ########################  130 % used"]),
        ({"primary": window(1)}, ["  5-hour window  #-----------------------    1 % used"]),
        ({"primary": window(-1)}, ["  5-hour window  ------------------------   -1 % used"]),
        (
            {"secondary": window(0, window_minutes=None), "limit_reached": True},
            ["       ? window  ------------------------    0 % used",
             "                 the limit is reached"],
        ),
        (
            {"additional": [{"name": "sol", "primary": window(0, window_minutes=10079)}]},
            ["   7-day window  ------------------------    0 % used  (sol)"],
        ),
        ({"credits": {"has_credits": True, "balance": "3.50"}}, ["        credits  3.50"]),
        ({"credits": {"unlimited": True}}, ["        credits  unlimited"]),
    ],
)  # fmt: skip
def test_a_plan_is_told_in_lines(limits: dict[str, Any], shown_lines: list[str]) -> None:
    assert list(lines(limits, letters=True)) == shown_lines


def test_the_bars_of_a_plan_leave_room_for_the_words() -> None:
    limits = {"primary": window(50), "secondary": window(25, resets_at=time.time() + 300_000)}
    whole = list(lines(limits, letters=True))
    assert list(lines(limits, letters=True, columns=200)) == whole
    narrow = list(lines(limits, letters=True, columns=len(whole[1]) - 10))
    assert len(narrow[1]) == len(whole[1]) - 10
    assert re.findall(r"[#-]{9,}", " ".join(narrow)) == ["#######-------", "####----------"]


# What is told of a login, whether there is one or not


SHAPE = {
    "logged_in", "plan", "access_token_expires_at", "base_url", "simulated", "servers", "limits",
    "error",
}  # fmt: skip


def test_status_as_json_has_its_shape_with_a_login_and_without(tmp_path: Path) -> None:
    env = {"CODEX_HOME": str(tmp_path), "CODEXAPI_STATE_DIR": str(tmp_path)}
    there, absent = run("status", "--json", "--demo", env=env), run("status", "--json", env=env)
    assert (there.returncode, absent.returncode, absent.stderr) == (0, 3, "")
    told = json.loads(absent.stdout)
    assert set(told) == set(json.loads(there.stdout)) == SHAPE
    assert (told["logged_in"], told["servers"], told["limits"]) == (False, [], None)
    assert told["error"]["code"] == "auth_file_not_found"
    assert json.loads(there.stdout)["error"] is None


def test_a_login_that_is_over_is_said_to_have_expired(tmp_path: Path) -> None:
    write_login(tmp_path, auth_json(exp=time.time() - 60, refresh=None))
    env = {"CODEX_HOME": str(tmp_path), "CODEXAPI_STATE_DIR": str(tmp_path)}
    done = run("status", env=env)
    assert done.returncode == 3
    assert re.search(r"access token expired at .*\d\d:\d\d, cannot be renewed\n", done.stdout)
    assert "good until" not in done.stdout
    assert not done.stdout.startswith("logged in")
    assert "cannot be renewed" in done.stderr
    told = json.loads(run("status", "--json", env=env).stdout)
    assert (told["logged_in"], told["error"]["code"]) == (False, "login_expired")
    assert told["access_token_expires_at"] < time.time()


def test_status_says_which_server_is_simulated(tmp_path: Path) -> None:
    env = {"CODEXAPI_STATE_DIR": str(tmp_path)}
    with server("--demo", env=env), server(env={**env, "CODEX_HOME": str(tmp_path)}):
        lines = run("status", "--demo", env=env).stdout.splitlines()
        told = json.loads(run("status", "--demo", "--json", env=env).stdout)
    assert sorted("(--demo)" in line for line in lines if "serving on" in line) == [False, True]
    assert sorted(server["demo"] for server in told["servers"]) == [False, True]


# Models


def test_models_have_a_header_and_the_default_is_marked() -> None:
    header, *lines = run("models", "--demo").stdout.splitlines()
    assert header.split() == ["MODEL", "CONTEXT", "EFFORTS"]
    assert "(default)" in lines[0]
    assert sum("(default)" in line for line in lines) == 1
    chosen = run("models", "--demo", env={"CODEXAPI_MODEL": "gpt-5.5"}).stdout
    assert re.findall(r"(?m)^(\S+) \(default\)", chosen) == ["gpt-5.5"]


def test_a_default_that_is_not_listed_is_told_beside_the_list() -> None:
    done = run("models", "--demo", env={"CODEXAPI_MODEL": "gpt-none"})
    assert "(default)" not in done.stdout
    assert "the default is gpt-none, which is not in this list" in done.stderr


@pytest.mark.parametrize(
    ("name", "meant"),
    [("gpt4", "Did you mean `gpt-5.5`? The default is"), ("llama", "The default is")],
)
def test_an_unknown_model_is_answered_by_what_was_meant(name: str, meant: str) -> None:
    done = run("chat", "--demo", "-m", name, "hi")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (6, "", 1)
    assert meant in done.stderr
    assert "`codexapi models` lists all" in done.stderr


# Nothing is called nothing


def test_a_setting_without_a_value_is_none() -> None:
    done = run("config", env={"CODEX_HOME": "/nowhere"})
    assert re.search(r"(?m)^token_url +none  \(default\)$", done.stdout)
    assert not re.search(r"(?m)^\S+ {2,}\(", done.stdout)


def test_no_chats_are_said_to_be_none(tmp_path: Path) -> None:
    env = {"CODEXAPI_STATE_DIR": str(tmp_path)}
    done = run("history", env=env)
    assert (done.returncode, done.stdout) == (0, "")
    assert "`codexapi chat` begins one" in done.stderr
    assert run("history", "--json", env=env).stdout == "[]\n"
    assert run("history", "-q", env=env).stderr == ""


def test_the_latest_chat_has_a_name(tmp_path: Path) -> None:
    env = {"CODEXAPI_STATE_DIR": str(tmp_path), "CODEXAPI_NO_LOG": ""}
    for question in ("first", "second"):
        assert run("chat", "--demo", question, env=env).returncode == 0
    assert run("history", "show", "latest", "--demo", env=env).stdout.startswith("> second")
    assert run("history", "rm", "latest", "--demo", env=env).returncode == 0
    assert run("history", "show", "latest", "--demo", env=env).stdout.startswith("> first")


def _table() -> list[list[str]]:
    """The cells of the page's table of the server's settings."""
    text = (Path(__file__).parents[2] / "docs" / "settings.md").read_text(encoding="utf-8")
    _, _, table = text.partition(
        "| setting | flag of `serve` | variable | default |\n| --- | --- | --- | --- |\n"
    )
    lines = table.partition("\n\n")[0].splitlines()
    return [
        [cell.strip().replace("\0", "|") for cell in line.replace("\\|", "\0").split("|")[1:-1]]
        for line in lines
    ]


def test_the_page_has_every_setting_with_its_variable_and_its_default() -> None:
    defaults = {one.name: one.default for one in fields(Settings)}
    cells = {name: row[3] for row in _table() for name in re.findall(r"`([A-Z_]+)`", row[2])}
    for setting, variables in VARIABLES.items():
        assert variables[0] in cells, setting
        default, cell = defaults[setting], cells[variables[0]]
        if isinstance(default, str | int | float) and cell.startswith("`"):
            assert cell == (f"`{default:g}`" if isinstance(default, float) else f"`{default}`")
    known = {name for names in VARIABLES.values() for name in names}
    assert set(cells) <= known


def test_the_page_names_flags_that_serve_has_and_their_defaults() -> None:
    options = {
        name: option
        for option in get_command(serve.app).params
        for name in (*option.opts, *option.secondary_opts)
    }
    for _, flags, _, default in _table():
        for flag in re.findall(r"`(--[a-z-]+)", flags):
            in_help = re.search(r"\(default: ([^)]+)\)", getattr(options[flag], "help", None) or "")
            if in_help:
                assert default.replace("`", "").startswith(in_help[1]), flag
