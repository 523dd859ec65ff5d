"""`docs/promises.md`: each promise names a test, and that test is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROW = re.compile(r"^\| (?P<promise>[^|]+) \| `(?P<file>tests/[\w/]+\.py)::(?P<name>\w+)` \|$")
LINES = [
    line
    for line in (ROOT / "docs" / "promises.md").read_text("utf-8").splitlines()
    if line.startswith("| ") and not line.startswith("| promise")
]


def names(file: Path) -> set[str]:
    """The tests of a module: its functions, and the names that it gives to its machines."""
    found = set()
    for node in ast.parse(file.read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return found


def test_the_page_makes_promises() -> None:
    assert len(LINES) > 20


@pytest.mark.parametrize("line", LINES)
def test_a_promise_has_its_test(line: str) -> None:
    row = ROW.match(line)
    assert row is not None, "a row is a promise, and the one test that holds it"
    assert row["name"].lower().startswith("test")
    assert row["name"] in names(ROOT / row["file"])
