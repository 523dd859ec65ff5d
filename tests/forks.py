"""codexapi as processes of its own at the price of a fork.

`Popen`, `run` and `spawn` are those of `subprocess` and `pexpect`. A command line of codexapi whose
interpreter would begin as ours did is forked by a server (`tests/fork_server.py`) that has imported
what codexapi needs; any other command is started as ever.
"""

from __future__ import annotations

import asyncio
import atexit
import inspect
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from functools import cache, cached_property
from pathlib import Path
from threading import Lock
from typing import IO, Any, AnyStr

from tests import unix, warm
from tests.processes import ROOT, codexapi, environment

_AT_START = ("PYTHON", "LC_", "LANG")
"""Variables that an interpreter reads when it starts, by their beginnings."""

_HEEDED = {"PYTHONUNBUFFERED", "PYTHONIOENCODING"}
"""Those that the server heeds too."""

_OWN_START = {"preexec_fn", "pass_fds", "shell", "executable", "gid", "gids", "uid"}
"""Arguments of Popen that a fork does not heed."""


def arguments_of(command: object) -> list[str] | None:
    """What a codexapi is started with; None for another program."""
    head = codexapi()
    if not isinstance(command, list | tuple) or list(command[: len(head)]) != head:
        return None
    words = list(command[len(head) :])
    return words if all(isinstance(word, str) for word in words) else None


def begins_like_ours(env: Mapping[str, str] | None) -> bool:
    """Whether a forked command meets these variables as an interpreter of its own would."""
    if sys.platform != "linux" or env is None:
        return False
    ours = environment()
    names = {name for name in {*env, *ours} - _HEEDED if name.startswith(_AT_START)}
    return all(env.get(name) == ours.get(name) for name in names)


_NETWORK = Path("/proc/thread-self/ns/net")
"""The network of a thread, which a process would have from it."""


def for_shells(*arguments: str, code: str = "") -> list[str]:
    """The command line by which a program that is none of ours starts a codexapi; or, with code,
    what `python -c` would be, and finds loaded what codexapi needs."""
    if sys.platform != "linux":
        return [sys.executable, "-c", code, *arguments] if code else codexapi(*arguments)
    return warm.command(server().address, *arguments, code=code)


def put_program(path: Path, arguments: str = '"$@"', *, first: str = ":") -> None:
    """A codexapi for a PATH. `doctor` knows it for ours by the name of the module."""
    line = f"exec {shlex.join(for_shells())} {arguments}  # codexapi_cli"
    path.write_text(f"#!/bin/sh\n{first}\n{line}\n")
    path.chmod(0o755)


class Popen(subprocess.Popen[AnyStr]):
    _fork: Fork | None = None

    @property
    def is_forked(self) -> bool:
        return self._fork is not None

    def fileno(self) -> int:
        """Can be read when a fork has ended."""
        assert self._fork is not None
        return self._fork.fileno()

    def _execute_child(self, *values: Any) -> None:
        """CPython 3.11 to 3.14 start the process here; `tests/test_forks.py` checks it."""
        start: dict[str, Any] = inspect.signature(super()._execute_child).bind(*values).arguments  # type: ignore[misc]
        arguments = arguments_of(start["args"])
        if (
            arguments is None
            or not begins_like_ours(start["env"])
            or any(start[name] for name in _OWN_START & {*start})
        ):
            super()._execute_child(*values)  # type: ignore[misc]
            return
        streams = [start["p2cread"], start["c2pwrite"], start["errwrite"]]
        self._fork = server().fork(
            arguments,
            start["env"],
            [number if stream == -1 else stream for number, stream in enumerate(streams)],
            cwd=start["cwd"],
            session=start["start_new_session"],
        )
        self.pid = self._fork.pid
        self._child_created = True
        pipes = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")
        self._close_pipe_fds(*(start[name] for name in pipes))  # type: ignore[attr-defined]

    def poll(self) -> int | None:
        if self._fork is None:
            return super().poll()
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self._fork is None:
            return super().wait(timeout)
        try:
            self.returncode = self._fork.wait(timeout)
        except TimeoutError:
            assert timeout is not None
            raise subprocess.TimeoutExpired(self.args, timeout) from None
        return self.returncode


