"""The Tab key, in the shells themselves: each on a terminal of its own."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests import forks
from tests.cli.shell import PATIENCE, run
from tests.processes import ROOT, environment

if sys.platform == "win32":
    pytest.skip("opens terminals", allow_module_level=True)

STARTS = {
    "bash": ["--norc", "--noprofile", "-i"],
    "zsh": ["-f", "-i"],
    "fish": ["--no-config", "-i"],
}
PROMPT = "ready> "
# What each is told first: its prompt, and our script.
SETTINGS = {
    "bash": f"PS1='{PROMPT}'; bind 'set bell-style none'; bind 'set show-all-if-ambiguous on'; "
    "source ./script",
    "zsh": f"PS1='{PROMPT}'; autoload -U compinit; compinit -u; source ./script",
    "fish": f"function fish_prompt; echo -n '{PROMPT}'; end; set -g fish_autosuggestion_enabled 0; "
    "source ./script",
}
WIDTH, HEIGHT = 100, 60
KILL_LINE = "\x15"


class Screen:
    """A shell, and what its terminal shows."""

    def __init__(self, child: Any) -> None:
        import pyte

        self._child = child
        self._screen = pyte.Screen(WIDTH, HEIGHT)
        self._stream = pyte.Stream(self._screen)

    def send(self, text: str) -> None:
        self._child.send(text)

    def line(self) -> str:
        """The line where the cursor is."""
        return str(self._screen.display[self._screen.cursor.y]).rstrip()

    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self._screen.display).strip()

    def until_line(self, pattern: str) -> None:
        self._until(lambda: re.fullmatch(pattern, self.line()))

    def until_text(self, pattern: str) -> None:
        self._until(lambda: re.search(pattern, self.text()))

    def clear(self) -> None:
        self.send(KILL_LINE + "clear\n")
        self._until(lambda: self.text() == PROMPT.strip())

    def _until(self, is_there: Any) -> None:
        import pexpect

        while not is_there():
            try:
                self._stream.feed(self._child.read_nonblocking(65_536, PATIENCE))
            except pexpect.TIMEOUT:
                pytest.fail(f"the screen shows:\n{self.text()}")


@pytest.fixture(scope="module", params=list(STARTS))
def shell(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Screen]:
    name: str = request.param
    if shutil.which(name) is None:
        pytest.skip(f"there is no {name} here")
    folder = tmp_path_factory.mktemp(name)
    (folder / "notes.txt").write_text("some notes")
    (folder / "script").write_text(run("completion", name).stdout)
    with shell_in(name, folder) as screen:
        yield screen


def _beginnings_of_chats(program: Path, env: dict[str, str]) -> set[str]:
    """Has two chats, and returns the first letters of their ids."""

    def codexapi(*arguments: str) -> bytes:
        return subprocess.run(
            [program, *arguments], env=env, check=True, cwd=ROOT, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, timeout=PATIENCE,
        ).stdout  # fmt: skip

    for question in ("first words of a chat", "words of another"):
        codexapi("chat", "--demo", question)
    chats = json.loads(codexapi("history", "--demo", "--json"))
    assert len(chats) == 2
    return {chat["cid"][0] for chat in chats}


@contextmanager
def shell_in(name: str, folder: Path) -> Iterator[Screen]:
    import pexpect

    program = folder / "bin" / "codexapi"
    program.parent.mkdir()
    forks.put_program(program)
    env = environment(
        TERM="xterm", HOME=str(folder), ZDOTDIR=str(folder), CODEX_HOME=str(folder),
        CODEXAPI_STATE_DIR=str(folder / "state"), CODEXAPI_NO_LOG="",
        XDG_CONFIG_HOME=str(folder / "config"), XDG_DATA_HOME=str(folder / "data"),
    )  # fmt: skip
    env["PATH"] = f"{program.parent}:{env['PATH']}"
    while len(_beginnings_of_chats(program, env)) < 2:
        # A shell completes what both have in common before it shows them.
        env["CODEXAPI_STATE_DIR"] += "-"
    child = pexpect.spawn(
        name, STARTS[name], env=env, cwd=str(folder), encoding="utf-8", dimensions=(HEIGHT, WIDTH)
    )
    try:
        screen = Screen(child)
        screen.send(f"{SETTINGS[name]}; clear\n")
        screen.until_line(PROMPT.strip())
        yield screen
    finally:
        child.close(force=True)


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("his", "history"),
        ("chat --sea", "chat --search"),
        ("chat --demo --model gpt-6.2-a", "chat --demo --model gpt-6.2-astra"),
        ("chat -e xh", "chat -e xhigh"),
        ("chat --color al", "chat --color always"),
        ("chat --color=al", "chat --color=always"),
        ("mcp install zed win", "mcp install zed windsurf"),
        ("setup libre", "setup librechat"),
        ("chat -f no", r"chat -f notes\.txt"),
        ("-q --demo mcp unin", "-q --demo mcp uninstall"),
    ],
)
def test_a_word_is_completed(shell: Screen, typed: str, completed: str) -> None:
    shell.clear()
    shell.send(f"codexapi {typed}\t")
    shell.until_line(f"{PROMPT}codexapi {completed}")


@pytest.mark.parametrize("typed", ["chat --demo --cid", "history show --demo"])
def test_chats_are_shown_with_their_first_words(shell: Screen, typed: str) -> None:
    shell.clear()
    shell.send(f"codexapi {typed} \t")
    shell.until_text(r"[0-9a-f]{10} .*words of another")
    shell.until_text(r"[0-9a-f]{10} .*first words of a chat")


def test_commands_are_shown_with_what_they_do(shell: Screen) -> None:
    shell.clear()
    shell.send("codexapi lo\t")
    shell.until_line(f"{PROMPT}codexapi log")
    shell.send("\t")
    shell.until_text("login .*Log in with")
    shell.until_text("logout .*Log out with")


@pytest.mark.parametrize("typed", ["chat -m no", "chat --cid no", "mcp install no"])
def test_no_file_is_offered_where_none_fits(shell: Screen, typed: str) -> None:
    shell.clear()
    shell.send(f"codexapi {typed}\tZ")
    shell.until_line(f"{PROMPT}codexapi {typed}Z")
