"""The processes under test: how they are started, told to end, and waited for."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

from tests import unix
from tests.processes import ROOT, environment
from tests.storm.surroundings import quota_library

PATIENCE = 30.0
"""Seconds in which a process has to end when it is told to: a renewal on its way may take 10, open
streams 5, and the machine is busy."""


@dataclass
class Process:
    """A process of ours, and what it wrote."""

    name: str
    pid: int
    ended: asyncio.Future[int]
    stdout: Path
    stderr: Path
    signals: list[str] = field(default_factory=list)

    @property
    def is_alive(self) -> bool:
        return not self.ended.done()

    def signal(self, name: str) -> None:
        if self.is_alive:
            self.signals.append(name)
            with suppress(ProcessLookupError):
                os.kill(self.pid, getattr(signal, f"SIG{name}"))

    async def end(self, seconds: float = PATIENCE) -> int | None:
        """Its exit code; None if it does not end."""
        await asyncio.wait({self.ended}, timeout=seconds)
        return self.ended.result() if self.ended.done() else None

    def complaint(self) -> str:
        return self.stderr.read_text(errors="replace")

    def answer(self) -> str:
        return self.stdout.read_text(errors="replace")

    def memory(self) -> int:
        """Resident bytes; 0 where the system does not tell."""
        with suppress(FileNotFoundError):
            status = Path(f"/proc/{self.pid}/status").read_text()
            if found := re.search(r"VmRSS:\s+(\d+) kB", status):
                return int(found[1]) * 1024
        return 0

    def descriptors(self) -> int:
        """Likewise."""
        with suppress(FileNotFoundError):
            return len(os.listdir(f"/proc/{self.pid}/fd"))
        return 0


class Nursery:
    """Starts processes. Enter it to have them; leaving it ends them all."""

    def __init__(self) -> None:
        self._line, self._other = unix.socket_pair()
        self._process: asyncio.subprocess.Process | None = None
        self._begun: asyncio.Queue[tuple[int, asyncio.Future[int]]] = asyncio.Queue()
        self._forks: dict[int, asyncio.Future[int]] = {}
        self._ended: dict[int, int] = {}  # orphans that nobody has adopted: their exit codes
        self._one_at_a_time = asyncio.Lock()
        self._folder = TemporaryDirectory(prefix="storm-")
        self.env = quota_library(Path(self._folder.name))
        """What its processes need to meet quotas."""

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.fork_server", str(self._other.fileno()), "adopt", cwd=ROOT,
            env=_environment(self.env), pass_fds=[self._other.fileno()], stdin=subprocess.DEVNULL,
        )  # fmt: skip
        self._other.close()
        self._line.setblocking(False)
        loop = asyncio.get_running_loop()
        if not await loop.sock_recv(self._line, 1024):
            raise RuntimeError("the nursery did not start")
        loop.add_reader(self._line.fileno(), self._hear)
        return self

    async def __aexit__(self, *_: object) -> None:
        asyncio.get_running_loop().remove_reader(self._line.fileno())
        self._line.close()
        assert self._process is not None
        await self._process.wait()
        self._folder.cleanup()

    def adopt(self, name: str, pid: int, stderr: Path) -> Process:
        """A process that one of ours has left behind."""
        ended = self._forks[pid] = asyncio.get_running_loop().create_future()
        if pid in self._ended:
            self._forks.pop(pid).set_result(self._ended.pop(pid))
        return Process(name, pid, ended, Path(os.devnull), stderr)

    async def start(
        self,
        name: str,
        *arguments: str,
        env: Mapping[str, str],
        folder: Path,
        stdin: int | None = None,
        stdout: int | None = None,
        fresh: bool = False,
    ) -> Process:
        """`fresh`: by an interpreter of its own."""
        paths = folder / f"{name}.out", folder / f"{name}.err"
        files = [os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600) for path in paths]
        null = os.open(os.devnull, os.O_RDONLY)
        descriptors = [stdin if stdin is not None else null, stdout or files[0], files[1]]
        try:
            variables = _environment({**self.env, **env})
            order = {"arguments": arguments, "env": variables, "fresh": fresh}
            pid, ended = await self._fork(order, descriptors)
        finally:
            for descriptor in (*files, null):
                os.close(descriptor)
        return Process(name, pid, ended, *paths)

    async def _fork(
        self, order: Mapping[str, object], descriptors: list[int]
    ) -> tuple[int, asyncio.Future[int]]:
        if sys.platform != "linux":
            raise NotImplementedError
        async with self._one_at_a_time:
            socket.send_fds(self._line, [json.dumps(order).encode()], descriptors)
            return await self._begun.get()

    def _hear(self) -> None:
        data = self._line.recv(1024)
        if not data:
            return
        message: dict[str, Any] = json.loads(data)
        if pid := message.get("begin"):
            self._forks[pid] = asyncio.get_running_loop().create_future()
            self._begun.put_nowait((pid, self._forks[pid]))
        elif (ended := self._forks.pop(message["pid"], None)) is None:
            self._ended[message["pid"]] = message["code"]
        elif not ended.done():
            ended.set_result(message["code"])


def _environment(more: Mapping[str, str]) -> dict[str, str]:
    env = environment(**more)
    env.pop("CODEXAPI_NO_LOG")  # the history is looked at
    env["PYTHONPATH"] = os.pathsep.join([env["PYTHONPATH"], str(ROOT)])
    return env


async def line_of(process: Process, pattern: str) -> re.Match[str] | None:
    """What a process says on stderr; None if it ends before, or takes too long."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if found := re.search(pattern, process.complaint()):
            return found
        if not process.is_alive:
            return None
        await asyncio.sleep(0.01)
    return None
