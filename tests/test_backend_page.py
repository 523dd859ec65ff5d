"""`docs/backend.md`: each belief has its evidence and its day, and what holds it is there."""

from __future__ import annotations

import ast
import re
from datetime import date

import pytest
from tests.processes import ROOT

from codexapi_cli.beliefs import BELIEFS

PAGE = ROOT / "docs" / "backend.md"
LINK = re.compile(r"\[`([^`]+)`\]\((\.\./[^)#]+)\)")
KINDS = ("captured", "recorded", "reported", "assumed")


def rows(heading: str) -> list[list[str]]:
    """The cells of the table under a heading."""
    section = PAGE.read_text().partition(f"## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[1:]]


ONLINE = rows("What one small request settles")
TESTED = rows("What tests alone hold")


def test_one_small_request_settles_the_rows_that_say_so() -> None:
    assert [row[0].strip("`") for row in ONLINE] == [belief.name for belief in BELIEFS]


@pytest.mark.parametrize("row", [*(row[1:] for row in ONLINE), *TESTED], ids=lambda row: row[0])
def test_a_belief_has_its_evidence_a_day_and_what_holds_it(row: list[str]) -> None:
    _, evidence, day, holder = row
    assert evidence.startswith(KINDS)
    assert date(2026, 1, 1) <= date.fromisoformat(day)
    match = LINK.fullmatch(holder)
    assert match, holder
    name, target = match.groups()
    file = (PAGE.parent / target).resolve()
    assert file.is_file()
    if name.startswith("test_") and not name.endswith(".py"):
        tree = ast.parse(file.read_text())
        functions = (ast.FunctionDef, ast.AsyncFunctionDef)
        assert name in {node.name for node in tree.body if isinstance(node, functions)}
    else:
        assert name == file.name


def test_what_only_a_live_login_can_settle_says_how() -> None:
    questions = rows("What only a live login can settle")
    assert questions
    for question, how in questions:
        assert question.endswith("?")
        assert how
