"""`codexapi config`, `login`, `logout` and `usage`."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.cli.shell import run, shown
from tests.processes import codexapi, environment

from codexapi_cli.plan import lines
from codexapi_engine.settings import VARIABLES


def config(env: dict[str, str]) -> dict[str, tuple[Any, str]]:
    done = run("config", "--json", env=env)
    assert done.returncode == 0, done.stderr
    return {told["name"]: (told["value"], told["source"]) for told in json.loads(done.stdout)}


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
    process = await asyncio.create_subprocess_exec(
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
