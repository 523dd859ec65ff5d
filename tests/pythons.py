"""The fast part of the tests on each other Python that the machine has: `python -m tests.pythons`.

Of each declared version, and of ours too: what a system brings is often an early release of it
(Debian 12 has 3.11.2). Each has an environment in `.cache`. Where there is no other Python, nothing
happens.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path

from tests.downloads import Unavailable, kept, named, pip
from tests.processes import ROOT

REQUIREMENTS = ROOT / "tests" / "constraints.txt"
# In one process: collecting in several takes longer than the tests. What does not depend on the Python is not tested again: formats, types, the layers.
TESTS = [
    "pytest", "-q", "--hypothesis-profile=few", "tests/engine/protocol",
    "tests/engine/storage",
]  # fmt: skip
_VERSION = "import platform; print(platform.python_version())"


def versions() -> list[str]:
    """`3.11` and all others that are declared."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = (
        one.removeprefix("Programming Language :: Python :: ") for one in project["classifiers"]
    )
    return [name for name in names if name.startswith("3.")]


def others(environ: Mapping[str, str] = os.environ) -> dict[str, Path]:
    """A program of each declared version that is not the one we run on, by its full version."""
    found = {}
    for version in versions():
        for program in _programs(version, environ):
            full = _version_of(program)
            if full.startswith(f"{version}.") and full != platform.python_version():
                found[full] = program
                break
    return found


def _programs(version: str, environ: Mapping[str, str]) -> Iterator[Path]:
    for folder in environ.get("PATH", "").split(os.pathsep):
        if program := shutil.which(f"python{version}", path=folder):
            yield Path(program)
    pyenv = Path(environ.get("PYENV_ROOT") or Path(environ.get("HOME", "."), ".pyenv"))
    yield from sorted((pyenv / "versions").glob(f"{version}.*/bin/python"), reverse=True)


def _version_of(program: Path) -> str:
    with suppress(OSError, subprocess.SubprocessError):  # a launcher whose version is not chosen
        done = subprocess.run([program, "-c", _VERSION], capture_output=True, check=True, text=True)
        return done.stdout.strip()
    return ""


def _make(folder: Path, program: Path) -> None:
    subprocess.run([program, "-m", "venv", "--without-pip", folder], check=True)
    # By our pip: one of its own would take as long as half of the packages.
    pip(
        "--python",
        str(_python(folder)),
        "install",
        "--no-compile",
        "--no-deps",
        "-r",
        str(REQUIREMENTS),
    )


def _python(folder: Path) -> Path:
    return folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def _run(version: str, program: Path) -> tuple[bool, str]:
    """Whether the tests pass, and their output."""
    name = named(f"python-{version}", REQUIREMENTS.read_bytes())
    try:
        folder = kept(name, partial(_make, program=program))
    except (Unavailable, OSError, subprocess.SubprocessError) as error:
        passed = os.environ.get("CODEXAPI_TESTS_ALL") != "1"
        return passed, f"it cannot be tested: {error}\n"
    done = subprocess.run(
        [_python(folder), "-m", *TESTS], cwd=ROOT, check=False, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )  # fmt: skip
    return done.returncode == 0, done.stdout


def main() -> int:
    found = others()
    failed = []
    with ThreadPoolExecutor(len(found) or 1) as threads:
        for version, (passed, output) in zip(
            found, threads.map(_run, found, found.values()), strict=True
        ):
            print(f"== Python {version}\n{output}", end="", flush=True)
            if not passed:
                failed.append(version)
    print(f"== failed: Python {', '.join(failed)}" if failed else "== all good", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
