"""The judgement over a suite: what counts, and what fails it."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.suites.outcome import Exclusion, Outcome, from_junit, report

REPORT = """<testsuites><testsuite>
<testcase classname="tests.a.TestA" name="test_one[loose]"/>
<testcase classname="tests.a.TestAsyncA" name="test_one[strict]">
  <failure message="wrong&#10;and more"/></testcase>
<testcase classname="tests.a.TestA" name="test_two"/>
<testcase classname="tests.a.TestA" name="test_three"><skipped message="no audio"/></testcase>
</testsuite></testsuites>"""
NAMED = {r"^tests\.": "", r"\.TestAsync": ".Test", r"\[.*\]$": ""}


def outcome(**cases: str | None) -> Outcome:
    made = Outcome()
    for name, problem in cases.items():
        made.add(name, problem)
    return made


def test_variants_that_are_called_alike_are_one_case(tmp_path: Path) -> None:
    path = tmp_path / "junit.xml"
    path.write_text(REPORT)
    found = from_junit(path, NAMED)
    assert found.cases == {"a.TestA.test_one": ["wrong"], "a.TestA.test_two": []}
    assert found.skipped == {"a.TestA.test_three": "no audio"}


@pytest.mark.parametrize(
    ("cases", "excluded", "code"),
    [
        (outcome(a=None, b=None), "", 0),
        (outcome(a=None, b="wrong"), "", 1),
        (outcome(a=None, b="wrong"), "b", 0),
        (outcome(a=None, b=None), "b", 1),
        (outcome(a=None, b="wrong"), "bb|B", 1),
        (outcome(), "", 1),
    ],
    ids=["all pass", "one fails", "as listed", "listed but passes", "another listed", "none ran"],
)
def test_only_what_is_listed_may_fail_and_it_must(
    capsys: pytest.CaptureFixture[str], cases: Outcome, excluded: str, code: int
) -> None:
    assert report("suite", cases, [Exclusion("a reason", (excluded,))]) == code
    assert (
        f"== suite: {sum(not bad for bad in cases.cases.values())} of " in capsys.readouterr().out
    )


def test_the_reason_is_told_beside_its_cases(capsys: pytest.CaptureFixture[str]) -> None:
    report("suite", outcome(a=None, b="wrong"), [Exclusion("a reason", ("b",))])
    assert "-- cannot pass (1): a reason\n   b\n" in capsys.readouterr().out
