"""Real client libraries, unmodified, set up by base URL and key alone.

Each library does all that it can in one process for each mode, and tells it: a fork of one
interpreter that has imported what several need. The scripts are in `inside/`. Those that need Node
or much room are marked `clients`.
"""

from __future__ import annotations

import functools
import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.downloads import had, node
from tests.processes import Running
from tests.suites.surroundings import MODEL, door, node_packages, python, surroundings

INSIDE = Path(__file__).parent / "inside"

FIVE = ("text", "stream", "tools", "streamed_tools", "structured")
ADA = {"name": "Ada", "age": 36}


@dataclass(frozen=True)
class Client:
    """A script in `inside/`, its arguments, and what it can do."""

    script: str
    arguments: tuple[str, ...] = ()
    features: tuple[str, ...] = FIVE
    pins: str = "clients"

    def __str__(self) -> str:
        return "-".join([*self.arguments, self.script.partition(".")[0]])


TYPED = ("structured", "structured_stream", "several")
LIGHT = [
    Client("langchain_client.py", ("chat",)),
    Client("langchain_client.py", ("responses",)),
    Client("langchain_client.py", ("messages",)),
    Client("pydantic_ai_client.py", ("chat",), (*FIVE, "structured_by_tool")),
    Client("pydantic_ai_client.py", ("responses",), (*FIVE, "structured_by_tool")),
    Client("openai_agents_client.py", ("chat",)),
    Client("openai_agents_client.py", ("responses",)),
    Client("openai_agents_client.py", ("websocket",)),
    Client("instructor_client.py", ("tools",), ("text", *TYPED)),
    Client("instructor_client.py", ("json_schema",), ("text", *TYPED)),
    Client("instructor_client.py", ("json",), ("text", "structured", "structured_stream")),
    Client("instructor_client.py", ("md_json",), ("text", "structured", "structured_stream")),
    Client("instructor_client.py", ("responses_tools",), TYPED),
]
HEAVY = [
    Client("litellm_client.py", (), (*FIVE, "responses", "responses_stream"), "litellm"),
    Client("ollama_js.mjs", pins="ollama-js"),
    Client("openai_agents.mjs", ("chat",), pins="openai-agents"),
    Client("openai_agents.mjs", ("responses",), pins="openai-agents"),
    Client("openai_agents.mjs", ("websocket",), pins="openai-agents"),
    Client("node_clients.mjs", ("openai", "chat"), pins="node-clients"),
    Client("node_clients.mjs", ("openai", "responses"), pins="node-clients"),
    Client("node_clients.mjs", ("anthropic", "messages"), pins="node-clients"),
    Client("node_clients.mjs", ("openai", "websocket"), pins="node-clients"),
    Client("node_clients.mjs", ("ai-sdk", "chat"), pins="node-clients"),
    Client("node_clients.mjs", ("ai-sdk", "responses"), pins="node-clients"),
    Client("node_clients.mjs", ("ai-sdk", "compatible"), pins="node-clients"),
    Client("node_clients.mjs", ("ai-sdk", "messages"), (*FIVE, "reasoning"), "node-clients"),
]

Told = Callable[[Client], dict[str, Any]]


@pytest.fixture(scope="module")
def ours() -> Iterator[Running]:
    with door() as running:
        yield running


@pytest.fixture(scope="module")
def told(ours: Running, tmp_path_factory: pytest.TempPathFactory) -> Told:
    """What a client says that it got; each runs once."""

    @functools.cache
    def run(client: Client, script: str, *arguments: str) -> list[str]:
        home = tmp_path_factory.mktemp("home")
        command, folder = installed(client, home, script)
        done = subprocess.run(
            [*command, *arguments],
            cwd=folder, env=surroundings(ours, MODEL=MODEL, HOME=str(home)),
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=500, check=False,
        )  # fmt: skip
        assert done.stdout, done.stderr
        return done.stdout.splitlines()

    def told(client: Client) -> dict[str, Any]:
        if client not in LIGHT:
            return answer(run(client, client.script, *client.arguments)[-1])
        modes = {
            one.script: [each.arguments[0] for each in LIGHT if each.script == one.script]
            for one in LIGHT
        }
        outputs = json.loads(run(LIGHT[0], "all_clients.py", json.dumps(modes))[-1])
        output, own = outputs[client.script], modes[client.script]
        lines = output["printed"].splitlines()[-len(own) :]
        assert output["code"] == 0, output
        return answer(lines[own.index(client.arguments[0])])

    return told


def answer(line: str) -> dict[str, Any]:
    features: dict[str, Any] = json.loads(line)
    return features


def installed(client: Client, home: Path, name: str = "") -> tuple[list[str], Path]:
    """The command that runs a client's script, or another with its packages, and where."""
    script = INSIDE / (name or client.script)
    if script.suffix == ".py":
        return [str(had(client.pins, lambda: python(client.pins))), str(script)], home
    packages = had(client.pins, lambda: node_packages(client.pins))
    (home / "node_modules").symlink_to(packages / "node_modules")
    (home / script.name).write_bytes(script.read_bytes())  # beside what it imports
    return [str(had("node", node)), script.name], home


def right(feature: str, answer: Any) -> None:
    """Fails with the answer, which is an error's text if the client failed."""
    if feature in ("text", "responses"):
        assert answer == "Good morning."
    elif feature.endswith("stream") and feature != "structured_stream":
        assert isinstance(answer, list), answer
        assert "".join(answer) == "One two three."
        assert len(answer) > 1
    elif feature.endswith("tools"):
        assert "20 degrees in Paris" in answer, answer
        assert "20 degrees in Rome" in answer, answer
    elif feature == "reasoning":
        assert answer["thought"]
        assert (answer["first"], answer["second"]) == ("Good morning.", "Good morning.")
    elif feature == "several":
        assert answer == [ADA, {"name": "Bob", "age": 25}]
    else:
        assert answer == ADA


def cases(clients: list[Client]) -> list[Any]:
    return [
        pytest.param(client, feature, id=f"{client}-{feature}")
        for client in clients
        for feature in client.features
    ]


@pytest.mark.timeout(600)  # the first run installs
@pytest.mark.parametrize(("client", "feature"), cases(LIGHT))
def test_client_gets(told: Told, client: Client, feature: str) -> None:
    right(feature, told(client)[feature])


@pytest.mark.clients
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("client", "feature"), cases(HEAVY))
def test_heavy_client_gets(told: Told, client: Client, feature: str) -> None:
    right(feature, told(client)[feature])
