"""LangChain's standard integration tests, for OpenAI's two APIs and for Anthropic's:
`python -m tests.suites.langchain`."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from .outcome import Exclusion, from_junit, report
from .surroundings import INSIDE, MODEL, door, pytest, python, surroundings

VERSION = "1.1.9"

EXCLUSIONS = [
    Exclusion(
        "with thinking, ChatAnthropic forces no tool, and the simulated backend calls none unforced "
        "that the prompt does not name",
        (r"TestMessagesThinking\.test_tool_choice",),
    ),
    Exclusion(
        "ChatAnthropic takes no schema of pydantic 1 for native output",
        (r"TestMessagesNativeOutput\.test_structured_output_pydantic_2_v1",),
    ),
]


def main() -> int:
    interpreter = python("langchain")
    with tempfile.TemporaryDirectory() as scratch, door() as ours:
        junit = Path(scratch) / "junit.xml"
        cases = shutil.copy(INSIDE / "langchain_standard.py", scratch)  # away from our conftest.py
        pytest(
            interpreter, Path(scratch), cases, "--rootdir", scratch,
            "-o", "asyncio_mode=auto", "-o", "asyncio_default_fixture_loop_scope=session",
            "-o", "asyncio_default_test_loop_scope=session", *sys.argv[1:],
            env=surroundings(ours, MODEL=MODEL), junit=junit,
        )  # fmt: skip
        named = {r"^.*\.(Test\w+)\.": r"\1."}
        return report(f"langchain-tests {VERSION}", from_junit(junit, named), EXCLUSIONS)


if __name__ == "__main__":
    sys.exit(main())
