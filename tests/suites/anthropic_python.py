"""The official Anthropic client's own tests, with strict validation:
`python -m tests.suites.anthropic_python`.

Those of `tests/api_resources` that are about what we serve: messages, models and counting, plain and
beta. They were written for a mock. A case is a method of its test classes, and passes when all its
variants do: sync and async, loose and strict, and over aiohttp. The tests of the streaming helpers
play recorded streams to the client itself, and reach no server.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from .outcome import Exclusion, from_junit, report
from .surroundings import aliases, door, pytest, python, source, surroundings

VERSION = "2.14.0"
NAMES = ("model_id",)
FILES = ["test_messages.py", "test_models.py", "beta/test_messages.py", "beta/test_models.py"]
ONE_CASE = {r"^tests\.api_resources\.": "", r"\.TestAsync": ".Test", r"\[.*\]$": ""}

EXCLUSIONS = [
    Exclusion(
        "everything at once: a container of skills, MCP servers, a thread, a place and a payer, "
        "none of which the Codex backend has",
        (r".*\.TestMessages\.test_method_create_with_all_params_overload_[12]",),
    ),
]


def main() -> int:
    interpreter, folder = python("anthropic-python"), source("anthropic", VERSION)
    with tempfile.TemporaryDirectory() as scratch, door(*aliases(*NAMES)) as ours:
        junit = Path(scratch) / "junit.xml"
        env = surroundings(ours, TEST_API_BASE_URL=ours.url.removesuffix("/v1"))
        files = [f"tests/api_resources/{name}" for name in FILES]
        pytest(interpreter, folder, *files, *sys.argv[1:], env=env, junit=junit)
        return report(f"anthropic-python {VERSION}", from_junit(junit, ONE_CASE), EXCLUSIONS)


if __name__ == "__main__":
    sys.exit(main())
