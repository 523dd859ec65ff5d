"""`codexapi completion`: what the Tab key offers, and that the shells take the scripts."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.shell import PATIENCE, run
from tests.processes import environment

SHELLS = {"bash": ["bash", "-n"], "zsh": ["zsh", "-n"], "fish": ["fish", "-n"]}


def offered(*words: str) -> list[str]:
    done = run("completion", "bash", "--after", "--", *words)
    assert (done.returncode, done.stderr) == (0, "")
    return [line.partition("\t")[0] for line in done.stdout.splitlines()]


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (("ch",), ["chat"]),
        (("log",), ["login", "logout"]),
        (("chat", "--sys"), ["--system"]),
        (("chat", "--demo", "a prompt", "--stream"), ["--stream-json"]),
        (("history", "s"), ["show"]),
        (("history", "show", "--js"), ["--json"]),
        (("chat", ""), []),  # a text is expected
        (("chat", "-o", ""), []),  # a file is
        (("chat", "--output", "--"), []),
        (("nonsense",), []),
        (("chat", "--color", ""), ["auto", "always", "never"]),
        (("chat", "-v", ""), []),
        (("service", "print", "--system", "l"), ["launchd"]),
        (("setup", "z"), ["zed"]),
        (("completion", "p"), ["powershell"]),
        (("chat", "--colo"), ["--color"]),
        (("history", "show", "--ver"), ["--verbose"]),
        (("login", "--ver"), []),
        (("--vers",), ["--version"]),
    ],
)
def test_the_next_word_is_offered(words: tuple[str, ...], names: list[str]) -> None:
    assert offered(*words) == names


def test_every_command_is_offered_at_first() -> None:
    assert {"chat", "image", "serve", "usage", "history", "completion"} <= set(offered(""))
    assert {"--model", "--attach", "--help"} <= set(offered("chat", "-"))


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell"])
def test_each_shell_has_a_script(shell: str) -> None:
    done = run("completion", shell)
    assert done.returncode == 0
    assert f"codexapi completion {shell} --after" in done.stdout


@pytest.mark.parametrize("shell", list(SHELLS))
def test_the_shell_takes_its_script(shell: str, tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell} here")
    path = tmp_path / "script"
    path.write_text(run("completion", shell).stdout)
    subprocess.run([*SHELLS[shell], str(path)], check=True, timeout=PATIENCE)


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
@pytest.mark.parametrize(
    ("words", "at", "names"),
    [("codexapi his", 1, "history"), ("codexapi chat --sea", 2, "--search")],
)
def test_bash_completes(words: str, at: int, names: str, tmp_path: Path) -> None:
    program = tmp_path / "codexapi"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m codexapi_cli "$@"\n')
    program.chmod(0o755)
    script = f"""
        {run("completion", "bash").stdout}
        COMP_WORDS=({words}) COMP_CWORD={at}
        _codexapi
        echo "${{COMPREPLY[@]}}"
    """
    env = environment()
    env["PATH"] = f"{tmp_path}:{env['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script], env=env, capture_output=True, text=True, check=True,
        timeout=PATIENCE,
    )  # fmt: skip
    assert done.stdout == f"{names}\n"
