"""A server of forks: a process that has imported codexapi, and forks commands of it.

    python -m tests.fork_server NUMBER [adopt]   a socket's descriptor

An order is a JSON object with descriptors: stdin, stdout, stderr, and, where it has them, the socket
that hears of this command, and the network and the mounts that it runs in. An answer is its process
id, and later its exit code; without such a socket both are written to the socket of the orders. A
child does from there what an interpreter of its own would do: it gets signals, writes, and ends by
itself. A child that is `fresh` is an interpreter of its own. With `adopt`, processes that have left
their parents are children too.

Others give one order on a connection of their own, at the address that the first message has: a
program of a shell, and a program that one of ours starts (`tests/warm.py`).
"""

from __future__ import annotations

import asyncio
import atexit
import ctypes
import faulthandler
import fcntl
import gc
import importlib
import io
import json
import os
import select
import shutil
import signal
import socket
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

from tests import warm
from tests.loopback import enter
from tests.processes import codexapi

if sys.platform == "win32":
    raise ImportError("no forks here")

MODULES = (
    "codexapi_cli.app", "codexapi_cli.commands.chat", "codexapi_cli.commands.serve",
    "codexapi_cli.commands.history", "codexapi_cli.commands.image", "codexapi_cli.commands.models",
    "codexapi_cli.commands.status", "codexapi_cli.commands.setup", "codexapi_cli.commands.doctor",
    "codexapi_cli.checks", "codexapi_cli.commands.mcp_install", "codexapi_cli.commands.sh",
    "codexapi_cli.commands.mcp_serve", "codexapi_cli.commands.simulate",
    "codexapi_cli.commands.completion", "codexapi_cli.commands.mcp", "codexapi_cli.commands.mcp_doctor",
    "codexapi_cli.commands.mcp_list", "codexapi_cli.conversation.interactive",
    "codexapi_cli.integrations.edits.jsonc", "codexapi_cli.integrations.edits.toml",
    "codexapi_cli.integrations.edits.yaml", "codexapi_cli.parser.plain", "codexapi_cli.parser.remembering",
    "codexapi_cli.conversation.line_editor", "codexapi_cli.terminal.markdown", "codexapi_http",
    "codexapi_http.app", "codexapi_http.simulate", "codexapi_mcp", "codexapi_mcp.server", "tomlkit",
    "keyring",
    "codexapi_engine.images.batch", "codexapi_http.routes.models", "uvicorn.lifespan.on", "typer._click.decorators",
    "encodings.idna", "encodings.utf_8_sig", "importlib.readers",
    "uvloop", "sqlite3", "yaml", "PIL.Image", "PIL.PngImagePlugin", "PIL.JpegImagePlugin",
    "PIL.WebPImagePlugin",
)  # fmt: skip
MOST = 64 * 1024
PR_SET_CHILD_SUBREAPER = 36
CLOCK = "CODEXAPI_STORM_CLOCK"
"""Names the file that says how many seconds our clock is ahead."""

SIGNALS: set[signal.Signals] = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT}