def run(
    command: Sequence[str],
    *,
    input: str | bytes | None = None,  # noqa: A002 - the word of `subprocess.run`
    capture_output: bool = False,
    timeout: float | None = None,
    check: bool = False,
    **options: Any,
) -> subprocess.CompletedProcess[Any]:
    """As `subprocess.run`. Raises TimeoutExpired, with the command killed."""
    if input is not None:
        options["stdin"] = subprocess.PIPE
    if capture_output:
        options |= {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process: Popen[Any] = Popen(command, **options)
    with process:
        try:
            output, errors = process.communicate(input, timeout)
        except BaseException:
            process.kill()
            raise
    done = subprocess.CompletedProcess(command, process.wait(), output, errors)
    if check:
        done.check_returncode()
    return done


def spawn(command: Sequence[str], **options: Any) -> Any:
    """As `pexpect.spawn`, with a terminal of its own."""
    from tests.terminals import Terminal  # Windows has no pexpect

    program, *rest = command
    return Terminal(program, rest, **options)


async def execute(
    *command: str,
    stdin: int | None = None,
    stdout: int | None = None,
    stderr: int | None = None,
    limit: int = 2**16,
    **options: Any,
) -> Any:
    """As `asyncio.create_subprocess_exec`."""
    words = arguments_of(command)
    if words is None or not begins_like_ours(options.get("env")) or options.keys() - {"env", "cwd"}:
        return await asyncio.create_subprocess_exec(
            *command, stdin=stdin, stdout=stdout, stderr=stderr, limit=limit, **options
        )
    popen = Popen[bytes](command, bufsize=0, stdin=stdin, stdout=stdout, stderr=stderr, **options)
    return await AsyncProcess.of(popen, limit)


class AsyncProcess:
    """What tests use of `asyncio.subprocess.Process`."""

    def __init__(self, popen: Popen[bytes], limit: int) -> None:
        self.pid = popen.pid
        self.stdin: asyncio.StreamWriter | None = None
        self.stdout: asyncio.StreamReader | None = None
        self.stderr: asyncio.StreamReader | None = None
        self._popen = popen
        self._limit = limit
        self._transports: list[asyncio.BaseTransport] = []
        self._ended = asyncio.Event()

    @classmethod
    async def of(cls, popen: Popen[bytes], limit: int) -> AsyncProcess:
        process = cls(popen, limit)
        if popen.stdin is not None:
            process.stdin = await process._writer(popen.stdin)
        if popen.stdout is not None:
            process.stdout = await process._reader(popen.stdout)
        if popen.stderr is not None:
            process.stderr = await process._reader(popen.stderr)
        asyncio.get_running_loop().add_reader(popen.fileno(), process._end)
        return process

    @property
    def returncode(self) -> int | None:
        return self._popen.returncode

    def send_signal(self, number: int) -> None:
        if self.returncode is not None:
            raise ProcessLookupError
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(unix.SIGKILL)

    async def wait(self) -> int:
        await self._ended.wait()
        return self._popen.wait()

    async def communicate(self, data: bytes | None = None) -> tuple[bytes | None, bytes | None]:
        if self.stdin is not None:
            with suppress(BrokenPipeError, ConnectionResetError):
                self.stdin.write(data or b"")
                await self.stdin.drain()
            self.stdin.close()
        output, errors = await asyncio.gather(_rest(self.stdout), _rest(self.stderr))
        await self.wait()
        for transport in self._transports:
            transport.close()
        return output, errors

    def _end(self) -> None:
        asyncio.get_running_loop().remove_reader(self._popen.fileno())
        self._popen.wait()
        if self.stdin is not None:
            self.stdin.close()
        self._ended.set()

    async def _reader(self, pipe: IO[bytes]) -> asyncio.StreamReader:
        reader = asyncio.StreamReader(limit=self._limit)
        protocol = asyncio.StreamReaderProtocol(reader)
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_read_pipe(lambda: protocol, pipe)
        self._transports.append(transport)
        return reader

    async def _writer(self, pipe: IO[bytes]) -> asyncio.StreamWriter:
        loop = asyncio.get_running_loop()
        protocol = asyncio.StreamReaderProtocol(asyncio.StreamReader())
        transport, _ = await loop.connect_write_pipe(lambda: protocol, pipe)
        self._transports.append(transport)
        return asyncio.StreamWriter(transport, protocol, None, loop)


async def _rest(stream: asyncio.StreamReader | None) -> bytes | None:
    return None if stream is None else await stream.read()


class Fork:
    """A child of the server."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._lock = Lock()
        self._code: int | None = None
        self.pid: int = self._hear(None)["begin"]

    def wait(self, seconds: float | None = None) -> int:
        """The exit code. Raises TimeoutError."""
        with self._lock:
            if self._code is None:
                self._code = self._hear(seconds)["code"]
                self._line.close()
            return self._code

    def fileno(self) -> int:
        """Can be read when the child has ended."""
        return self._line.fileno()

    def _hear(self, seconds: float | None) -> dict[str, Any]:
        self._line.settimeout(seconds)
        try:
            data = self._line.recv(1024)
        except BlockingIOError:
            raise TimeoutError from None
        if not data:
            raise RuntimeError("the server of forks has ended")
        message: dict[str, Any] = json.loads(data)
        return message


@cache
def server() -> _Server:
    return _Server()


class _Server:
    def __init__(self) -> None:
        self._line, other = unix.socket_pair()
        self._network = _NETWORK.readlink()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.fork_server", str(other.fileno())],
            cwd=ROOT, env=environment(PYTHONPATH=PATHS), pass_fds=[other.fileno()],
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        other.close()
        atexit.register(self._end)

    @cached_property
    def address(self) -> str:
        """Where `tests/warm.py` finds it."""
        address: str = json.loads(self._line.recv(1024))["address"]
        return address

    def fork(
        self,
        arguments: Sequence[str],
        env: Mapping[str, str],
        streams: Sequence[int],
        *,
        cwd: str | os.PathLike[str] | None = None,
        session: bool = False,
        terminal: bool = False,
    ) -> Fork:
        """Forks a codexapi. Its child has these streams, which stay open here."""
        if sys.platform != "linux":
            raise NotImplementedError
        line, other = unix.socket_pair()
        order = {
            "arguments": list(arguments), "env": dict(env), "cwd": os.fspath(cwd or os.getcwd()),
            "session": session or terminal, "terminal": terminal,
        }  # fmt: skip
        with other, ExitStack() as stack:
            descriptors = [*streams, other.fileno()]
            if _NETWORK.readlink() != self._network:
                descriptors.append(stack.enter_context(_NETWORK.open("rb")).fileno())
            socket.send_fds(self._line, [json.dumps(order).encode()], descriptors)
        return Fork(line)

    def _end(self) -> None:
        self._line.close()
        self._process.wait()


PATHS = os.pathsep.join([environment()["PYTHONPATH"], str(ROOT)])
