"""The pytest plugin, as a user's tests meet it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

from tests.processes import ROOT, environment

PLUGIN = "codexapi_cli.pytest_plugin"
_FENCE = re.compile(r"^```(sh|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def users_pytest(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """A pytest run of a user's, in a folder of theirs."""
    paths = [str(ROOT / name) for name in ("engine", "http_server", "mcp_server", "cli")]
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "pytest", "-q", "-p", PLUGIN, "-p", "no:cacheprovider", *options],
        cwd=folder, env=environment(
            PYTHONPATH=os.pathsep.join(paths), PYTEST_DISABLE_PLUGIN_AUTOLOAD="1", PYTEST_ADDOPTS=""
        ),
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_the_examples_of_the_page_pass(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "testing.md").read_text()
    tests = 0
    for number, (language, body) in enumerate(_FENCE.findall(page)):
        if language == "sh":
            program = f'codexapi() {{ "{sys.executable}" -m codexapi_cli "$@"; }}\n'
            subprocess.run(
                ["bash", "-euc", program + body],
                cwd=tmp_path, env=environment(), check=True, capture_output=True,
            )  # fmt: skip
        else:
            (tmp_path / f"test_{number}.py").write_text(body)
            tests += body.count("\ndef test_")
    done = users_pytest(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{tests} passed" in done.stdout
    assert tests == 5


def test_tests_that_do_not_use_it_load_nothing(tmp_path: Path) -> None:
    (tmp_path / "test_other.py").write_text(
        "import sys\ndef test_other():\n"
        "    assert not {'codexapi_engine', 'httpx', 'uvicorn', 'starlette'} & set(sys.modules)\n"
    )
    done = users_pytest(tmp_path)
    assert done.returncode == 0, done.stdout


def test_pytest_lists_the_fixture_with_what_it_is(tmp_path: Path) -> None:
    done = users_pytest(tmp_path, "--fixtures")
    assert "codexapi_backend" in done.stdout
    assert "An OpenAI API on this machine" in done.stdout


def test_pytest_finds_it_by_an_entry_point() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["pytest11"] == {PLUGIN: PLUGIN}
    assert not any(one.startswith("pytest") for one in project["dependencies"])


def test_codexapi_runs_where_there_is_no_pytest() -> None:
    code = (
        "import sys; sys.modules['pytest'] = None; sys.argv = ['codexapi', 'chat', '--demo', 'x']\n"
        "from codexapi_cli.__main__ import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True,
        stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
