"""What the suites run in: an interpreter and sources of their own, and our server on the simulated
backend. Knows no suite.

Everything that is fetched stays in `.cache/`, which git ignores: nothing of it becomes ours.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.downloads import CACHE, PINS, kept, named, node, npm_ci, pip
from tests.processes import Running, environment, server, simulator

JsonObject = dict[str, Any]

MODEL = "gpt-6.1-sol"
"""What the simulated backend has, for suites that let us choose."""

INSIDE = Path(__file__).parent / "inside"
"""Ours, but for the suites' own interpreters."""

_BIN = "Scripts" if sys.platform == "win32" else "bin"
SECONDS = 900.0
"""For one installation."""


def python(name: str) -> Path:
    """The interpreter of an environment that has what `tests/pins/NAME.txt` names, by hash."""
    pins = PINS / f"{name}.txt"

    def make(folder: Path) -> None:
        # Without a pip of its own, and compiled as it is imported: half of the time of the rest.
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
        pip(
            "--python", str(folder / _BIN / "python"), "install", "--require-hashes", "--no-deps",
            "--no-compile", "-r", str(pins), seconds=SECONDS,
        )  # fmt: skip

    return kept(named(name, pins.read_bytes()), make) / _BIN / "python"


def source(package: str, version: str) -> Path:
    """The unpacked source distribution of a package, where its tests are."""
    name = f"{package.replace('-', '_')}-{version}"

    def make(folder: Path) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            pip(
                "download", "--no-deps", f"--no-binary={package}", f"--dest={scratch}",
                f"{package}=={version}", seconds=SECONDS,
            )  # fmt: skip
            (archive,) = Path(scratch).iterdir()
            with tarfile.open(archive) as files:
                files.extractall(folder, filter="data")

    return kept(f"{name}-source", make) / name


def node_packages(name: str) -> Path:
    """The folder with the `node_modules` that `tests/pins/NAME` locks."""
    return kept(_locked(name), lambda folder: npm_ci(PINS / name, folder))


def node_packages_here(name: str) -> Path | None:
    """That folder, if it has been installed before."""
    folder = CACHE / _locked(name)
    return folder if folder.exists() else None


def _locked(name: str) -> str:
    return named(name, (PINS / name / "package-lock.json").read_bytes())


@contextmanager
def door(*arguments: str) -> Iterator[Running]:
    """`codexapi serve` before a simulated backend of its own, and a login that it accepts."""
    with tempfile.TemporaryDirectory() as login:
        with simulator(Path(login) / "codex") as backend:
            with server("--quiet", *arguments, env=backend.env) as running:
                yield running


def aliases(*names: str, model: str = MODEL) -> list[str]:
    """The arguments that make names of a suite's own mean a model of the backend's."""
    return [f"--model-alias={name}={model}" for name in names]


def surroundings(door: Running, **more: str) -> dict[str, str]:
    """The environment of a client: the official names of address and key, and nothing of ours."""
    official = {
        "OPENAI_BASE_URL": door.url, "OPENAI_API_KEY": "unused",
        "ANTHROPIC_BASE_URL": door.url.removesuffix("/v1"), "ANTHROPIC_API_KEY": "unused",
    }  # fmt: skip
    kept = {name: value for name, value in environment().items() if name != "PYTHONPATH"}
    return {**kept, **official, "NO_PROXY": "127.0.0.1", **more}


def vitest(folder: Path, packages: Path, env: dict[str, str]) -> list[JsonObject]:
    """Runs the TypeScript tests in a folder with these packages; the results, file by file."""
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "node_modules").symlink_to(packages / "node_modules")
    results = folder / "results.json"
    subprocess.run(
        [
            node(), "node_modules/vitest/vitest.mjs", "run", "--reporter=json",
            f"--outputFile={results}",
        ],
        cwd=folder, env=env, stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    return list(json.loads(results.read_text())["testResults"])


def pytest(
    interpreter: Path, folder: Path, *arguments: str, env: dict[str, str], junit: Path
) -> None:
    """Runs the tests of a source distribution as its own projects does, all in one process."""
    subprocess.run(
        [
            interpreter, "-m", "pytest", "-p", "no:cacheprovider", "-o", "addopts=", "-q", "-rN",
            "--tb=no", "--show-capture=no", "--timeout=60", f"--junitxml={junit}", *arguments,
        ],
        cwd=folder, env=env, stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip
