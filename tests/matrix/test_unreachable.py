"""The fault matrix where there is no backend to talk to: refused, unknown, or not what it seems."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.cli.shell import run
from tests.faulty import FaultyBackend
from tests.http_server.doors import chat, distant_door
from tests.http_server.raw import post
from tests.logins import write_login
from tests.matrix.by_mcp import by_mcp
from tests.matrix.doors import HTTP_DOORS, LOGIN
from tests.matrix.faults import GOOD
from tests.ports import refusing_url

pytestmark = pytest.mark.timeout(120)

DOORS = {**HTTP_DOORS, "mcp": by_mcp}


@asynccontextmanager
async def refused() -> AsyncIterator[str]:
    with refusing_url() as url:
        yield url


@asynccontextmanager
async def unknown() -> AsyncIterator[str]:
    yield "https://nothing.invalid"  # RFC 6761: there is no such name, ever


@asynccontextmanager
async def not_tls() -> AsyncIterator[str]:
    """A port that answers a greeting in plain text."""

    def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 canary.example ESMTP\r\n")
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
        yield "https://127.0.0.1:{1}".format(*server.sockets[0].getsockname())


WAYS = {"refused": refused, "unknown": unknown, "not TLS": not_tls}


@pytest.mark.parametrize("way", WAYS)
async def test_a_backend_that_cannot_be_reached_is_told_at_every_door(way: str) -> None:
    async with WAYS[way]() as url:
        asked = (door(url, {"connect_timeout": 5.0}) for door in DOORS.values())
        cells = dict(zip(DOORS, await asyncio.gather(*asked), strict=True))
    for door, told in ((door, told) for door, both in cells.items() for told in both):
        code = "api_error" if "messages" in door else "upstream_unreachable"
        assert (told.text, told.finish, told.code) == ("", None, code), door
        assert told.status == (None if door == "mcp" else 502), door
        assert url.partition("://")[2].partition(":")[0] in told.raw, "the host is named"
        assert "canary" not in told.raw, door


@pytest.mark.parametrize("way", WAYS)
async def test_a_backend_that_cannot_be_reached_is_told_on_stderr(tmp_path: Path, way: str) -> None:
    write_login(tmp_path, LOGIN)
    async with WAYS[way]() as url:
        env = {"CODEX_HOME": str(tmp_path), "CODEXAPI_BASE_URL": url}
        done = await asyncio.to_thread(run, "chat", "-m", "m", "--no-stdin", "hi", env=env)
    assert (done.returncode, done.stdout) == (5, "")
    *_, last = done.stderr.splitlines()  # a foreign backend is warned of before
    assert last.startswith("codexapi: ")
    assert last.endswith(" (upstream_unreachable)")
    assert url.partition("://")[2].partition(":")[0] in last


async def test_a_backend_that_comes_back_is_used_again() -> None:
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    url = "http://127.0.0.1:{1}".format(*bound.getsockname())
    async with distant_door(url, LOGIN) as server:
        (await server.reply(post("/v1/chat/completions", chat()))).refused(
            502, "upstream_unreachable"
        )
        async with FaultyBackend(GOOD, sock=bound):
            assert (await server.reply(post("/v1/chat/completions", chat()))).status == 200