class Server:
    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._children: dict[int, socket.socket] = {}
        self._guests: dict[socket.socket, int] = {}
        self._door = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._folder = tempfile.mkdtemp(prefix="forks-")
        self.address = f"{self._folder}/door"  # an abstract address would be of one network alone
        self._door.bind(self.address)
        self._door.listen(64)
        self._wake, self._waker = socket.socketpair()
        self._wake.setblocking(False)
        self._waker.setblocking(False)

    def serve(self) -> str:
        """Returns in a child alone, which is then a codexapi with arguments of its own; or it runs
        the code that is returned, as `python -c` would."""
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)
        self._line.send(json.dumps({"address": self.address}).encode())
        while True:
            places = [self._line, self._wake, self._door, *self._guests]
            readable, _, _ = select.select(places, [], [])
            if self._wake in readable:
                self._wake.recv(MOST)
            self._reap()
            for guest in self._guests.keys() & readable:  # killed: so is what it stands for
                os.kill(self._guests.pop(guest), signal.SIGKILL)
            if self._door in readable and (order := self._welcome()):
                return str(order["code"])
            if self._line in readable:
                data, descriptors = b"", list[int]()
                with suppress(ConnectionResetError):  # who started us has left an answer unread
                    data, descriptors, _, _ = socket.recv_fds(self._line, MOST, 5)
                if not data:
                    break
                if self._fork(json.loads(data), descriptors) == 0:
                    return ""  # the signals come when codexapi begins
        for child in self._children:
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        shutil.rmtree(self._folder, ignore_errors=True)
        os._exit(0)

    def _welcome(self) -> dict[str, object] | None:
        """The order, in the child that has it."""
        guest, _ = self._door.accept()
        data, descriptors, _, _ = socket.recv_fds(guest, MOST, 5)
        if not data:  # it has been killed before it could say what it wants
            guest.close()
            return None
        order: dict[str, object] = json.loads(data)
        child = self._fork(order, [*descriptors[:3], guest.detach(), *descriptors[3:]])
        if child == 0:
            return order
        self._guests[self._children[child]] = child
        return None

    def _fork(self, order: dict[str, object], descriptors: list[int]) -> int:
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        child = os.fork()
        if child == 0:
            self._leave()
            _become(order, descriptors)
            return 0
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        for descriptor in descriptors[:3] + descriptors[4:]:
            os.close(descriptor)
        listener = socket.socket(fileno=descriptors[3]) if descriptors[3:] else self._line
        self._children[child] = listener
        _tell(listener, {"begin": child})
        return child

    def _reap(self) -> None:
        for pid, status in _ended():
            listener = self._children.pop(pid, self._line)
            self._guests.pop(listener, None)
            _tell(listener, {"pid": pid, "code": os.waitstatus_to_exitcode(status)})
            if listener is not self._line:
                listener.close()

    def _leave(self) -> None:
        """A child has none of what its server has open."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for owned in {self._line, self._door, self._wake, self._waker, *self._children.values()}:
            owned.close()


def _ended() -> Iterator[tuple[int, int]]:
    with suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            yield ended


def _adopt_orphans() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _tell(listener: socket.socket, message: dict[str, int]) -> None:
    with suppress(BrokenPipeError, ConnectionResetError):  # nobody waits for that command
        listener.send(json.dumps(message).encode())


def _become(order: dict[str, object], descriptors: list[int]) -> None:
    own = {os.stat(f"/proc/self/ns/{name}").st_ino for name in ("net", "mnt")}
    for place in descriptors[4:]:
        if os.fstat(place).st_ino not in own:
            enter(place)
    for descriptor in descriptors[3:]:
        os.close(descriptor)
    for number, descriptor in enumerate(descriptors[:3]):
        os.dup2(descriptor, number)
        os.close(descriptor)
    if order.get("session"):
        os.setsid()
    if order.get("terminal"):
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    environ, arguments = order["env"], order["arguments"]
    assert isinstance(environ, dict)
    assert isinstance(arguments, list)
    os.environ.clear()
    os.environ.update(environ)
    renew_streams()
    os.chdir(str(order.get("cwd", os.curdir)))
    if order.get("fresh"):
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        command = codexapi(*arguments)
        os.execv(command[0], command)
    sys.argv = ["-c" if order.get("code") else "codexapi", *arguments]
    faulthandler.register(signal.SIGUSR1)  # where it is, on stderr: for one that does not end


def _start_others_by(address: str) -> None:
    """A codexapi that this one starts (`doctor` does) is a fork too."""
    start = asyncio.create_subprocess_exec
    head = [sys.executable, "-P", "-m", "codexapi_cli"]

    async def start_warm(*command: str, **options: Any) -> asyncio.subprocess.Process:
        if list(command[: len(head)]) == head:
            command = (*warm.command(address, *command[len(head) :]),)
        return await start(*command, **options)

    asyncio.create_subprocess_exec = start_warm  # type: ignore[assignment]


def renew_streams() -> None:
    """Ours were made for other files and variables, and know whether those could seek."""
    encoding = os.environ.get("PYTHONIOENCODING", "utf-8")
    unbuffered = bool(os.environ.get("PYTHONUNBUFFERED"))
    sys.stdin = os.fdopen(0, encoding=encoding, closefd=False)
    sys.stdout = _writer(1, encoding, "strict", unbuffered)
    sys.stderr = _writer(2, encoding, "backslashreplace", unbuffered)


def _writer(number: int, encoding: str, errors: str, unbuffered: bool) -> io.TextIOWrapper:
    raw = os.fdopen(number, "wb", buffering=0 if unbuffered else -1, closefd=False)
    lines = number == 2 or os.isatty(number)
    return io.TextIOWrapper(raw, encoding, errors, line_buffering=lines, write_through=unbuffered)


def heed_signals() -> None:
    """A driver in the background ignores some signals, and codexapi would honour that."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _let_the_clock_jump() -> None:
    """Before anything of ours is imported: some of it takes the clock as a default."""
    real = time.time

    def now() -> float:
        try:
            with open(os.environ[CLOCK], encoding="ascii") as file:
                return real() + float(file.read() or 0)
        except (KeyError, OSError, ValueError):
            return real()

    time.time = now


def load() -> None:
    """Imports what the commands need, so that a fork need not."""
    for module in MODULES:
        with suppress(ImportError):  # uvloop, where there is none
            importlib.import_module(module)
    gc.collect()
    gc.freeze()


def main() -> None:
    _let_the_clock_jump()
    heed_signals()
    load()
    if sys.argv[2:] == ["adopt"]:
        _adopt_orphans()
    server = Server(socket.socket(fileno=int(sys.argv[1])))
    code = server.serve()
    from codexapi_cli.__main__ import main as program

    if not code:
        _start_others_by(server.address)
    else:
        program = partial(exec, compile(code, "<string>", "exec"), {"__name__": "__main__"})

    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    except KeyboardInterrupt:
        sys.exit(130)
    _run(program)


def _run(program: Callable[[], None]) -> None:
    """Ends at once where all is well: an interpreter that takes itself apart writes to all of its
    memory, which is the server's until then."""
    try:
        program()
    except SystemExit as end:
        if not isinstance(end.code, int | None):
            raise
        code = end.code or 0
    else:
        code = 0
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None and not stream.closed:
                stream.flush()
    except (OSError, ValueError):
        sys.exit(code)  # the interpreter says what it says of streams that do not take their rest
    os._exit(code & 0xFF)


if __name__ == "__main__":
    main()
