"""Runs the blocks of a page in one Python and one Node: to start one for each block would be most of
the work.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.downloads import Unavailable
from tests.suites.surroundings import node_packages

INSIDE = Path(__file__).with_name("inside")


class Interpreter:
    """A process that takes programs, one after another."""

    def __init__(self, command: Sequence[str], folder: Path, environment: Mapping[str, str]):
        self._environment = dict(environment)
        self._process = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True,
        )  # fmt: skip

    def fits(self, environment: Mapping[str, str]) -> bool:
        """Whether it was started with these variables."""
        return self._environment == environment

    def run(self, program: str, name: str) -> str:
        """What a program prints. Raises RuntimeError if it fails."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{json.dumps(program)}\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{name} ended its interpreter ({self._process.wait()})")
        printed, failure = json.loads(line)
        if failure is not None:
            raise RuntimeError(f"{name} failed:\n{printed}{failure}")
        return str(printed)

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


def python(folder: Path, environment: Mapping[str, str]) -> Interpreter:
    program = shutil.which("python", path=environment["PATH"]) or "python"
    # A client that a recipe leaves open is closed with its process.
    command = [
        program,
        "-W",
        "error",
        "-W",
        "ignore::ResourceWarning",
        str(INSIDE / "run_blocks.py"),
    ]
    return Interpreter(command, folder, environment)


def node(folder: Path, environment: Mapping[str, str]) -> Interpreter:
    """One that finds the official clients. Raises Unavailable."""
    program = node_program()
    packages = node_packages("node-clients")
    (folder / "node_modules").symlink_to(packages / "node_modules")
    return Interpreter([program, str(INSIDE / "run_blocks.mjs")], folder, environment)


def node_program() -> str:
    """The Node of this machine. Raises Unavailable."""
    program = shutil.which("node")
    if program is None:
        raise Unavailable("there is no node on PATH")
    return program
