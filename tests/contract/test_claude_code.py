"""The real Claude Code as a client of `codexapi serve`, where it is installed.

`python -m tests.suites.claude_code` installs it.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.loopback import loopback_only
from tests.processes import ROOT, codexapi, environment
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


def test_the_lines_of_the_readme_start_it_and_undo_leaves_nothing(
    program: Path, tmp_path: Path
) -> None:
    readme = (ROOT / "README.md").read_text()
    (block,) = re.findall(r"```sh\n([^`]*?\nclaude [^`]*?)```", readme)
    undo = "codexapi setup claude-code --undo"
    assert f"`{undo}`" in readme
    settings = tmp_path / ".claude" / "settings.json"
    start = "codexapi serve --demo --detach"
    assert f"```sh\n{start}\n```" in readme
    with shell(program, tmp_path) as typed:
        assert typed(start).returncode == 0
        done = typed(block)
        assert done.returncode == 0, done
        assert done.stdout == "Hello from Claude Code.\n", done
        assert "ANTHROPIC_BASE_URL" in settings.read_text()
        assert typed(undo).returncode == 0
    assert not settings.exists()


def test_setup_starts_it_with_its_settings(program: Path, tmp_path: Path) -> None:
    line = 'codexapi setup claude-code --demo --run -- -p "[[say Started.]]"'
    with shell(program, tmp_path) as typed:
        assert typed("codexapi serve --demo --detach").returncode == 0
        done = typed(line)
    assert (done.returncode, done.stdout) == (0, "Started.\n"), done


@contextmanager
def shell(program: Path, home: Path) -> Iterator[Callable[[str], subprocess.CompletedProcess[str]]]:
    """Types lines in a shell of a user who has installed Claude Code, and never started it. The
    server that the lines start is stopped."""
    programs = home / "programs"
    programs.mkdir()
    (programs / "claude").symlink_to(program)
    wrapper = programs / "codexapi"
    wrapper.write_text("#!/bin/sh\nexec " + " ".join(codexapi()) + ' "$@"\n')
    wrapper.chmod(0o755)
    env = environment(
        HOME=str(home), CLAUDE_CONFIG_DIR="", CODEXAPI_STATE_DIR=str(home / "state"),
        CODEXAPI_PORT="0", PATH=f"{programs}:/usr/local/bin:/usr/bin:/bin",
    )  # fmt: skip

    def typed(lines: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["/bin/sh", "-ec", lines], cwd=home, env=env, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=100, check=False,
        )  # fmt: skip

    with loopback_only():
        try:
            yield typed
        finally:
            typed("codexapi stop")
