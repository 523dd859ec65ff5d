"""`codexapi completion`: what the Tab key offers, and that the shells take the scripts."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests import forks
from tests.cli.shell import PATIENCE, run
from tests.processes import codexapi, environment, server, simulator

from codexapi_mcp.options import GROUPS

SHELLS = {"bash": ["bash", "-n"], "zsh": ["zsh", "-n"], "fish": ["fish", "-n"]}


def offered(*words: str, shell: str = "bash", env: Mapping[str, str] | None = None) -> list[str]:
    done = run("completion", shell, "--after", "--", *words, env=env)
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
        (("chat", ""), [":files"]),  # a text is expected, which may name one
        (("chat", "-o", ""), [":files"]),
        (("chat", "--output", "--"), [":files"]),
        (("chat", "--system", ""), [":files"]),
        (("chat", "--timeout", ""), []),
        (("chat", "--model", ""), []),  # none is known here
        (("chat", "--cid", ""), []),
        (("chat", "--demo", "-m", "gpt-5.5"), ["gpt-5.5"]),
        (("chat", "--demo", "-m", "gpt-5.5", "-e", ""), ["low", "medium", "high", "xhigh"]),
        (("chat", "--demo", "-m", "gpt-6.2-sol", "-e", "u"), ["ultra"]),
        (("chat", "-e", "mi"), ["minimal"]),
        (("chat", "--", "--sys"), [":files"]),
        (("image", "--quality", "m"), ["medium"]),
        (("--demo", "setup", "zed-"), ["zed-ollama"]),
        (("setup", "zed", ""), [":files"]),
        (("help", "mcp", "u"), ["uninstall"]),
        (("mcp", "install", "zed", "z"), []),
        (
            ("mcp", "install", "c"),
            [
                "claude-code",
                "claude-desktop",
                "codex",
                "cursor",
                "copilot",
                "cline",
                "continue",
                "crush",
            ],
        ),
        (
            ("mcp", "serve", "--tools", "text,"),
            [f"text,{name}" for name in GROUPS if name != "text"],
        ),
        (("stop", "--port", ""), []),
        (("nonsense",), []),
        (("chat", "--color", ""), ["auto", "always", "never"]),
        (("chat", "-v", ""), [":files"]),
        (("service", "print", "--system", "l"), ["launchd"]),
        (("setup", "zed-"), ["zed-ollama"]),
        (("completion", "p"), ["powershell"]),
        (("chat", "--colo"), ["--color"]),
        (("history", "show", "--ver"), ["--verbose"]),
        (("login", "--ver"), []),
        (("--vers",), ["--version"]),
    ],
)
def test_the_next_word_is_offered(words: tuple[str, ...], names: list[str], tmp_path: Path) -> None:
    assert offered(*words, env={"CODEXAPI_STATE_DIR": str(tmp_path)}) == names


def test_every_command_is_offered_at_first() -> None:
    assert {"chat", "image", "serve", "usage", "history", "completion"} <= set(offered(""))
    assert {"--model", "--attach", "--help"} <= set(offered("chat", "-"))


@pytest.mark.parametrize(
    ("shell", "words", "names"),
    [
        ("bash", ("chat", "--color", "=", "al"), ["always"]),
        ("bash", ("chat", "--color", "="), ["auto", "always", "never"]),
        ("bash", ("chat", "--model=x", "http", ":", "//"), []),
        ("zsh", ("chat", "--color=al"), ["--color=always"]),
        ("powershell", ("=",), None),
        ("powershell", ("=ch",), ["chat"]),
        ("powershell", ("chat", "=--sys"), ["--system"]),
        ("powershell", ("mcp", "install", "=win"), ["windsurf"]),
        ("powershell", ("chat", "--color", "=al"), ["always"]),
    ],
)
def test_each_shell_cuts_words_in_its_own_way(
    shell: str, words: tuple[str, ...], names: list[str] | None
) -> None:
    found = [name for name in offered(*words, shell=shell) if name != ":files"]
    assert found == names if names is not None else "chat" in found


def test_what_was_listed_is_offered_later_without_a_network(tmp_path: Path) -> None:
    with simulator(tmp_path / "login") as backend:
        env = {**backend.env, "CODEXAPI_STATE_DIR": str(tmp_path / "state")}
        assert offered("chat", "-m", "gpt-5.5", env=env) == []
        assert run("models", env=env).returncode == 0
    assert offered("chat", "-m", "gpt-5.5", env=env) == ["gpt-5.5"]


def test_what_the_codex_client_listed_is_offered_too(tmp_path: Path) -> None:
    models = [{"slug": "gpt-9", "visibility": "list"}, {"slug": "gpt-9-old", "visibility": "hide"}]
    (tmp_path / "models_cache.json").write_text(json.dumps({"models": models}))
    env = {"CODEX_HOME": str(tmp_path), "CODEXAPI_STATE_DIR": str(tmp_path)}
    assert offered("chat", "-m", "gpt-9", env=env) == ["gpt-9"]


@pytest.mark.parametrize("data", ["", "[]", "{", '{"models": 3}', '{"models": [{"slug": 5}]}'])
def test_a_list_that_is_broken_is_none(data: str, tmp_path: Path) -> None:
    (tmp_path / "models.json").write_text(data)
    env = {"CODEX_HOME": str(tmp_path), "CODEXAPI_STATE_DIR": str(tmp_path)}
    assert offered("chat", "-m", "", env=env) == []


def test_nothing_is_made_by_a_tab(tmp_path: Path) -> None:
    env = {"CODEXAPI_STATE_DIR": str(tmp_path / "state")}
    assert offered("history", "show", "", env=env) == []
    assert not (tmp_path / "state").exists()


def test_the_ports_of_servers_are_offered(tmp_path: Path) -> None:
    env = {"CODEXAPI_STATE_DIR": str(tmp_path)}
    with server("--demo", env=env) as running:
        port = running.url.split("/")[2].partition(":")[2]
        assert offered("stop", "--port", "", env=env) == [port]


@pytest.mark.parametrize("words", ["chat -m", "chat --demo --cid", "chat --demo -m", "setup"])
def test_a_tab_loads_no_more_than_a_help(words: str) -> None:
    command = codexapi("completion", "bash", "--after", "--", *words.split(), "")
    command[1:1] = ["-X", "importtime"]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=True)
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "codexapi_cli.app" in loaded
    assert not loaded & {"httpx", "asyncio", "pydantic", "rich", "socketserver"}


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
    forks.put_program(program)
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
