"""Runs a server process: one socket, one event loop, signals, and a graceful shutdown."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import logging
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Any

from codexapi_engine.ending import ending_signals, signals_later
from codexapi_engine.listeners import listener
from codexapi_engine.settings import OLLAMA_PORT

from ..logs import announce
from ._uvicorn import uvicorn
from .uvicorn_protocol import Connection, Deadlines

LAST_WORDS = 0.25
"""Seconds to say that the server is going down, before connections are cut."""

TICK = 1.0
"""Seconds for which a Date header may be the same."""

PORT_IN_USE = 8
"""The exit code where the port belongs to someone else."""


class Process(uvicorn.Server):
    """uvicorn with signals of our own: its own handling waits for ever for an open stream.

    `ready` is called with the URL once clients can connect; `stop` when the first signal comes,
    and again, with True, when the time to end is over.
    """

    def __init__(
        self,
        app: Any,
        *,
        ready: Callable[[str], Awaitable[None]],
        stop: Callable[[bool], None] = lambda now: None,
        drain: float = 0.0,
        deadlines: Deadlines | None = None,
    ) -> None:
        connection: Any = functools.partial(Connection, deadlines=deadlines)
        self._ending = asyncio.Event()
        super().__init__(
            uvicorn.Config(
                app,
                http=connection,
                ws="none",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,  # no proxy is trusted
                timeout_keep_alive=60,
            )
        )
        self._ready = ready
        self._stop = stop
        self._drain = drain
        self._signal = 0

    async def run_on(self, *listening: socket.socket) -> int:
        """Serves until a signal comes; returns the exit code."""
        await self.serve(sockets=list(listening))
        return 128 + self._signal if self._signal else 0

    @property
    def should_exit(self) -> bool:
        return self._ending.is_set()

    @should_exit.setter
    def should_exit(self, value: bool) -> None:
        """Of the loop's own thread."""
        if value:
            self._ending.set()
        else:
            self._ending.clear()

    async def main_loop(self) -> None:
        """uvicorn's own looks ten times a second whether it should end: an idle machine would not
        come to rest, and an end would have to wait for the next look."""
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TICK):
                    await self._ending.wait()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in ending_signals():
            try:
                loop.add_signal_handler(number, self._on_signal, number)
            except NotImplementedError:  # Windows
                signal.signal(number, lambda n, _: loop.call_soon_threadsafe(self._on_signal, n))
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if sockets and not self.should_exit:
            await self._ready(url_of(sockets[0]))

    def _on_signal(self, number: int) -> None:
        """The first signal drains, the second ends."""
        if self._signal:
            self._stop_now()
            return
        self._signal, self.should_exit = number, True
        self._stop(False)
        loop = asyncio.get_running_loop()
        # Not at once: idle connections have been asked to close, and need no time.
        loop.call_later(min(LAST_WORDS, self._drain) / 2, self._tell_of_end)
        loop.call_later(self._drain, self._stop_now)

    def _tell_of_end(self) -> None:
        """Logs what the shutdown waits for, so that it does not look like a hang."""
        if (running := len(self.server_state.tasks)) == 0:
            return
        streams = f"{running} stream" + ("s have" if running > 1 else " has")
        again = "; Ctrl-C again ends it now" if self._signal == signal.SIGINT else ""
        announce(f"ending: {streams} {self._drain:g} s{again}", level=logging.INFO)

    def _stop_now(self) -> None:
        self._stop(True)
        self._hear(len(self.server_state.tasks))

    def _hear(self, running: int) -> None:
        """Aborts when no more requests end: a thousand streams take longer to end than one."""

        def cut() -> None:
            left = len(self.server_state.tasks)
            self._hear(left) if 0 < left < running else self._close_connections()

        asyncio.get_running_loop().call_later(LAST_WORDS, cut)

    def _close_connections(self) -> None:
        """Ends what has not ended by itself: a client that reads nothing, half a request.

        Cut off, a request ends as if its client had left. What does not even then is abandoned.
        """
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        asyncio.get_running_loop().call_later(LAST_WORDS, setattr, self, "force_exit", True)


def run(
    work: Coroutine[Any, Any, int],
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> int:
    """Runs a server to its end. Ctrl-C before its own handler is there leaves nothing half done."""
    runner = asyncio.Runner(loop_factory=loop_factory)
    try:
        with signals_later():
            runner.get_loop()
        with runner:
            return runner.run(work)
    finally:
        work.close()


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol by name: asyncio sends small writes at once (TCP_NODELAY) on no socket that does
    # not say that it is TCP, and every answer would wait 40 ms for the other side's ACK.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if sys.platform != "win32":
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(2048)
    except BaseException:
        listening.close()
        raise
    return listening


def cannot_listen(host: str, port: int, error: OSError) -> str:
    """Why there is no listening socket, and who has the port where that can be seen."""
    in_use = error.errno == errno.EADDRINUSE
    who = listener(port) if in_use else None
    other = "choose another --port"
    if in_use and port == OLLAMA_PORT:
        other = (
            "this is Ollama's port: quit Ollama (`systemctl stop ollama` where it is a service), or "
            "start without it and enter codexapi's own address in the program"
        )
    return f"{host}:{port}: {error.strerror}{f' by {who}' if who else ''}; {other}"


def url_of(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
