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
WEATHER = 'def get_weather(location: str):\n    return f"20 degrees in {location}"'
SAY = "[[say Good morning.]]"


@pytest.fixture(scope="module")
def ours() -> Iterator[Running]:
    with door() as running:
        yield running


def started(pins: str, ours: Running, home: Path, *arguments: str, **env: str) -> str:
    """What a program prints that runs in a home of its own."""
    done = subprocess.run(
        [had(pins, lambda: python(pins)), "-m", *arguments],
        cwd=home, env=surroundings(ours, HOME=str(home), **env), stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def llm(ours: Running, home: Path, *arguments: str) -> str:
    models = home / "extra-openai-models.yaml"
    models.write_text(LLM_MODELS.format(model=MODEL, url=ours.url))
    command = ["llm", "prompt", "--model", "ours", *arguments]
    return started("clients", ours, home, *command, LLM_USER_PATH=str(home))


@pytest.mark.parametrize("options", [[], ["--no-stream"]], ids=["stream", "whole"])
def test_llm_prints_the_answer(ours: Running, tmp_path: Path, options: list[str]) -> None:
    assert llm(ours, tmp_path, *options, SAY) == "Good morning.\n"


@pytest.mark.parametrize("options", [[], ["--no-stream"]], ids=["stream", "whole"])
def test_llm_calls_tools(ours: Running, tmp_path: Path, options: list[str]) -> None:
    question = "What is the weather in Paris and Rome?"
    said = llm(ours, tmp_path, "--functions", WEATHER, *options, question)
    assert "20 degrees in Paris" in said
    assert "20 degrees in Rome" in said


def test_llm_gets_an_object(ours: Running, tmp_path: Path) -> None:
    said = llm(ours, tmp_path, "--schema", "name, age int", "Extract: Ada is 36 years old")
    assert json.loads(said) == {"name": "Ada", "age": 36}


@pytest.mark.clients
def test_aider_edits_a_file(ours: Running, tmp_path: Path) -> None:
    edit = "a.txt\n```\nnew\n```"
    (tmp_path / "a.txt").write_text("old\n")
    said = started(
        "aider", ours, tmp_path,
        "aider", "--model", f"openai/{MODEL}", "--edit-format", "whole", "--yes-always",
        "--no-git", "--no-check-update", "--no-show-model-warnings", "--no-analytics",
        "--no-fancy-input", "--no-pretty", "--message", f"[[say {edit}]]", "a.txt",
        OPENAI_API_BASE=ours.url,
    )  # fmt: skip
    assert (tmp_path / "a.txt").read_text() == "new\n", said


@pytest.mark.clients
def test_shell_gpt_prints_the_answer(ours: Running, tmp_path: Path) -> None:
    said = started(
        "shell-gpt", ours, tmp_path, "sgpt", "--no-md", SAY,
        API_BASE_URL=ours.url, DEFAULT_MODEL=MODEL, USE_LITELLM="false",
    )  # fmt: skip
    assert said.strip() == "Good morning."
