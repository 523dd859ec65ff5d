"""Ctrl-G in the real shells: words on the line become a command, or stay as they are."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests import forks
from tests.cli.shell import PATIENCE
from tests.processes import environment

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX shells")

SHELLS = {
    "bash": (["--norc", "-i"], 'eval "$(codexapi sh --integration bash)"; PS1="re""ady$ "'),
    "zsh": (["-f", "-i"], 'eval "$(codexapi sh --integration zsh)"; PROMPT="re""ady$ "'),
    "fish": (
        ["--no-config", "-i"],
        "codexapi sh --integration fish | source; function fish_prompt; echo -n re''ady'$ '; end",
    ),
}


@contextmanager
def at_prompt(shell: str, folder: Path, *settings: str) -> Iterator[Any]:
    """A shell that waits for a line, with Ctrl-G bound; `settings` are run first."""
    import pexpect  # Windows has none

    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell} here")
    forks.put_program(folder / "codexapi", '"$name" --demo "$@"', first="name=$1; shift")
    env = environment(
        TERM="dumb", HOME=str(folder), PATH=f"{folder}:/usr/bin:/bin", SHELL="/bin/sh"
    )
    options, script = SHELLS[shell]
    child = pexpect.spawn(
        shell, options, env=env, encoding="utf-8", timeout=PATIENCE, dimensions=(24, 200),
        cwd=folder,
    )  # fmt: skip
    try:
        for line in (*settings, script):
            child.sendline(line)
        child.expect(r"ready\$ ")
        yield child
    finally:
        child.close(force=True)


@pytest.mark.parametrize("shell", SHELLS)
def test_words_become_a_command_that_enter_runs(shell: str, tmp_path: Path) -> None:
    with at_prompt(shell, tmp_path) as child:
        child.send("[[say echo o''ut $HOME/x]]\x07")
        child.expect("echo o''ut")
        child.send("\r")
        child.expect(f"out {tmp_path}/x")


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    "script", ["[[refuse no]]", "[[say ``]]", "[[say I cannot do that]]", "[[incomplete]]"]
)
def test_words_stay_where_there_is_no_command(shell: str, script: str, tmp_path: Path) -> None:
    with at_prompt(shell, tmp_path) as child:
        child.send(f"echo 'un''changed' '{script}'\x07")
        child.expect("codexapi: ")
        child.send("\r")
        child.expect(r"unchanged")
        child.expect(r"ready\$ ")
