"""`codexapi stop`: stops a server that runs on this machine."""

from __future__ import annotations

import os
import signal
import socket
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from codexapi_engine.bounds import STOP_TIMEOUT

from ..parser.options import ServerPort, command
from ..servers.registry import Server, has_ended, running
from ..settings import settings
from ..terminal.output import FAILED, Problem, ending, say

LAST = 5.0
"""Seconds after a second signal, which cuts them."""

app = command()


EXAMPLES = """
# Stop the server that runs
$ codexapi stop

# Stop one of several, or all of them
$ codexapi stop --port 18081
$ codexapi stop --all
"""


@app.command(epilog=EXAMPLES)
def stop(
    port: ServerPort = None,
    all_: Annotated[bool, typer.Option("--all", help="Stop all servers")] = False,
) -> None:  # fmt: skip
    """Stop a server that runs on this machine, and wait until it has ended.

    Requests in progress get some seconds to finish. If no server runs, that is no error.
    """
    state_dir = settings().state_dir
    with ending():
        chosen = _chosen(running(state_dir), port, all_)
        if not chosen:
            say(f"codexapi: no server runs{'' if port is None else f' on port {port}'}")
        for server in chosen:
            _stop_server(state_dir, server)
            say(f"codexapi: stopped {server.url or server.port}")


def _chosen(found: list[Server], port: int | None, all_: bool) -> list[Server]:
    """Raises Problem where it is not clear which."""
    if port is not None:
        return [server for server in found if server.port == port]
    if len(found) > 1 and not all_:
        ports = ", ".join(str(server.port) for server in found)
        raise Problem(f"servers run on the ports {ports}: name one with --port, or say --all")
    return found


def _stop_server(state_dir: Path, server: Server) -> None:
    """Raises Problem if it goes on."""
    if server.host != socket.gethostname():
        raise Problem(f"port {server.port}: its server runs on {server.host}, not here", FAILED)
    for timeout in (STOP_TIMEOUT, LAST):
        try:
            # On Windows this ends it at once.
            with suppress(ProcessLookupError):
                os.kill(server.pid, signal.SIGTERM)
        except OSError as error:
            raise Problem(f"{server}: {error.strerror}", FAILED) from None
        if has_ended(state_dir, server, timeout):
            return
    raise Problem(f"{server} does not end; `kill -9 {server.pid}` would", FAILED)
