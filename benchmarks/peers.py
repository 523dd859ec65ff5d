"""The programs that we are measured beside: `python -m benchmarks.peers` installs them.

Each in an environment of its own in `.cache/`, from the public indexes, by version. What cannot be
had is left out of the tables. The proxy nginx is used where the system has it.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.downloads import CACHE, Unavailable, kept, npm, pip

PYPI = {
    "openai-api-server-via-codex": "0.2.3",  # "Go" in the tables
    "codex-as-api": "0.9.4",
    "chatmock": "1.40",
    "litellm[proxy]": "1.100.0",
    "llm": "0.36",  # a command line, for `benchmarks.startup`
}
NPM = {"openai-oauth": "2.0.0", "codex-as-api": "0.7.0"}
_BIN = "Scripts" if sys.platform == "win32" else "bin"
_SECONDS = 900.0


def python(name: str) -> Path | None:
    """The interpreter of an installed peer; None where it is not installed."""
    path = CACHE / _pypi(name) / _BIN / "python"
    return path if path.exists() else None


def script(name: str) -> tuple[Path, Path] | None:
    """Node and a peer's program for it; None where one of them is not installed."""
    path, node = (
        CACHE / _npm(name) / "node_modules" / name / "dist" / "cli.js",
        shutil.which("node"),
    )
    return (Path(node), path) if node and path.exists() else None


def main() -> None:
    for name in PYPI:
        _install(_pypi(name), partial(_from_pypi, name))
    for name in NPM:
        _install(_npm(name), partial(_from_npm, name))


def _install(folder: str, make: Callable[[Path], None]) -> None:
    try:
        kept(folder, make)
    except (Unavailable, OSError, subprocess.CalledProcessError) as error:
        print(f"{folder} cannot be had: {error}")
    else:
        print(folder)


def _from_pypi(name: str, folder: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    into = ("--python", str(folder / _BIN / "python"))
    pip(*into, "install", f"{name}=={PYPI[name]}", seconds=_SECONDS)


def _from_npm(name: str, folder: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:  # npm keeps a copy of all that it unpacks
        command = [
            *npm(), "install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error",
            "--cache", scratch, "--prefix", str(folder), f"{name}@{NPM[name]}",
        ]  # fmt: skip
        subprocess.run(command, check=True, timeout=_SECONDS)


def _pypi(name: str) -> str:
    return f"peer-{name.partition('[')[0]}-{PYPI[name]}"


def _npm(name: str) -> str:
    return f"peer-npm-{name}-{NPM[name]}"


if __name__ == "__main__":
    main()
