"""Runs a backend of ours, such as the simulated one, in a server process."""

from __future__ import annotations

from collections.abc import Callable

from codexapi_engine.simulator.asgi import Backend, app

from .logs import announce
from .server.process import PORT_IN_USE, Process, cannot_listen, listen, run


def serve_backend(backend: Backend, port: int, ready: Callable[[str], None]) -> int:
    """Serves until a signal comes; returns the exit code. `ready` is called with its URL."""
    try:
        listening = listen("127.0.0.1", port)
    except OSError as error:
        announce(cannot_listen("127.0.0.1", port, error))
        return PORT_IN_USE

    async def tell(url: str) -> None:
        ready(url)

    process = Process(app(backend), ready=tell)
    return run(process.run_on(listening))
