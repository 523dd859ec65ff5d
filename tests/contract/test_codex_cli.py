"""The real Codex CLI, unmodified, as a client of `codexapi serve`.

Two hops, one on each side of our server, write down what passes: the CLI's requests must reach the
backend as they were sent, and the answers must come back as they were. Nothing but loopback is
talked to, once the CLI is installed.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.downloads import PINS, Unavailable, cached, npm_ci
from tests.processes import environment, server, simulator
from tests.recorder import Message, Recorder, recorded
from tests.wire_files import events

from codexapi_engine.protocol import headers as wire
from codexapi_engine.protocol import json
from codexapi_engine.protocol.responses.reply import LIFECYCLE

VERSION = "0.169.0"
CLASSIC, LITE = "gpt-5.5", "gpt-6.1-sol"

CONFIG = """
model = "{model}"
model_provider = "codexapi"

[model_providers.codexapi]
name = "codexapi"
base_url = "{url}"
wire_api = "responses"
requires_openai_auth = false

[analytics]
enabled = false

[features]
apps = false
plugins = false
"""
NOWHERE = "http://127.0.0.1:9"
"""A proxy that is none: whatever the CLI asks of other hosts fails at once."""

# 42 stands in no prompt: it is there when the command has run.
COMMAND = "echo tool-$((6 * 7))"
TOOL_SAYS = "tool-42"
NO_SANDBOX = "bwrap: "
"""The tool's output in place of that where the machine allows no sandbox, as in many containers."""

TOOLS = {
    CLASSIC: f'exec_command {{"cmd": "{COMMAND}"}}',
    LITE: f'exec text((await tools.exec_command({{cmd: "{COMMAND}"}})).output)',
}
OUTPUTS = {CLASSIC: "function_call_output", LITE: "custom_tool_call_output"}

OF_ONE_HOP = {
    "host", "accept", "content-type", "content-length", "transfer-encoding", "date", "server",
    "cf-ray", "x-request-id", "originator", "user-agent",
}  # fmt: skip
"""Headers that each connection has for itself. All others travel."""

pytestmark = pytest.mark.timeout(600)  # the first run downloads 160 MB


@dataclass(frozen=True)
class Run:
    """A finished `codex exec`, and what passed on both sides of our server."""

    done: subprocess.CompletedProcess[str]
    near: Recorder = field(repr=False)
    far: Recorder = field(repr=False)

    def exchanges(self) -> Iterator[tuple[Message, Message, Message, Message]]:
        """The CLI's request and ours, the backend's answer and ours."""
        pairs = zip(self.near.exchanges(), self.far.exchanges(), strict=True)
        for (sent, heard), (received, said) in pairs:
            assert heard is not None
            assert said is not None
            yield sent, received, said, heard


@pytest.fixture(scope="module")
def codex() -> Path:
    """The CLI's program itself, without the launcher that needs Node."""
    return program(cached(f"codex-cli-{VERSION}", install))


def install(folder: Path) -> None:
    npm_ci(PINS / "codex-cli", folder)
    program(folder)


def program(folder: Path) -> Path:
    name = "codex.exe" if sys.platform == "win32" else "codex"
    found = next(folder.glob(f"node_modules/@openai/codex-*/vendor/*/bin/{name}"), None)
    if found is None:
        raise Unavailable("npm installed no Codex CLI for this machine")
    return found


def run(codex: Path, home: Path, model: str, prompt: str) -> Run:
    """`codex exec PROMPT` with a home of its own, through us, to the simulated backend."""
    with (
        simulator(home / "login") as backend,
        recorded(backend.env["CODEXAPI_BASE_URL"]) as far,
        server("--quiet", env={**backend.env, "CODEXAPI_BASE_URL": far.url}) as door,
        recorded(door.url) as near,
    ):
        config = CONFIG.format(model=model, url=near.url)
        return Run(execute(codex, home, config, prompt), near, far)


def execute(codex: Path, home: Path, config: str, prompt: str) -> subprocess.CompletedProcess[str]:
    codex_home, folder = home / "codex", home / "folder"
    for made in (codex_home, folder):
        made.mkdir()
    (codex_home / "config.toml").write_text(config)
    env = environment(
        HOME=str(home), CODEX_HOME=str(codex_home),
        HTTP_PROXY=NOWHERE, HTTPS_PROXY=NOWHERE, NO_PROXY="127.0.0.1",
    )  # fmt: skip
    options = ["--strict-config", "--skip-git-repo-check", "--sandbox", "read-only"]
    return subprocess.run(
        [codex, "exec", *options, prompt], cwd=folder, env=env, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip


def unharmed(sent: Message, received: Message) -> None:
    """The backend got what the CLI sent."""
    assert sent.head == "POST /v1/responses"
    assert received.head == "POST /backend-api/codex/responses"
    assert VERSION in sent.headers["user-agent"]
    assert received.body == sent.body
    assert travelling(sent).items() <= received.headers.items()


def unharmed_back(said: Message, heard: Message) -> None:
    """The CLI got what the backend said: of the lifecycle events, which we complete, the type."""
    assert (said.head, heard.head) == ("200", "200")
    assert travelling(said).items() <= heard.headers.items()
    assert list(steps(heard)) == list(steps(said))


def travelling(message: Message) -> dict[str, str]:
    return {name: value for name, value in message.headers.items() if name not in OF_ONE_HOP}


def steps(answer: Message) -> Iterator[bytes]:
    for event in events(answer.body):
        if event.type in LIFECYCLE:
            yield event.type.encode()
        elif event.type:
            yield event.raw


@pytest.mark.parametrize("model", [CLASSIC, LITE])
def test_codex_exec_prints_the_answer(codex: Path, tmp_path: Path, model: str) -> None:
    ran = run(codex, tmp_path, model, "hi")
    assert ran.done.returncode == 0, ran.done.stderr
    assert "This is the simulated Codex backend" in ran.done.stdout
    ((sent, received, said, heard),) = ran.exchanges()
    unharmed(sent, received)
    unharmed_back(said, heard)


@pytest.mark.parametrize("model", [CLASSIC, LITE])
def test_a_tool_turn_takes_the_output_to_the_backend(
    codex: Path, tmp_path: Path, model: str
) -> None:
    ran = run(codex, tmp_path, model, f"[[rate_limits]] [[tool {TOOLS[model]}]]")
    assert ran.done.returncode == 0, ran.done.stderr
    first, second = ran.exchanges()
    for sent, received, said, heard in (first, second):
        unharmed(sent, received)
        unharmed_back(said, heard)
        assert (wire.LITE in received.headers) == (model == LITE)
    received = second[1]
    assert received.headers["x-codex-turn-state"] == first[2].headers["x-codex-turn-state"]
    output = json.loads(received.body)["input"][-1]
    assert output["type"] == OUTPUTS[model]
    said_by_tool = NO_SANDBOX if NO_SANDBOX in str(output["output"]) else TOOL_SAYS
    assert said_by_tool in str(output["output"])
    assert said_by_tool in ran.done.stdout
