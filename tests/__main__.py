"""The gate: `python -m tests [--all | --fast] [pytest's own arguments]`.

Formatting, lint, types and tests. `--all` tries more examples, and fails where the gate skips: a
download that cannot be had, a client that cannot be installed. `--fast` runs the tests of the protocol, the storage and the
layers alone, for each commit.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
WORKERS = 4 * (os.cpu_count() or 1)
"""More than there are processors: many a test waits for a process, a client or a terminal."""

CHECKS = {
    "format": ["ruff", "format", "--check", "."],
    "lint": ["ruff", "check", "."],
    "platforms": ["tests.platforms"],
}
TYPES = ["mypy"]
# A file stays in one process: what it sets up or downloads, it does once. The order is that of
# `conftest.py`: files that take long come first, so that no process ends with one alone.
FORKS = ["pytest", "-p", "tests.workers", "--workers"]
LOADFILE = ["pytest", "--dist", "loadfile", "--no-loadscope-reorder", "-n"]
TESTS = FORKS if sys.platform == "linux" else LOADFILE  # macOS: a fork may not use its frameworks
FAST = ["tests/engine/protocol", "tests/engine/storage", "tests/test_architecture.py"]


def main(arguments: list[str]) -> int:
    environment = dict(os.environ)
    # A hundred interpreters start: each would compile what it loads.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    if "--all" in arguments:
        arguments.remove("--all")
        environment["CODEXAPI_TESTS_ALL"] = "1"
    tests = [*TESTS, str(WORKERS)]
    if "--fast" in arguments:
        tests = [*TESTS, str(os.cpu_count()), *FAST]
    extra = [argument for argument in arguments if argument != "--fast"]
    codes = {}
    with tempfile.TemporaryFile() as report:
        types = _start(TYPES, environment, report.fileno())  # meanwhile
        for name, command in {**CHECKS, "tests": [*tests, *extra]}.items():
            print(f"== {name}", flush=True)
            codes[name] = _start(command, environment).wait()
        print("== types", flush=True)
        codes["types"] = types.wait()
        report.seek(0)
        print(report.read().decode(errors="replace"), end="", flush=True)
    failed = [name for name, code in codes.items() if code]
    print(f"== failed: {', '.join(failed)}" if failed else "== all good", flush=True)
    return 1 if failed else 0


def _start(
    command: list[str], environment: dict[str, str], report: int | None = None
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", *command], cwd=ROOT, env=environment, stdout=report, stderr=report
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
