"""Scenarios of ours for pydantic-ai's `AnthropicModel`: `python -m tests.suites.pydantic_ai`.

Its own tests of that model reach no server: they play recordings of Anthropic's, and compare with
what its models wrote.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from .outcome import Exclusion, from_junit, report
from .surroundings import INSIDE, MODEL, door, pytest, python, surroundings

VERSION = "2.68.0"

EXCLUSIONS: list[Exclusion] = []


def main() -> int:
    interpreter = python("pydantic-ai")
    with tempfile.TemporaryDirectory() as scratch, door() as ours:
        junit = Path(scratch) / "junit.xml"
        cases = shutil.copy(INSIDE / "pydantic_ai_messages.py", scratch)
        pytest(
            interpreter, Path(scratch), cases, "--rootdir", scratch, "-o", "asyncio_mode=auto",
            *sys.argv[1:], env=surroundings(ours, MODEL=MODEL), junit=junit,
        )  # fmt: skip
        return report(f"pydantic-ai {VERSION}", from_junit(junit, {r"^.*\.test_": ""}), EXCLUSIONS)


if __name__ == "__main__":
    sys.exit(main())
