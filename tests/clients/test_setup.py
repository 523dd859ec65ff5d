"""Programs that `codexapi setup` has set up, unmodified: that they take what was written.

Each has a home of its own, in which nothing else tells it of us.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from tests import forks
from tests.contract.test_codex_cli import codex
from tests.downloads import had, node
from tests.loopback import loopback_only
from tests.processes import codexapi, environment, server
from tests.suites.surroundings import node_packages, python

__all__ = ["codex"]

pytestmark = pytest.mark.timeout(900)  # the first run installs

MODEL = "gpt-6.1-sol"
SAY = "[[say Good morning.]]"
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def home(tmp_path: Path) -> Iterator[dict[str, str]]:
    with user(tmp_path) as home:
        yield home


@contextmanager
def user(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of a user with a server that runs."""
    for folder in (".codex", ".continue", ".config/opencode", ".pi/agent"):
        (tmp_path / folder).mkdir(parents=True)
    env = {
        "HOME": str(tmp_path), "CODEX_HOME": str(tmp_path / ".codex"), "XDG_CONFIG_HOME": "",
        "CODEXAPI_STATE_DIR": str(tmp_path / "state"),
    }  # fmt: skip
    with server("--demo", "--quiet", env=env):
        yield {**env, "HTTPS_PROXY": NOWHERE, "HTTP_PROXY": NOWHERE, "NO_PROXY": "127.0.0.1"}


