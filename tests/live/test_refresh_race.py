"""Processes that share one `auth.json`: a refresh token is good once, and losing it is a logout."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.faulty import FaultyBackend, Script, TokenEndpoint, by_path, whole
from tests.logins import access_token, auth_json, write_login

PAST = 1_000_000_000.0
EXP = 4_000_000_000.0
OLD, NEW = access_token(PAST), access_token(EXP, "1")

# Says when it holds the old login, waits for a line, and then sends eight requests at once.
SERVER_LIKE = """
import asyncio, sys
from codexapi_engine.client import Codex

async def main():
    async with Codex() as codex:
        print((await codex.credentials()).access_token, flush=True)
        sys.stdin.readline()
        await asyncio.gather(*(codex.plan() for _ in range(8)))
        print((await codex.credentials()).access_token, flush=True)

asyncio.run(main())
"""


def both(tokens: list[Script]) -> Script:
    """A token endpoint, and a backend that is content with everything."""
    return [by_path({"/oauth/token": tokens, "/api/codex/usage": [[whole(200, {})]]})]


def environment(backend: FaultyBackend, home: Path) -> dict[str, str]:
    return {
        "PYTHONPATH": os.pathsep.join(sys.path),
        "CODEX_HOME": str(home),
        "CODEXAPI_BASE_URL": backend.url,
        "CODEX_REFRESH_TOKEN_URL_OVERRIDE": f"{backend.url}/oauth/token",
    }


def refresh_token(path: Path) -> str:
    return str(json.loads(path.read_bytes())["tokens"]["refresh_token"])


def names(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()}


@asynccontextmanager
async def processes(
    count: int, env: dict[str, str]
) -> AsyncIterator[list[asyncio.subprocess.Process]]:
    pipe = asyncio.subprocess.PIPE
    started: list[asyncio.subprocess.Process] = []
    try:
        for _ in range(count):
            started.append(
                await asyncio.create_subprocess_exec(
                    sys.executable, "-c", SERVER_LIKE, env=env, stdin=pipe, stdout=pipe
                )
            )
        yield started
    finally:
        for process in started:
            if process.returncode is None:
                process.kill()
            await process.communicate()


async def line(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    return (await process.stdout.readline()).decode().strip()


def go(process: asyncio.subprocess.Process) -> None:
    assert process.stdin is not None
    process.stdin.write(b"go\n")


@pytest.mark.parametrize("count", [2, 5])
async def test_processes_with_one_expired_login_make_one_renewal(
    tmp_path: Path, count: int
) -> None:
    path = write_login(tmp_path, auth_json(exp=PAST, issued=PAST - 86400))
    all_started = asyncio.Event()
    endpoint = TokenEndpoint(exp=EXP, before=all_started)
    async with FaultyBackend(otherwise=both([[endpoint]])) as backend:
        env = environment(backend, tmp_path)
        async with processes(count, env) as started:
            assert {await line(process) for process in started} == {OLD}
            for process in started:
                go(process)
            # One has asked; the others have all read the old login and come to the lock meanwhile.
            await backend.until(lambda: len(backend.requests) == 1)
            all_started.set()
            assert {await line(process) for process in started} == {NEW}
            assert {await process.wait() for process in started} == {0}
        bearers = [r.headers["authorization"] for r in backend.requests if r.method == "GET"]
    assert (endpoint.granted, endpoint.refused) == (1, 0)
    assert bearers == [f"Bearer {NEW}"] * (8 * count)
    assert refresh_token(path) == endpoint.good
    assert names(tmp_path) == {
        "auth.json", "auth.lock", "auth.json.lock",
    }  # fmt: skip


async def test_a_process_that_is_killed_while_it_renews_leaves_the_others_a_way(
    tmp_path: Path,
) -> None:
    """Its lock dies with it. Its refresh token was not spent, as the endpoint never answered."""
    write_login(tmp_path, auth_json(exp=PAST, issued=PAST - 86400))
    never = asyncio.Event()
    endpoint = TokenEndpoint(exp=EXP)
    async with FaultyBackend(otherwise=both([[never], [endpoint]])) as backend:
        env = environment(backend, tmp_path)
        async with processes(2, env) as (first, second):
            assert await line(first) == await line(second) == OLD
            go(first)
            await backend.until(lambda: len(backend.requests) == 1)
            go(second)
            first.kill()
            assert await line(second) == NEW
    assert (endpoint.granted, endpoint.refused) == (1, 0)
