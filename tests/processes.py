"""Real processes on loopback ports, started for a test and ended by it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCES = ("engine", "http_server", "mcp_server", "cli")


WORKER = "PYTEST_XDIST_WORKER"
"""Names the worker that a test runs in; those of `tests/workers.py` set it too."""


def environment(**more: str) -> dict[str, str]:
    """The environment of a program under test: ours, without any setting of the user's, and
    nothing is kept in the user's history or state folder. Each worker has a folder of its own, since
    `doctor` asks each server that is noted there."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("CODEX", "OPENAI", "NO_COLOR", "FORCE_COLOR"))
        and not name.upper().endswith("_PROXY")
    }
    path = os.pathsep.join(str(ROOT / source) for source in SOURCES)
    ours = {
        "PYTHONPATH": path, "PYTHONUNBUFFERED": "1", "CODEXAPI_NO_LOG": "1",
        "XDG_STATE_HOME": str(ROOT / ".cache" / "state" / os.environ.get(WORKER, "alone")),
    }  # fmt: skip
    return {**kept, **ours, **more}


def codexapi(*arguments: str) -> list[str]:
    """The command line of a codexapi that need not be installed."""
    return [sys.executable, "-m", "codexapi_cli", *arguments]


@dataclass
class Running:
    """A server process, and where it is."""

    process: subprocess.Popen[str]
    url: str
    env: dict[str, str]  # what tells other programs how to reach it

    def stop(self, number: int, seconds: float | None = None) -> int:
        """Sends a signal, and returns the exit code. Raises where it does not end in time."""
        self.process.send_signal(number)
        return self.process.wait(seconds)


@contextmanager
def process(command: Sequence[str], environ: Mapping[str, str], ready: str) -> Iterator[Running]:
    """A process that says on stderr, by the pattern `ready`, where it is."""
    from tests import forks  # it stands on this module

    process: subprocess.Popen[str] = forks.Popen(
        command, env=environ, text=True, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stderr is not None
        assert process.stdout is not None
        line = process.stderr.readline()
        told = re.match(ready, line)
        assert told, line + process.stderr.read()
        exports = [process.stdout.readline() for _ in range(3 if "--login" in command else 0)]
        pairs = (re.match(r"export (\w+)=(.+)", export) for export in exports)
        yield Running(process, told[1], {pair[1]: pair[2] for pair in pairs if pair})
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def running(
    *arguments: str, ready: str, env: Mapping[str, str] | None = None
) -> AbstractContextManager[Running]:
    """A `codexapi` process that says on stderr, by the pattern `ready`, where it is."""
    return process(codexapi(*arguments), environment(**(env or {})), ready)


def simulator(login: Path, *arguments: str) -> AbstractContextManager[Running]:
    """`codexapi simulate`, with a login in a folder of its own; `env` uses it."""
    return running(
        "simulate", "--login", str(login), *arguments, ready=r"codexapi simulator on (\S+)"
    )


def server(
    *arguments: str, port: int = 0, env: Mapping[str, str] | None = None
) -> AbstractContextManager[Running]:
    """`codexapi serve`, on a free port unless one is chosen."""
    ready = r"codexapi ready on (\S+)"
    return running("serve", "--port", str(port), *arguments, ready=ready, env=env)
