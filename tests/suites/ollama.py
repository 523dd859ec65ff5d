"""LangChain's standard integration tests of `ChatOllama`, over Ollama's API:
`python -m tests.suites.ollama`.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from .langchain import VERSION
from .outcome import Exclusion, from_junit, report
from .surroundings import INSIDE, MODEL, door, pytest, python, surroundings

EXCLUSIONS: list[Exclusion] = []


def main() -> int:
    interpreter = python("ollama")
    with tempfile.TemporaryDirectory() as scratch, door() as ours:
        junit = Path(scratch) / "junit.xml"
        cases = shutil.copy(INSIDE / "ollama_standard.py", scratch)  # away from our conftest.py
        url = ours.url.removesuffix("/v1")
        pytest(
            interpreter, Path(scratch), cases, "--rootdir", scratch,
            "-o", "asyncio_mode=auto", "-o", "asyncio_default_fixture_loop_scope=session",
            "-o", "asyncio_default_test_loop_scope=session", *sys.argv[1:],
            env=surroundings(ours, MODEL=MODEL, OLLAMA_HOST=url), junit=junit,
        )  # fmt: skip
        named = {r"^.*\.(Test\w+)\.": r"\1."}
        return report(
            f"langchain-tests {VERSION}, ChatOllama", from_junit(junit, named), EXCLUSIONS
        )


if __name__ == "__main__":
    sys.exit(main())
