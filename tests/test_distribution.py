"""The wheel and the sdist: what is in them, and that `uvx` and `pipx` install a command that works."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from docs import release
from tests.downloads import CACHE, had
from tests.install import reach_the_index
from tests.processes import ROOT
from tests.suites.surroundings import python

from codexapi_engine import __version__

pytestmark = [
    pytest.mark.timeout(600),  # the first run downloads the tools and all dependencies
    pytest.mark.skipif(sys.platform == "win32", reason="the tools' folders are those of POSIX"),
]

SAY = ("chat", "--demo", "[[say It is installed.]]")
PACKAGES = ("codexapi_engine", "codexapi_http", "codexapi_mcp", "codexapi_cli")
SHARE = {
    "share/man/man1/codexapi.1",
    "share/bash-completion/completions/codexapi",
    "share/zsh/site-functions/_codexapi",
    "share/fish/vendor_completions.d/codexapi.fish",
}
Run = Callable[..., str]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def run(home: Path) -> Run:
    """Runs a packaging tool, or what it has installed, with an empty HOME."""
    interpreter = had("packaging", lambda: python("packaging"))
    env: Mapping[str, str] = {
        **reach_the_index(os.environ),
        "HOME": str(home), "UV_CACHE_DIR": str(CACHE / "uv"), "UV_PYTHON_DOWNLOADS": "never",
        "UV_PYTHON": sys.executable, "CODEXAPI_NO_LOG": "1",
        "PATH": os.pathsep.join([str(home / ".local" / "bin"), str(interpreter.parent), "/usr/bin", "/bin"]),
    }  # fmt: skip

    def run(program: str, *arguments: str) -> str:
        # The environment has been moved since it was made: its scripts name the folder of before.
        command = [interpreter, "-m", "pipx"] if program == "pipx" else [program]
        done = subprocess.run(
            [*command, *arguments], env=env, cwd=home, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


@pytest.fixture(scope="module")
def wheel(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the sdist, which is beside it."""
    folder = tmp_path_factory.mktemp("dist")
    run("uv", "build", "--quiet", "--out-dir", str(folder), str(ROOT))
    (wheel,) = folder.glob("*.whl")
    return wheel


def test_the_wheel_has_types_a_manual_page_completions_and_no_tests(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {f"{package}/py.typed" for package in PACKAGES} <= names
    assert {name.partition(".data/data/")[2] for name in names if ".data/data/" in name} == SHARE
    assert {name.split("/")[0] for name in names if "-" not in name} == set(PACKAGES)


def test_the_sdist_has_what_its_own_tests_need(wheel: Path) -> None:
    (sdist,) = wheel.parent.glob("*.tar.gz")
    with tarfile.open(sdist) as files:
        names = {name.partition("/")[2] for name in files.getnames()}
    needed = {
        "tests/__main__.py",
        "docs/README.md",
        "docs/container/Dockerfile",
        "docs/container/compose.yaml",
    }
    assert needed <= names
    assert not {name for name in names if name.startswith((".cache", ".venv", "build"))}


def test_the_list_of_what_the_wheel_needs_has_every_pinned_package(home: Path) -> None:
    interpreter = had("packaging", lambda: python("packaging"))
    file = home / "sbom.cdx.json"
    subprocess.run([interpreter, "-m", "docs.release", "sbom", str(file)], cwd=ROOT, check=True)
    listed = {part["name"]: part["version"] for part in json.loads(file.read_text())["components"]}
    pins = re.findall(r"^([\w.-]+)==(\S+)", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert listed == dict(pins)


def test_the_version_is_one() -> None:
    assert release.version() == __version__


def test_uvx_runs_it_from_the_wheel(run: Run, wheel: Path) -> None:
    assert run("uvx", "--from", str(wheel), "codexapi-kit", *SAY) == "It is installed.\n"


def test_pipx_installs_the_command_and_the_manual_page(run: Run, wheel: Path, home: Path) -> None:
    run("pipx", "install", "--backend", "uv", str(wheel))
    assert run("codexapi", *SAY) == "It is installed.\n"
    assert (home / ".local" / "share" / "man" / "man1" / "codexapi.1").exists()
    run("pipx", "uninstall", "codexapi-kit")
    assert not (home / ".local" / "bin" / "codexapi").is_symlink()
