"""Programs that talk to an OpenAI API, as their users start them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.downloads import had
from tests.processes import Running
from tests.suites.surroundings import MODEL, door, python, surroundings

pytestmark = pytest.mark.timeout(900)  # the first run installs

LLM_MODELS = """
- model_id: ours
  model_name: {model}
  api_base: {url}
  supports_tools: true
  supports_schema: true
"""
INSIDE = Path(__file__).parent / "inside"
WEATHER = 'def get_weather(location: str):\n    return f"20 degrees in {location}"'
SAY = "[[say Good morning.]]"


@pytest.fixture(scope="module")
def ours() -> Iterator[Running]:
    with door() as running:
        yield running


def started(pins: str, ours: Running, home: Path, *arguments: str, **env: str) -> str:
    """What a Python program prints that runs in a home of its own."""
    done = subprocess.run(
        [had(pins, lambda: python(pins)), *arguments],
        cwd=home, env=surroundings(ours, HOME=str(home), **env), stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def llm(ours: Running, home: Path, *arguments: str) -> str:
    models = home / "extra-openai-models.yaml"
    models.write_text(LLM_MODELS.format(model=MODEL, url=ours.url))
    return started("clients", ours, home, *arguments, LLM_USER_PATH=str(home))


PROMPT = ("prompt", "--model", "ours")
TOOLS = (*PROMPT, "--functions", WEATHER, "What is the weather in Paris and Rome?")
COMMANDS = {
    "streamed": (*PROMPT, SAY),
    "whole": (*PROMPT, "--no-stream", SAY),
    "tools": TOOLS,
    "whole tools": (*TOOLS, "--no-stream"),
    "object": (*PROMPT, "--schema", "name, age int", "Extract: Ada is 36 years old"),
}
"""Of `llm`."""


@pytest.fixture(scope="module")
def outputs(ours: Running, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    commands = json.dumps([*COMMANDS.values()])
    home, script = tmp_path_factory.mktemp("home"), INSIDE / "llm_commands.py"
    return dict(zip(COMMANDS, json.loads(llm(ours, home, str(script), commands)), strict=True))


def test_llm_prints_the_answer_as_it_comes(outputs: dict[str, str]) -> None:
    assert outputs["streamed"] == "Good morning.\n"


def test_llm_prints_the_whole_answer(outputs: dict[str, str]) -> None:
    assert outputs["whole"] == "Good morning.\n"


@pytest.mark.parametrize("command", ["tools", "whole tools"])
def test_llm_calls_tools(outputs: dict[str, str], command: str) -> None:
    assert "20 degrees in Paris" in outputs[command]
    assert "20 degrees in Rome" in outputs[command]


def test_llm_gets_an_object(outputs: dict[str, str]) -> None:
    assert json.loads(outputs["object"]) == {"name": "Ada", "age": 36}


@pytest.mark.clients
def test_aider_edits_a_file(ours: Running, tmp_path: Path) -> None:
    edit = "a.txt\n```\nnew\n```"
    (tmp_path / "a.txt").write_text("old\n")
    said = started(
        "aider", ours, tmp_path,
        "-m", "aider", "--model", f"openai/{MODEL}", "--edit-format", "whole", "--yes-always",
        "--no-git", "--no-check-update", "--no-show-model-warnings", "--no-analytics",
        "--no-fancy-input", "--no-pretty", "--message", f"[[say {edit}]]", "a.txt",
        OPENAI_API_BASE=ours.url,
    )  # fmt: skip
    assert (tmp_path / "a.txt").read_text() == "new\n", said


@pytest.mark.clients
def test_shell_gpt_prints_the_answer(ours: Running, tmp_path: Path) -> None:
    said = started(
        "shell-gpt", ours, tmp_path, "-m", "sgpt", "--no-md", SAY,
        API_BASE_URL=ours.url, DEFAULT_MODEL=MODEL, USE_LITELLM="false",
    )  # fmt: skip
    assert said.strip() == "Good morning."
