"""Processes of codexapi at the price of a fork: one that has imported everything forks the others.

    python -m tests.storm.nursery NUMBER [adopt]   a socket's descriptor

Each message is a JSON object with three descriptors, for stdin, stdout and stderr. A child does
from there what an interpreter of its own would do: it gets signals, writes, and ends by itself. A
child that is `fresh` is an interpreter of its own. With `adopt`, processes that have left their
parents are children too, whose end is told.
"""

from __future__ import annotations

import ctypes
import faulthandler
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import suppress

from tests.processes import codexapi

MODULES = (
    "codexapi_cli.app", "codexapi_cli.commands.chat", "codexapi_cli.commands.serve", "codexapi_cli.commands.history",
    "codexapi_cli.commands.image", "codexapi_cli.commands.models", "codexapi_cli.commands.status", "codexapi_cli.commands.setup",
    "codexapi_cli.commands.doctor", "codexapi_cli.checks", "codexapi_cli.commands.mcp_install", "codexapi_cli.commands.sh",
    "codexapi_cli.terminal.markdown", "codexapi_http", "codexapi_http.app", "codexapi_mcp",
    "codexapi_mcp.server", "tomlkit", "keyring", "uvloop", "sqlite3", "yaml", "PIL.Image",
)  # fmt: skip
MOST = 64 * 1024
PR_SET_CHILD_SUBREAPER = 36
CLOCK = "CODEXAPI_STORM_CLOCK"
"""Names the file that says how many seconds our clock is ahead."""

SIGNALS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT}


def serve(line: socket.socket) -> None:
    """Returns in a child alone, which is then a codexapi with arguments of its own."""
    children: set[int] = set()
    while True:
        readable, _, _ = select.select([line], [], [], 0.01)
        if readable:
            data, descriptors, _, _ = socket.recv_fds(line, MOST, 3)
            if not data:
                break
            signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
            child = os.fork()
            if child == 0:
                line.close()
                _become(json.loads(data), descriptors)
                return  # the signals come when codexapi begins
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
            for descriptor in descriptors:
                os.close(descriptor)
            children.add(child)
            line.send(json.dumps({"begin": child}).encode())
        for pid, status in _ended():
            children.discard(pid)
            code = os.waitstatus_to_exitcode(status)
            line.send(json.dumps({"pid": pid, "code": code}).encode())
    for child in children:
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    os._exit(0)


def _ended() -> Iterator[tuple[int, int]]:
    with suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            yield ended


def _adopt_orphans() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _become(order: dict[str, object], descriptors: list[int]) -> None:
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    renew_streams()
    environ, arguments = order["env"], order["arguments"]
    assert isinstance(environ, dict)
    assert isinstance(arguments, list)
    os.environ.clear()
    os.environ.update(environ)
    os.chdir(str(order.get("cwd", os.curdir)))
    if order["fresh"]:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        command = codexapi(*arguments)
        os.execv(command[0], command)
    sys.argv = ["codexapi", *arguments]
    faulthandler.register(signal.SIGUSR1)  # where it is, on stderr: for one that does not end


def renew_streams() -> None:
    """Ours were made for other files, and know whether those could seek."""
    sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(
        2, "w", encoding="utf-8", errors="backslashreplace", closefd=False, buffering=1
    )


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
    line = socket.socket(fileno=int(sys.argv[1]))
    line.send(b"{}")
    serve(line)
    from codexapi_cli.__main__ import main as program

    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    except KeyboardInterrupt:
        sys.exit(130)
    program()


if __name__ == "__main__":
    main()
