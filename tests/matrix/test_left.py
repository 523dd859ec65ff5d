"""Clients that leave, by every way out, at every door: the backend is left with them.

`tests/http_server/test_leaving.py` has the moments of an HTTP request; here are the ways.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests import forks
from tests.faulty import HOLD, FaultyBackend, Script, chunk, endless, head
from tests.http_server.doors import chat, distant_door, responses
from tests.http_server.raw import get, post
from tests.logins import write_login
from tests.matrix.by_mcp import mcp_client
from tests.matrix.doors import LOGIN, completion
from tests.matrix.faults import UNTIL, begun, encoded
from tests.processes import codexapi, environment

pytestmark = pytest.mark.timeout(60)

MOMENTS: dict[str, Script] = {
    "before the head": [HOLD],
    "within the head": [head()[:30], HOLD],
    "before the first event": [head(), HOLD],
    "within the first event": [head(), chunk(UNTIL[0][:20]), HOLD],
    "before the first word": [head(), chunk(UNTIL[0]), HOLD],
    "in the middle": [head(), *map(chunk, UNTIL), HOLD],
    "in a flood": [head(), *map(chunk, UNTIL), endless(chunk(encoded(begun("x" * 999))[-1]))],
}
SAYS_SOMETHING = ("in the middle", "in a flood")
PATHS: dict[str, tuple[str, Callable[..., dict[str, Any]]]] = {
    "chat": ("/v1/chat/completions", chat),
    "responses": ("/v1/responses", responses),
    "completions": ("/v1/completions", completion),
}


def reset(writer: asyncio.StreamWriter) -> None:
    linger = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.close()


def close(writer: asyncio.StreamWriter) -> None:
    writer.close()


def half_close(writer: asyncio.StreamWriter) -> None:
    """Says that it sends nothing more, and is still there: for HTTP/1.1, that is to leave."""
    writer.write_eof()


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("leave", [reset, close, half_close])
async def test_whoever_leaves_an_http_request_leaves_the_backend(
    leave: Callable[[asyncio.StreamWriter], None], moment: str
) -> None:
    async def one(port: int, path: str, body: dict[str, Any]) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(post(path, body))
        if moment in SAYS_SOMETHING and body["stream"]:
            await reader.readuntil(b"All is")
        else:
            await backend.until(lambda: len(backend.requests) == 2 * len(PATHS))
        leave(writer)
        await backend.until(lambda: not backend.open)
        writer.close()

    async with FaultyBackend(otherwise=MOMENTS[moment]) as backend:
        async with distant_door(backend.url, LOGIN) as server:
            await asyncio.gather(
                *(
                    one(server.port, path, body(stream=streamed))
                    for path, body in PATHS.values()
                    for streamed in (True, False)
                )
            )
            assert (await server.reply(get("/healthz"))).status == 200
    assert len(backend.requests) == 2 * len(PATHS), "and nobody was asked again"


@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_cancelled_tool_call_leaves_the_backend(moment: str) -> None:
    async with FaultyBackend(otherwise=MOMENTS[moment]) as backend:
        async with mcp_client(backend.url, {}) as client:
            asked = client.call_tool("generate_text", {"prompt": "hi"})
            call = asyncio.create_task(asked)
            await backend.until(lambda: bool(backend.requests))
            assert backend.open
            call.cancel()
            await asyncio.wait({call})
            await backend.until(lambda: not backend.open)
            assert len((await client.list_tools()).tools) > 1
    assert len(backend.requests) == 1


@pytest.mark.parametrize("moment", ["before the head", "in the middle"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_a_signal_at_the_command_line_leaves_the_backend(
    tmp_path: Path, number: int, code: int, moment: str
) -> None:
    write_login(tmp_path, LOGIN)
    async with FaultyBackend(otherwise=MOMENTS[moment]) as backend:
        env = environment(CODEX_HOME=str(tmp_path), CODEXAPI_BASE_URL=backend.url)
        process = await forks.execute(
            *codexapi("chat", "-m", "m", "--no-stdin", "hi"), env=env,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            assert process.stdout is not None
            said = b""
            if moment in SAYS_SOMETHING:
                said = await process.stdout.readexactly(len("All is"))
            await backend.until(lambda: bool(backend.requests))
            process.send_signal(number)
            out, complained = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
        await backend.until(lambda: not backend.open)
    assert (process.returncode, complained) == (code, b"")
    assert said + out == (b"All is\n" if said else b"")
