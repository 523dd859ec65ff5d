"""What a person meets who has just installed it: no login, no server, a terminal with colours."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest
from tests.cli.shell import plain, run, shown
from tests.logins import write_login

from codexapi_engine.login.login_hint import INSTALL

NO_CODEX = str(Path(sys.executable).parent)
COMMANDS = [
    ("chat", "hi"), ("image", "a fox", "-o", "fox.png"), ("sh", "list files"), ("models",),
    ("usage",), ("status",), ("setup", "aider"),
]  # fmt: skip


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path), "CODEX_HOME": str(tmp_path / ".codex"), "PATH": NO_CODEX}


@pytest.mark.parametrize("command", COMMANDS, ids=lambda words: words[0])
def test_without_a_login_each_command_says_the_same_three_things(
    command: tuple[str, ...], home: dict[str, str]
) -> None:
    done = run(*command, env=home)
    assert done.returncode == 3
    line = done.stderr.splitlines()[-1]
    assert line.startswith("codexapi: not logged in (there is no ")
    assert f"run `codex login` (`codex` is not installed: {INSTALL})" in line
    assert "To try codexapi without a login: --demo" in line
    assert line.endswith("(auth_file_not_found)")


def test_who_has_the_official_client_is_not_told_to_install_it(
    home: dict[str, str], tmp_path: Path
) -> None:
    client = tmp_path / "bin" / "codex"
    client.parent.mkdir()
    client.write_text("#!/bin/sh\n")
    client.chmod(0o755)
    path = os.pathsep.join([str(client.parent), NO_CODEX])
    done = run("models", env={**home, "PATH": path})
    assert "run `codex login`." in done.stderr
    assert INSTALL not in done.stderr


def test_a_login_of_another_kind_needs_the_official_client_too(home: dict[str, str]) -> None:
    folder = Path(home["CODEX_HOME"])
    folder.mkdir()
    write_login(folder, b"{}")
    done = run("models", env=home)
    assert done.returncode == 3
    assert f"`codex` is not installed: {INSTALL}" in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_a_warning_of_the_engine_has_our_name_before_it(home: dict[str, str]) -> None:
    folder = Path(home["CODEX_HOME"])
    folder.mkdir()
    write_login(folder, b"{}").chmod(0o644)
    first = run("models", env=home).stderr.splitlines()[0]
    assert first.startswith("codexapi: other users of this machine may read or change ")


RED, GREEN = "\x1b[1;31mcodexapi:\x1b[0m", "\x1b[32mok     \x1b[0m"


@pytest.mark.skipif(sys.platform == "win32", reason="opens a terminal")
@pytest.mark.parametrize(
    ("flags", "env", "colored"),
    [
        ((), {}, True),
        (("--color", "never"), {}, False),
        ((), {"NO_COLOR": "1"}, False),
        ((), {"TERM": "dumb"}, False),
        ((), {"TERM": "dumb", "FORCE_COLOR": "1"}, True),
        (("--color", "always"), {"NO_COLOR": "1"}, True),
    ],
)
def test_colors_on_a_terminal(
    flags: tuple[str, ...], env: dict[str, str], colored: bool, home: dict[str, str]
) -> None:
    _, error = shown("models", *flags, env={**home, **env})
    assert (RED in error) is colored
    _, findings = shown("doctor", "--demo", "--offline", *flags, env={**home, **env})
    assert (GREEN in findings) is colored
    if not colored:
        assert "\x1b[" not in error + findings


def test_colors_in_a_pipe_are_for_who_asks_for_them(home: dict[str, str]) -> None:
    assert "\x1b" not in run("models", env=home).stderr
    assert run("models", "--color", "always", env=home).stderr.startswith(RED)
    assert run("models", env={**home, "FORCE_COLOR": "1"}).stderr.startswith(RED)
    assert "\x1b[32mlogged in\x1b[0m" in run("status", "--demo", "--color", "always").stdout
    assert "\x1b" not in run("status", "--demo").stdout


@pytest.mark.skipif(sys.platform == "win32", reason="opens a terminal")
def test_messages_and_findings_break_between_words(home: dict[str, str]) -> None:
    short = {**home, "CODEX_HOME": "/nowhere"}
    _, said = shown("models", env=short, width=50)
    lines = plain(said).splitlines()
    assert all(len(line) <= 50 for line in lines)
    assert len(lines) > 2
    assert any("`codex login`" in line for line in lines)
    _, said = shown("doctor", "--offline", env=short, width=70)
    wide = [line for line in plain(said).splitlines() if len(line) > 70]
    assert all(len(line.split()) <= 4 for line in wide), wide  # a path that is longer
    (fix,) = re.findall(r"codex +the official.*?fix: (.*?)\nok", plain(said), re.DOTALL)
    assert re.sub(r"\s+", " ", fix) == INSTALL
