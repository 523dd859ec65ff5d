"""Runs the server on stdin and stdout, as editors start it.

Stdout belongs to the protocol: only the SDK writes to it.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from codexapi_engine.bounds import MCP_LINGER
from codexapi_engine.ending import ending_signals

from .detach import detach
from .options import Options

if TYPE_CHECKING:
    from types import TracebackType

    from codexapi_engine import Settings

    from .runtime import Runtime
    from .server import Server


CAN_COPY = sys.platform == "linux"
"""Elsewhere the open connections of a process do not survive a copy of it."""

ON_A_TERMINAL = (
    "codexapi: this is an MCP server, which waits for JSON-RPC on stdin: editors start it. "
    "`codexapi mcp install CLIENT` registers it with one, and Ctrl-C ends it."
)
"""For a person who has typed the command."""


def serve(settings: Settings, options: Options | None = None) -> int:
    """Serves until stdin ends or a signal comes; returns the exit code."""

    if sys.stdin is not None and sys.stdin.isatty() and sys.stderr is not None:
        print(ON_A_TERMINAL, file=sys.stderr, flush=True)

    def made() -> Server:
        # The SDK's thousand models are built on the way, and what is made stays: the collector
        # would go through all of it again and again, a tenth of the time to the first answer.
        gc.disable()
        from .server import create_server

        server = create_server(settings=settings, options=options)
        gc.freeze()
        gc.enable()
        return server

    return run(made)


def run(made: Callable[[], Server]) -> int:
    """Serves what `made` gives. A signal ends the process from the first moment on."""
    leave = _Leave()
    for number in ending_signals():
        signal.signal(number, leave)
    quiet_logging()
    try:
        leave.server = made()
        leave.server.linger = MCP_LINGER
        leave.server.run("stdio")
    except* (BrokenPipeError, ConnectionResetError):
        pass  # the editor has closed the pipe
    return 0


def quiet_logging() -> None:
    """Warnings to stderr, without a word that a caller sent.

    Before the SDK does it: its own handler draws boxed tracebacks into the editor's log.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Discreet("codexapi: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])


class _Discreet(logging.Formatter):
    """Where an exception came from, and not what it says: that may hold a prompt."""

    def formatException(
        self,
        ei: tuple[type[BaseException], BaseException, TracebackType | None]
        | tuple[None, None, None],
    ) -> str:
        from .failures import where

        return where(ei[1]) if ei[1] is not None else ""


class _Leave:
    """What a signal does: it ends the process, and with it all calls. But a picture that is being
    made is saved first, for it is paid for, and a login that is being renewed, for its refresh
    token is spent; the same signal again does not wait.

    A signal after the end of stdin, or another one after the first, is what clients send before
    they kill: then a copy of the process finishes the pictures.
    """

    def __init__(self) -> None:
        self.server: Server | None = None
        self._settling: asyncio.Task[None] | None = None
        self._detaching: asyncio.Task[None] | None = None
        self._signals: list[int] = []

    def __call__(self, number: int, _: FrameType | None) -> None:
        runtime = self.server.runtime if self.server is not None else None
        if runtime is None or self.server is None:
            _exit(number)
        loop = asyncio.get_running_loop()
        if runtime.is_lingering and number not in self._signals and CAN_COPY:
            self._detaching = loop.create_task(_detach(self.server, number))
        elif self._settling is not None:
            _exit(number)
        self._signals.append(number)
        if self._settling is None:
            self._settling = loop.create_task(self._settle(runtime, number))
        loop.call_soon_threadsafe(lambda: None)  # it sleeps, and would not see the task

    async def _settle(self, runtime: Runtime, number: int) -> None:
        try:
            await runtime.settle(MCP_LINGER)
        finally:
            _exit(number)


async def _detach(server: Server, number: int) -> None:
    logging.getLogger("codexapi.mcp").warning("a copy of this process saves the picture")
    sys.stderr.flush()
    if server.workers is not None:
        await detach(server.workers, server.wire, 128 + number)


def _exit(number: int) -> NoReturn:
    # The SDK's reader blocks in a thread that nothing can cancel.
    sys.stderr.flush()
    os._exit(128 + number)
