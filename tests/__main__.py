"""The gate: `python -m tests [--all | --fast] [pytest's own arguments]`.

Formatting, lint, types and tests. `--all` fails where the gate skips: a download that cannot be
had, a client that cannot be installed. `--fast` runs the tests of the protocol, the state and the
layers alone, for each commit.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
CHECKS = {
    "format": ["ruff", "format", "--check", "."],
    "lint": ["ruff", "check", "."],
    "types": ["mypy"],
    # A file stays in one process: what it sets up or downloads, it does once.
    "tests": ["pytest", "-n", "auto", "--dist", "loadfile"],
}

FAST = ["tests/engine/protocol", "tests/engine/state", "tests/test_architecture.py"]


def main(arguments: list[str]) -> int:
    environment = dict(os.environ)
    if "--all" in arguments:
        arguments.remove("--all")
        environment["CODEXAPI_TESTS_ALL"] = "1"
    if "--fast" in arguments:
        arguments[:] = [*(one for one in arguments if one != "--fast"), *FAST]
    failed = []
    for name, command in CHECKS.items():
        extra = arguments if name == "tests" else []
        print(f"== {name}", flush=True)
        done = subprocess.run(
            [sys.executable, "-m", *command, *extra], cwd=ROOT, env=environment, check=False
        )
        if done.returncode:
            failed.append(name)
    print(f"== failed: {', '.join(failed)}" if failed else "== all good", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
