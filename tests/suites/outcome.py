"""What became of a suite's cases, held against the list of those that cannot pass.

Every case is run; none is left out. Knows no suite and runs nothing.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree


@dataclass(frozen=True)
class Exclusion:
    """Cases that cannot pass, by patterns of their names, and the feature that the backend lacks."""

    reason: str
    patterns: tuple[str, ...]

    def covers(self, case: str) -> bool:
        return any(re.fullmatch(pattern, case) for pattern in self.patterns)


@dataclass
class Outcome:
    """Cases by name: what went wrong with each, and nothing for those that passed."""

    cases: dict[str, list[str]] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    def add(self, case: str, problem: str | None) -> None:
        """One more variant of a case."""
        problems = self.cases.setdefault(case, [])
        if problem is not None:
            problems.append(problem)


def from_junit(path: Path, named: Mapping[str, str] | None = None) -> Outcome:
    """pytest's report. `named` are patterns in the names and what stands for them: variants that
    are called alike become one case."""
    outcome = Outcome()
    for case in ElementTree.parse(path).iter("testcase"):
        name = f"{case.get('classname')}.{case.get('name')}"
        for pattern, instead in (named or {}).items():
            name = re.sub(pattern, instead, name)
        bad = [part for part in case if part.tag in ("failure", "error")]
        skipped = [part for part in case if part.tag == "skipped"]
        if skipped and not bad:
            outcome.skipped[name] = str(skipped[0].get("message"))
        else:
            outcome.add(name, str(bad[0].get("message")).splitlines()[0] if bad else None)
    return outcome


def report(title: str, outcome: Outcome, exclusions: Iterable[Exclusion]) -> int:
    """Prints the score, and returns the exit code: 0 if nothing failed that is not excluded, and
    nothing passed that is."""
    excluded = list(exclusions)
    failed = {case: problems for case, problems in outcome.cases.items() if problems}
    passed = [case for case in outcome.cases if case not in failed]
    unexpected = {
        case: problems
        for case, problems in failed.items()
        if not any(exclusion.covers(case) for exclusion in excluded)
    }
    stale = [case for case in passed if any(exclusion.covers(case) for exclusion in excluded)]
    for exclusion in excluded:
        covered = [case for case in failed if exclusion.covers(case)]
        print(f"-- cannot pass ({len(covered)}): {exclusion.reason}")
        for case in covered:
            print(f"   {case}")
    for case, problems in unexpected.items():
        print(f"!! failed: {case}: {problems[0][:400]}")
    for case in stale:
        print(f"!! passes, though it is excluded: {case}")
    for case, why in outcome.skipped.items():
        print(f"-- skipped by the suite itself: {case}: {why}")
    print(f"== {title}: {len(passed)} of {len(outcome.cases)} passed", end="")
    print(f", {len(failed) - len(unexpected)} cannot, {len(unexpected)} failed")
    sys.stdout.flush()
    return 1 if unexpected or stale or not outcome.cases else 0
