"""A program that is told to end while it renews the login ends with the new one on the disk.

Real processes, and the signals that systems, terminals and service managers send.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests import forks
from tests.faulty import FaultyBackend, whole
from tests.logins import access_token, auth_json, write_login
from tests.mcp_server.test_stdio import READY, call
from tests.mcp_server.transports import HELLO
from tests.processes import codexapi, environment

if sys.platform == "win32":
    pytest.skip("Windows has no such signals", allow_module_level=True)

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT]
COMMANDS = {
    "chat": ("chat", "-m", "m", "hi"),
    "models": ("models",),
    "serve": ("serve", "--port", "0"),
    "mcp serve": ("mcp", "serve"),
}
TOKENS = whole(200, {"access_token": access_token(4e9), "refresh_token": "canary-refresh-new"})


@asynccontextmanager
async def renewing(
    home: Path, name: str, backend: FaultyBackend, *prefix: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process that has just sent its refresh token, and waits for the answer."""
    env = environment(
        CODEX_HOME=str(home), CODEXAPI_BASE_URL=backend.url,
        CODEX_REFRESH_TOKEN_URL_OVERRIDE=f"{backend.url}/oauth/token",
    )  # fmt: skip
    pipe = asyncio.subprocess.PIPE
    process = await forks.execute(
        *prefix, *codexapi(*COMMANDS[name]), env=env, stdin=pipe, stdout=pipe, stderr=pipe
    )
    asking = None
    try:
        assert process.stdin is not None
        assert process.stderr is not None
        if name == "mcp serve":
            for message in (HELLO, READY, call("list_models")):
                process.stdin.write(json.dumps(message).encode() + b"\n")
        elif name == "serve":
            address = (await process.stderr.readline()).decode().split()[-1]
            asking = asyncio.create_task(ask(address))
        else:
            process.stdin.close()
        await backend.until(lambda: bool(backend.requests))
        yield process
    finally:
        if asking is not None:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def ask(address: str) -> None:
    """One request of a client that waits for its answer."""
    host, _, port = address.removeprefix("http://").partition("/")[0].rpartition(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET /v1/models HTTP/1.1\r\nhost: {host}:{port}\r\n\r\n".encode())
    try:
        await asyncio.Event().wait()
    finally:
        writer.transport.abort()


@pytest.mark.parametrize("number", SIGNALS, ids=[number.name for number in SIGNALS])
@pytest.mark.parametrize("name", COMMANDS)
async def test_a_renewal_on_its_way_is_finished(
    tmp_path: Path, name: str, number: signal.Signals
) -> None:
    path = write_login(tmp_path, auth_json(exp=1, issued=None))
    answering = asyncio.Event()
    async with FaultyBackend([answering, TOKENS]) as backend:
        async with renewing(tmp_path, name, backend) as process:
            process.send_signal(number)
            answering.set()
            assert await process.wait() == 128 + number
    assert b"canary-refresh-new" in path.read_bytes()
    assert [name for name in os.listdir(tmp_path) if name.startswith(".auth")] == []
