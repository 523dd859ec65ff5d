"""The command line as a script runs it, and as a person sees it on a terminal."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from tests import forks
from tests.processes import codexapi, environment

PATIENCE = 60
"""Seconds after which a test that waits for a terminal has failed."""


def run(
    *arguments: str, stdin: bytes | None = None, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """A command with nothing or a pipe on stdin, to its end."""
    given: dict[str, Any] = {"stdin": subprocess.DEVNULL} if stdin is None else {"input": stdin}
    done = forks.run(
        codexapi(*arguments), env=environment(**(env or {})), capture_output=True, check=False,
        timeout=PATIENCE, **given,
    )  # fmt: skip
    return subprocess.CompletedProcess(
        done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
    )


@contextmanager
def pipe_without_reader() -> Iterator[int]:
    """The end to write to: its reader is gone before anything is written."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        yield writer
    finally:
        os.close(writer)


@contextmanager
def terminal(
    *arguments: str,
    env: Mapping[str, str] | None = None,
    width: int = 80,
    python: Sequence[str] = (),
) -> Iterator[Any]:
    """A command on a terminal of its own; `python` are options of the interpreter."""
    environ = {"TERM": "xterm-256color", **(env or {})}
    program, *rest = codexapi(*arguments)
    child = forks.spawn(
        [program, *python, *rest], env=environment(**environ), encoding="utf-8", timeout=PATIENCE,
        dimensions=(24, width),
    )  # fmt: skip
    try:
        yield child
    finally:
        child.close(force=True)


def shown(
    *arguments: str, env: Mapping[str, str] | None = None, width: int = 80
) -> tuple[int, str]:
    """The exit code, and all that a command wrote on its terminal."""
    with terminal(*arguments, env=env, width=width) as child:
        said = child.read()
        return exit_code(child), said.replace("\r\n", "\n")


def exit_code(child: Any) -> int:
    child.wait()
    assert child.exitstatus is not None
    return int(child.exitstatus)


def plain(text: str) -> str:
    """A text without its letters' looks: bold, colours, links."""
    return re.sub(r"\x1b\[[0-9;]*m|\x1b\]8;.*?\x1b\\", "", text)
