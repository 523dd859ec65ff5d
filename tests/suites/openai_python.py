"""The official client's own tests, with strict validation: `python -m tests.suites.openai_python`.

They were written for a mock that says yes to everything. A case is a method of its test classes,
and passes when all its variants do: sync and async, loose and strict, and over aiohttp.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from .outcome import Exclusion, from_junit, report
from .surroundings import MODEL, aliases, door, pytest, python, source, surroundings

VERSION = "3.54.0"
NAMES = ("gpt-6-astra", "gpt-3.5-turbo-instruct", "model")
FILES = [
    "chat", "responses", "conversations", "test_completions.py", "test_models.py",
    "test_images.py", "test_responses.py", "test_conversations.py",
]  # fmt: skip
ONE_CASE = {r"^tests\.api_resources\.": "", r"\.TestAsync": ".Test", r"\[.*\]$": ""}

EXCLUSIONS: list[Exclusion] = []


def main() -> int:
    interpreter, folder = python("openai-python"), source("openai", VERSION)
    with tempfile.TemporaryDirectory() as scratch, door(*aliases(*NAMES), "--model", MODEL) as ours:
        junit = Path(scratch) / "junit.xml"
        env = surroundings(ours, TEST_API_BASE_URL=ours.url)
        files = [f"tests/api_resources/{name}" for name in FILES]
        pytest(interpreter, folder, *files, env=env, junit=junit)
        return report(f"openai-python {VERSION}", from_junit(junit, ONE_CASE), EXCLUSIONS)


if __name__ == "__main__":
    sys.exit(main())
