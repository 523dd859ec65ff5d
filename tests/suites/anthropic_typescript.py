"""The official Anthropic client's own tests in TypeScript:
`python -m tests.suites.anthropic_typescript --source DIR`.

DIR is a work tree of its repository, from which the tests come that are about what we serve:
messages, models and counting, plain and beta. They are run with the package that npm has.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from .outcome import Exclusion, Outcome, report
from .surroundings import INSIDE, aliases, door, node_packages, surroundings, vitest

VERSION = "1.14.0"
NAMES = ("model_id",)
TESTS = "tests/api-resources"
FILES = [f"{name}.test.ts" for name in (
    "messages/messages", "models", "beta/messages/messages", "beta/models",
)]  # fmt: skip

EXCLUSIONS = [
    Exclusion(
        "everything at once: a container of skills, MCP servers, a thread and a place, none of which "
        "the Codex backend has",
        (r".*messages: resource messages create: required and optional params",),
    ),
]


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--source", type=Path, required=True, metavar="DIR")
    source: Path = parser.parse_args().source
    packages = node_packages("anthropic-typescript")
    with tempfile.TemporaryDirectory() as scratch, door(*aliases(*NAMES)) as ours:
        folder = Path(scratch)
        for name in ("vitest.config.ts", "jest.ts"):
            shutil.copy(INSIDE / name, folder)
        for name in FILES:
            place = folder / TESTS / name
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source / TESTS / name, place)
        env = surroundings(ours, TEST_API_BASE_URL=ours.url.removesuffix("/v1"))
        outcome = Outcome()
        for results in vitest(folder, packages, env):
            file = results["name"].partition(f"{TESTS}/")[2].removesuffix(".test.ts")
            for result in results["assertionResults"]:
                problems = "; ".join(result["failureMessages"]).partition("\n    at ")[0]
                passed = result["status"] == "passed"
                outcome.add(f"{file}: {result['fullName']}", None if passed else problems)
    return report(f"anthropic-typescript {VERSION}", outcome, EXCLUSIONS)


if __name__ == "__main__":
    sys.exit(main())
