"""The real Claude Code, unmodified, as a client of `codexapi serve` on the simulated backend:
`python -m tests.suites.claude_code`.

Each scenario is one `claude -p` with a home of its own. Nothing but the server is talked to.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.downloads import Unavailable
from tests.processes import Running

from .outcome import Outcome, report
from .surroundings import MODEL, door, node_packages, surroundings

PINS = "claude-code"
SECONDS = 150
NOWHERE = "http://127.0.0.1:9"
"""A proxy that is none: whatever the program asks of other hosts fails at once."""

Done = subprocess.CompletedProcess[str]


@dataclass(frozen=True)
class Scenario:
    """One run, and what must be true of it."""

    name: str
    prompt: str
    holds: Callable[[Done, Path], bool]
    arguments: tuple[str, ...] = ()


def _says(*words: str, code: int = 0) -> Callable[[Done, Path], bool]:
    return lambda done, folder: (
        done.returncode == code and all(word in done.stdout for word in words)
    )


SCENARIOS = [
    Scenario("a plain turn", "[[say Good morning.]]", _says("Good morning.")),
    Scenario("reasoning", "[[reason]] [[say Good morning.]]", _says("Good morning.")),
    Scenario(
        "a tool runs, and its output is heard",
        '[[tool Bash {"command": "echo tool-$((6 * 7))", "description": "count"}]]',
        _says("heard from its tools", "tool-42"),
        ("--allowedTools", "Bash"),
    ),
    Scenario(
        "a file is written",
        '[[tool Write {"file_path": "made.txt", "content": "written\\n"}]]',
        lambda done, folder: (folder / "made.txt").read_text() == "written\n",
        ("--allowedTools", "Write"),
    ),
    Scenario(
        "a file is read",
        '[[tool Read {"file_path": "note.txt"}]]',
        _says("heard from its tools", "the note"),
        ("--allowedTools", "Read"),
    ),
    Scenario("a wrong login ends at once", "[[status token_invalidated]]", _says(code=1)),
    Scenario(
        "a spent plan ends at once", "[[status usage_limit_reached]]", _says("usage limit", code=1)
    ),
    Scenario(
        "a stream that is cut is told", "[[cut 2]] hi", _says("Server error mid-response", code=1)
    ),
    Scenario("silence before the answer", "[[silence 12]] [[say Good morning.]]", _says("Good")),
]


def program() -> Path:
    """Claude Code's own binary. Raises Unavailable."""
    packages = node_packages(PINS) / "node_modules" / "@anthropic-ai"
    found = next(packages.glob("claude-code-*/claude*"), None)
    if found is None:
        raise Unavailable("npm installed no Claude Code for this machine")
    return found


def run(claude: Path, ours: Running, folder: Path, scenario: Scenario) -> Done:
    (folder / "note.txt").write_text("the note\n")
    env = surroundings(
        ours, HOME=str(folder), ANTHROPIC_BASE_URL=ours.url.removesuffix("/v1"),
        ANTHROPIC_AUTH_TOKEN="unused", ANTHROPIC_MODEL=MODEL, DISABLE_TELEMETRY="1",
        CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="1", CLAUDE_CODE_MAX_CONTEXT_TOKENS="272000",
        HTTP_PROXY=NOWHERE, HTTPS_PROXY=NOWHERE, PATH=os.environ["PATH"],
    )  # fmt: skip
    return subprocess.run(
        [claude, "-p", scenario.prompt, *scenario.arguments], cwd=folder, env=env,
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip


def problem(claude: Path, ours: Running, scenario: Scenario) -> str | None:
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        try:
            done = run(claude, ours, folder, scenario)
        except subprocess.TimeoutExpired:
            return f"not done within {SECONDS} s"
        try:
            held = scenario.holds(done, folder)
        except OSError as error:
            return str(error)
        return None if held else f"{done.returncode}: {done.stdout} {done.stderr}"


def main() -> int:
    outcome, claude = Outcome(), program()
    with door() as ours:
        for scenario in SCENARIOS:
            outcome.add(scenario.name, problem(claude, ours, scenario))
    return report("Claude Code", outcome, [])


if __name__ == "__main__":
    sys.exit(main())
