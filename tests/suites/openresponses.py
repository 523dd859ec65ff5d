"""The compliance tests of Open Responses: `python -m tests.suites.openresponses --source DIR`.

DIR is a work tree of the specification's repository, which is in no package index.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.downloads import Unavailable

from .outcome import Outcome, report
from .surroundings import MODEL, door, node_packages, surroundings

PARTS = ("bin", "src/lib", "src/generated")


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--source", type=Path, required=True, metavar="DIR")
    source: Path = parser.parse_args().source
    packages = node_packages("openresponses")
    with tempfile.TemporaryDirectory() as scratch, door() as ours:
        for part in PARTS:
            shutil.copytree(source / part, Path(scratch) / part)
        (Path(scratch) / "node_modules").symlink_to(packages / "node_modules")
        done = subprocess.run(
            [
                bun(packages), "bin/compliance-test.ts", "--base-url", ours.url,
                "--api-key", "unused", "--model", MODEL, "--json",
            ],
            cwd=scratch, env=surroundings(ours), stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    outcome = Outcome()
    for result in json.loads(done.stdout[done.stdout.index("{") :])["results"]:
        problems = "; ".join(result.get("errors") or [result["status"]])
        outcome.add(result["id"], None if result["status"] == "passed" else problems)
    return report("Open Responses", outcome, [])


def bun(packages: Path) -> Path:
    """The first of the packaged programs that this processor can run. Raises Unavailable."""
    for program in sorted((packages / "node_modules" / "@oven").glob("bun-*/bin/bun*")):
        done = subprocess.run([program, "--version"], capture_output=True, check=False)
        if done.returncode == 0:
            return program
    raise Unavailable("none of the packaged programs runs here")


if __name__ == "__main__":
    sys.exit(main())
