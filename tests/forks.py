"""codexapi as processes of its own at the price of a fork, to their end.

A server of forks has imported what the command line needs; each command is a child of it, with an
environment, a working folder, arguments and standard streams of its own.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from threading import Thread
from typing import Any

from tests.processes import ROOT, environment

_AT_START = ("PYTHON", "LC_", "LANG")
"""Variables that an interpreter reads when it starts, by their beginnings."""


def can_fork(env: Mapping[str, str]) -> bool:
    """Whether a forked command meets these variables as an interpreter of its own would."""
    return sys.platform == "linux" and not any(name.startswith(_AT_START) for name in env)


def run(
    arguments: Sequence[str], env: Mapping[str, str], stdin: bytes | None, timeout: float
) -> tuple[int, bytes, bytes]:
    """The exit code, and what was written to stdout and stderr. Raises TimeoutExpired, with the
    command killed."""
    return _server().run(arguments, env, stdin, timeout)


@cache
def _server() -> _Server:
    return _Server()


class _Server:
    def __init__(self) -> None:
        self._line, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.storm.nursery", str(other.fileno())],
            cwd=ROOT, env=environment(PYTHONPATH=_PATHS), pass_fds=[other.fileno()],
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        other.close()
        atexit.register(self._end)
        self._message()

    def run(
        self, arguments: Sequence[str], env: Mapping[str, str], stdin: bytes | None, timeout: float
    ) -> tuple[int, bytes, bytes]:
        out, err = os.pipe(), os.pipe()
        source = os.pipe() if stdin is not None else (os.open(os.devnull, os.O_RDONLY), -1)
        order = {"arguments": list(arguments), "env": dict(env), "fresh": False, "cwd": os.getcwd()}
        theirs = [source[0], out[1], err[1]]
        socket.send_fds(self._line, [json.dumps(order).encode()], theirs)
        for descriptor in theirs:
            os.close(descriptor)
        pid = self._message()["begin"]
        output, errors = _Thread(lambda: _read(out[0])), _Thread(lambda: _read(err[0]))
        if stdin is not None:
            _Thread(lambda: _write(source[1], stdin))
        self._line.settimeout(timeout)
        try:
            code = self._message()["code"]
        except TimeoutError:
            os.kill(pid, signal.SIGKILL)
            self._line.settimeout(None)
            self._message()
            raise subprocess.TimeoutExpired(list(arguments), timeout) from None
        self._line.settimeout(None)
        return code, output.result(), errors.result()

    def _message(self) -> dict[str, Any]:
        data = self._line.recv(1024)
        if not data:
            raise RuntimeError("the server of forks has ended")
        message: dict[str, Any] = json.loads(data)
        return message

    def _end(self) -> None:
        self._line.close()
        self._process.wait()


class _Thread(Thread):
    def __init__(self, work: Callable[[], bytes]) -> None:
        super().__init__(daemon=True)
        self._work = work
        self._data = b""
        self.start()

    def run(self) -> None:
        self._data = self._work()

    def result(self) -> bytes:
        self.join()
        return self._data


def _read(descriptor: int) -> bytes:
    with open(descriptor, "rb") as stream:
        return stream.read()


def _write(descriptor: int, data: bytes) -> bytes:
    with suppress(BrokenPipeError), open(descriptor, "wb") as stream:
        stream.write(data)
    return b""


_PATHS = os.pathsep.join([environment()["PYTHONPATH"], str(ROOT)])
