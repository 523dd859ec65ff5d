"""A short selection of what `python -m tests.suites.claude_code` runs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.downloads import had
from tests.processes import Running
from tests.suites import claude_code
from tests.suites.surroundings import door

pytestmark = pytest.mark.timeout(900)  # the first run installs

SHORT = (
    "a tool runs, and its output is heard",
    "a tool is found by ToolSearch",
    "a spent plan ends at once",
    "a stream that is cut is told",
)


@pytest.fixture(scope="module")
def ours() -> Iterator[Running]:
    with door() as running:
        yield running


@pytest.mark.parametrize("name", SHORT)
def test_claude_code_does_its_turn(name: str, ours: Running) -> None:
    claude = had("claude-code", claude_code.program)
    (scenario,) = [one for one in claude_code.SCENARIOS if one.name == name]
    assert claude_code.problem(claude, ours, scenario) is None