def setup(home: dict[str, str], *arguments: str, path: Path | None = None, stdin: str = "") -> str:
    """What `codexapi setup` prints, or the program that it starts."""
    on_path = f"{path}{os.pathsep}{os.environ['PATH']}" if path else os.environ["PATH"]
    done = forks.run(
        codexapi("setup", *arguments), env=environment(**home, PATH=on_path), input=stdin,
        cwd=home["HOME"], capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return str(done.stdout)


def test_the_codex_cli_runs_on_its_profile(codex: Path, home: dict[str, str]) -> None:
    (Path(home["CODEX_HOME"]) / "config.toml").write_text('model = "mine"\n')
    said = setup(
        home, "codex", "-m", MODEL, "--run", "--",
        "exec", "--strict-config", "--skip-git-repo-check", "--sandbox", "read-only", SAY,
        path=codex.parent,
    )  # fmt: skip
    assert said == "Good morning.\n"
    assert (Path(home["CODEX_HOME"]) / "config.toml").read_text() == 'model = "mine"\n'


PROGRAMS = {
    "shell": (
        f"from openai import OpenAI\n"
        f"print(OpenAI().responses.create(model={MODEL!r}, input={SAY!r}).output_text)"
    ),
    "anthropic": (
        f"from anthropic import Anthropic\n"
        f"messages = [{{'role': 'user', 'content': {SAY!r}}}]\n"
        f"made = Anthropic().messages.create(model={MODEL!r}, max_tokens=9, messages=messages)\n"
        f"print(made.content[0].text)"
    ),
}


@pytest.mark.skipif(sys.platform == "win32", reason="runs a shell")
@pytest.mark.parametrize("client", PROGRAMS)
def test_a_python_program_runs_in_a_shell_that_is_set_up(client: str, home: dict[str, str]) -> None:
    said = subprocess.run(
        ["sh", "-ec", f'eval "$({shlex.join(forks.for_shells("setup", client))})"\n"$0" -c "$1"',
         sys.executable, PROGRAMS[client]],
        env=environment(**home), capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert said.stdout == "Good morning.\n"


def test_langchain_runs_in_an_environment_that_is_set_up(home: dict[str, str]) -> None:
    interpreter = had("clients", lambda: python("clients"))
    program = (
        f"from langchain_openai import ChatOpenAI\n"
        f"print(ChatOpenAI(model={MODEL!r}).invoke({SAY!r}).content)"
    )
    said = setup(
        home, "langchain", "-m", MODEL, "--run", "--", "-c", program, path=interpreter.parent
    )
    assert said == "Good morning.\n"


@pytest.mark.clients
def test_aider_takes_its_file(home: dict[str, str]) -> None:
    interpreter = had("aider", lambda: python("aider"))
    (Path(home["HOME"]) / "a.txt").write_text("old\n")
    # Its own script names the folder that the environment was made in, and has been moved out of.
    program = Path(home["HOME"]) / "bin" / "aider"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{interpreter}" -m aider "$@"\n')
    program.chmod(0o755)
    said = setup(
        home, "aider", "-m", MODEL, "--run", "--",
        "--edit-format", "whole", "--yes-always", "--no-git", "--no-check-update",
        "--no-show-model-warnings", "--no-analytics", "--no-fancy-input", "--no-pretty",
        "--message", "[[say a.txt\n```\nnew\n```]]", "a.txt",
        path=program.parent,
    )  # fmt: skip
    assert (Path(home["HOME"]) / "a.txt").read_text() == "new\n", said


@pytest.mark.clients
def test_the_program_of_continue_takes_its_file(home: dict[str, str], tmp_path: Path) -> None:
    packages = had("continue-cli", lambda: node_packages("continue-cli"))
    assert shutil.which("node"), "the machine's own starts it"
    said = setup(
        home, "continue", "-m", MODEL, "--run", "--", "-p", SAY,
        path=packages / "node_modules" / ".bin",
    )  # fmt: skip
    assert said == "Good morning.\n"


@pytest.mark.clients
@pytest.mark.parametrize("before", [None, "version: 1.0.0\nendpoints:\n  custom: []\n"])
def test_librechat_takes_its_file(before: str | None, home: dict[str, str], tmp_path: Path) -> None:
    """By its own schema, the strict one: the program itself needs a database."""
    packages = had("librechat", lambda: node_packages("librechat"))
    place = tmp_path / "librechat.yaml"
    if before is not None:
        place.write_text(before)
    setup(home, "librechat", "-m", MODEL)
    script = tmp_path / "check.cjs"
    script.write_text(
        "const { configSchema } = require('librechat-data-provider');\n"
        "const read = configSchema.strict().parse(JSON.parse(process.argv[2]));\n"
        "console.log(JSON.stringify(read.endpoints.custom));\n"
    )
    (tmp_path / "node_modules").symlink_to(packages / "node_modules")
    done = subprocess.run(
        ["node", script, json.dumps(yaml.safe_load(place.read_text()))],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    (endpoint,) = json.loads(done.stdout)
    assert endpoint["name"] == "codexapi"
    assert endpoint["models"]["default"] == [MODEL]


@pytest.fixture(scope="module")
def agents(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of programs: agents that run in a terminal, and the Node that they want."""
    packages = had("agents", lambda: node_packages("agents")) / "node_modules"
    folder = tmp_path_factory.mktemp("programs")
    programs = {
        "node": had("node", node),
        "opencode": packages / "opencode-linux-x64" / "bin" / "opencode",
        "pi": packages / ".bin" / "pi",
    }
    for name, program in programs.items():
        (folder / name).symlink_to(program)
    return folder


@pytest.fixture
def alone(agents: Path, tmp_path: Path) -> Iterator[dict[str, str]]:
    """A user whose programs reach nobody but the server: these heed no proxy."""
    with loopback_only(), user(tmp_path) as home:
        yield home


@pytest.mark.clients
@pytest.mark.skipif(sys.platform != "linux", reason="opencode is locked for Linux alone")
@pytest.mark.parametrize(
    ("client", "arguments"), [("opencode", ["run", SAY]), ("pi", ["--offline", "-p", SAY])]
)
def test_an_agent_takes_what_was_written(
    client: str, arguments: list[str], agents: Path, alone: dict[str, str]
) -> None:
    said = setup(alone, client, "-m", MODEL, "--run", "--", *arguments, path=agents)
    assert "Good morning." in said
