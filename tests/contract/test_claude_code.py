"""The real Claude Code as a client of `codexapi serve`, where it is installed.

`python -m tests.suites.claude_code` installs it.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.loopback import loopback_only
from tests.processes import ROOT, codexapi, environment, server
from tests.suites import claude_code

pytestmark = pytest.mark.timeout(200)


@pytest.fixture(scope="module")
def program() -> Path:
    found = claude_code.installed()
    if found is None:
        pytest.skip(
            "Claude Code is not installed; `python -m tests.suites.claude_code` installs it"
        )
    return found


@pytest.mark.parametrize("scenario", claude_code.SCENARIOS, ids=lambda each: each.__name__)
def test_a_scenario(program: Path, scenario: Callable[[claude_code.Claude], None]) -> None:
    with loopback_only(), claude_code.claude(program) as claude:
        scenario(claude)


def test_the_lines_of_the_readme_start_it(program: Path, tmp_path: Path) -> None:
    (block,) = re.findall(r"```sh\n([^`]*?\nclaude [^`]*?)```", (ROOT / "README.md").read_text())
    done = _typed(block, program, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout == "Hello from Claude Code.\n"


def test_setup_starts_it_with_its_settings(program: Path, tmp_path: Path) -> None:
    line = 'codexapi setup claude-code --demo --run -- -p "[[say Started.]]"'
    done = _typed(line, program, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout == "Started.\n"


def _typed(lines: str, program: Path, home: Path) -> subprocess.CompletedProcess[str]:
    """What a shell does with lines, where a server runs and `claude` is installed, as npm leaves it."""
    programs = home / "programs"
    programs.mkdir()
    (programs / "claude").symlink_to(program)
    wrapper = programs / "codexapi"
    wrapper.write_text("#!/bin/sh\nexec " + " ".join(codexapi()) + ' "$@"\n')
    wrapper.chmod(0o755)
    env = {
        "HOME": str(home), "CLAUDE_CONFIG_DIR": "", "CODEXAPI_STATE_DIR": str(home / "state")
    }  # fmt: skip
    with loopback_only(), server("--demo", "--quiet", env=env):
        return subprocess.run(
            ["/bin/sh", "-ec", lines], cwd=home, timeout=100, check=False,
            env=environment(**env, PATH=f"{programs}:/usr/local/bin:/usr/bin:/bin"),
            stdin=subprocess.DEVNULL, capture_output=True, text=True,
        )  # fmt: skip
