"""Processes that share one `auth.json`: a refresh token is good once, and losing it is a logout."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.faulty import Exchange, FaultyBackend, Script, TokenEndpoint, by_path, whole
from tests.logins import access_token, auth_json, write_login

from codexapi_engine.bounds import REFRESH_MARGIN

PAST = 1_000_000_000.0
EXP = 4_000_000_000.0
OLD, NEW = access_token(PAST), access_token(EXP, "1")

# Says when it holds the old login, waits for a line, and then sends eight requests at once.
SERVER_LIKE = """
import asyncio, sys
from codexapi_engine.client import Codex

async def main():
    async with Codex() as codex:
        print((await codex.credentials()).access_token.reveal(), flush=True)
        sys.stdin.readline()
        await asyncio.gather(*(codex.plan() for _ in range(8)))
        print((await codex.credentials()).access_token.reveal(), flush=True)

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
    count: int, env: dict[str, str], program: str = SERVER_LIKE, *arguments: str
) -> AsyncIterator[list[asyncio.subprocess.Process]]:
    pipe = asyncio.subprocess.PIPE
    started: list[asyncio.subprocess.Process] = []
    try:
        for _ in range(count):
            started.append(
                await asyncio.create_subprocess_exec(
                    sys.executable, "-c", program, *arguments, env=env, stdin=pipe, stdout=pipe
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


async def test_a_token_that_a_killed_process_has_sent_is_sent_by_no_other(
    tmp_path: Path,
) -> None:
    """Its lock dies with it; that it had sent the token was on the disk before. The login works
    again as soon as the official client, or its user, has put another in its place."""
    write_login(tmp_path, auth_json(exp=PAST, issued=PAST - 86400))
    never = asyncio.Event()
    endpoint = TokenEndpoint(exp=EXP)
    async with FaultyBackend(otherwise=both([[never], [endpoint]])) as backend:
        env = environment(backend, tmp_path)
        async with processes(3, env) as (first, second, third):
            for process in (first, second, third):
                assert await line(process) == OLD
            go(first)
            await backend.until(lambda: len(backend.requests) == 1)
            go(second)
            first.kill()
            assert await second.wait() != 0
            assert len(backend.requests) == 1
            endpoint.good = "canary-refresh-other"
            again = auth_json(exp=PAST, issued=PAST - 86400, refresh=endpoint.good)
            write_login(tmp_path, again)
            go(third)
            assert await line(third) == NEW
    assert (endpoint.granted, endpoint.refused) == (1, 0)


# Round after round

# One round for each line: the seconds that its clock is ahead. Tells when it begins, and the token
# that it ends with.
RUNNER = """
import asyncio, sys, time
from codexapi_engine.client import Codex

async def main():
    ahead = 0.0
    async with Codex(clock=lambda: time.time() + ahead) as codex:
        await codex.credentials()
        print("ready", flush=True)
        for line in sys.stdin:
            ahead = float(line)
            print("begun", flush=True)
            await asyncio.gather(*(codex.plan() for _ in range(2)))
            print((await codex.credentials()).access_token.reveal(), flush=True)

asyncio.run(main())
"""

# Reads the file as fast as it can, and tells how often, and how often it was no login.
READER = """
import json, select, sys
reads = broken = 0
while not select.select([sys.stdin], [], [], 0)[0]:
    reads += 1
    try:
        with open(sys.argv[1], "rb") as file:
            assert json.loads(file.read())["tokens"]["refresh_token"]
    except Exception:
        broken += 1
print(reads, broken)
"""


class Issuer:
    """A backend and a token endpoint: each access token is good until it is `outdated`."""

    def __init__(self) -> None:
        self.tokens = TokenEndpoint(before=self._wait, after=self._granted)
        self.good = OLD
        self.all_begun = asyncio.Event()
        self.refreshes = 0  # requests to the token endpoint

    async def _wait(self, exchange: Exchange) -> None:
        self.refreshes += 1
        await exchange.wait(self.all_begun)

    async def _granted(self, exchange: Exchange) -> None:
        self.good = access_token(self.tokens.exp, str(self.tokens.granted))

    async def __call__(self, exchange: Exchange) -> None:
        if exchange.request.target == "/oauth/token":
            await self.tokens(exchange)
            return
        good = exchange.request.headers["authorization"] == f"Bearer {self.good}"
        await exchange.send(whole(200 if good else 401, {}))


@pytest.mark.parametrize(("count", "rounds"), [(4, 6), pytest.param(8, 50, marks=pytest.mark.long)])
@pytest.mark.timeout(300)
async def test_processes_that_share_a_login_for_long_make_one_renewal_in_each_round(
    tmp_path: Path, count: int, rounds: int
) -> None:
    """By turns the token runs out, and is refused before its time. Meanwhile somebody reads."""
    now = time.time()
    path = write_login(
        tmp_path, auth_json(exp=now + REFRESH_MARGIN, issued=now - 3600, access=None, mark="0")
    )
    issuer = Issuer()
    issuer.good = access_token(now + REFRESH_MARGIN, "0")
    async with FaultyBackend(otherwise=[issuer]) as backend:
        env = environment(backend, tmp_path)
        async with (
            processes(count, env, RUNNER) as started,
            processes(1, env, READER, str(path)) as (reader,),
        ):
            assert {await line(process) for process in started} == {"ready"}
            for number in range(rounds):
                ahead = number // 2 * 7200
                if number % 2 == 0:  # since the last round its time has run out
                    issuer.tokens.exp = now + ahead + 3600
                else:
                    issuer.good = "none"
                issuer.all_begun.clear()
                for process in started:
                    tell(process, str(ahead))
                assert {await line(process) for process in started} == {"begun"}
                issuer.all_begun.set()
                assert {await line(process) for process in started} == {issuer.good}
                assert (issuer.tokens.granted, issuer.tokens.refused) == (number + 1, 0)
                assert refresh_token(path) == issuer.tokens.good
            tell(reader, "enough")
            reads, broken = map(int, (await line(reader)).split())
    print(f"\n{count} processes, {rounds} rounds: {issuer.refreshes} refreshes, {reads} reads")
    assert issuer.refreshes == rounds
    assert reads > rounds
    assert broken == 0
    assert names(tmp_path) == {"auth.json", "auth.lock", "auth.json.lock"}


def tell(process: asyncio.subprocess.Process, text: str) -> None:
    assert process.stdin is not None
    process.stdin.write(f"{text}\n".encode())
