"""instructor's tests against a live API, core and OpenAI: `python -m tests.suites.instructor`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from .outcome import Exclusion, from_junit, report
from .surroundings import INSIDE, aliases, door, pytest, python, source, surroundings

VERSION = "1.17.0"
NAMES = ("gpt-4.1-mini", "gpt-4.1-nano")
FOLDERS = ["tests/llm/test_core_providers", "tests/llm/test_openai"]

EXCLUSIONS: list[Exclusion] = []


def main() -> int:
    interpreter, folder = python("instructor"), source("instructor", VERSION)
    with tempfile.TemporaryDirectory() as scratch, door(*aliases(*NAMES)) as ours:
        junit = Path(scratch) / "junit.xml"
        env = surroundings(ours, PYTHONPATH=str(INSIDE))
        plugin = ["-p", "instructor_offline"]
        pytest(interpreter, folder, *plugin, *FOLDERS, *sys.argv[1:], env=env, junit=junit)
        named = {r"^tests\.llm\.": ""}
        return report(f"instructor {VERSION}", from_junit(junit, named), EXCLUSIONS)


if __name__ == "__main__":
    sys.exit(main())
