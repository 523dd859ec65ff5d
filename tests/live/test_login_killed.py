"""kill -9 at any moment of a refresh: real processes, a real disk, and whoever comes next."""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from tests import unix
from tests.faulty import Exchange, FaultyBackend, TokenEndpoint, whole
from tests.logins import auth_json, write_login
from tests.processes import environment

SEED = int(os.environ.get("CODEXAPI_SEED", "1"))

# Forks a process for each line, which asks the backend something; tells its number, and at its end
# the way it went. Everything is imported by then: a fork begins at once.
NURSERY = """
import asyncio, os, sys
from codexapi_engine import Codex, CodexError

async def main():
    async with Codex() as codex:
        await codex.plan()

async def warm():
    async with Codex():
        pass

asyncio.run(warm())
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        try:
            asyncio.run(main())
        except CodexError:
            os._exit(1)
        os._exit(0)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Issuer:
    """A token endpoint that is as strict as the real one, and a backend that is content."""

    def __init__(self) -> None:
        self.tokens = TokenEndpoint()
        self.answered = asyncio.Event()

    async def __call__(self, exchange: Exchange) -> None:
        if exchange.request.target == "/oauth/token":
            await self.tokens(exchange)
            self.answered.set()
        else:
            await exchange.send(whole(200, {}))


class Nursery:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def begin(self) -> int:
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        return int(await self._line())

    async def end(self) -> int:
        return int(await self._line())

    async def _line(self) -> bytes:
        assert self._process.stdout is not None
        return await self._process.stdout.readline()


@asynccontextmanager
async def nursery(env: dict[str, str]) -> AsyncIterator[Nursery]:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", NURSERY, env=env, stdin=pipe, stdout=pipe
    )
    try:
        yield Nursery(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@pytest.mark.parametrize("rounds", [40, pytest.param(300, marks=pytest.mark.long)])
@pytest.mark.timeout(300)
async def test_a_refresh_that_is_killed_leaves_a_good_file_and_nothing_else(
    tmp_path: Path, rounds: int
) -> None:
    """After each kill the file is whole: the old login, or the new one. The next process puts in
    its place what was whole and not yet there, removes what was not, and goes on; the login is over
    only where the answer had not reached the disk."""
    dice, outcomes = random.Random(SEED), Counter[str]()
    issuer = Issuer()
    async with FaultyBackend(otherwise=[issuer]) as backend:
        env = environment(
            CODEX_HOME=str(tmp_path), CODEXAPI_BASE_URL=backend.url,
            CODEX_REFRESH_TOKEN_URL_OVERRIDE=f"{backend.url}/oauth/token",
        )  # fmt: skip
        async with nursery(env) as processes:
            for number in range(rounds):
                first = f"canary-refresh-of-round-{number}"
                path = write_login(tmp_path, auth_json(exp=1, issued=None, refresh=first, x=[1]))
                issuer.tokens.good = first
                issuer.answered.clear()
                child = await processes.begin()
                await issuer.answered.wait()
                until = time.perf_counter() + dice.uniform(0, 0.008)
                while time.perf_counter() < until:
                    pass  # a sleep would be as long as the whole save
                with suppress(ProcessLookupError):
                    os.kill(child, unix.SIGKILL)
                code = await processes.end()
                found, left = json.loads(path.read_bytes()), temporary(tmp_path)
                assert found["x"] == [1]
                token = found["tokens"]["refresh_token"]
                assert token in (first, issuer.tokens.good)
                saved = token != first
                survived = False
                if saved or left:  # else the answer was lost with the process
                    refused = issuer.tokens.refused
                    await processes.begin()
                    survived = await processes.end() == 0
                    token = json.loads(path.read_bytes())["tokens"]["refresh_token"]
                    assert token == (issuer.tokens.good if survived else first)
                    assert survived or not saved
                    assert not survived or issuer.tokens.refused == refused, "a spent one was sent"
                assert temporary(tmp_path) == []
                outcomes[outcome(code, saved, left, survived)] += 1
                (tmp_path / ".auth.json.codexapi-spent").unlink(missing_ok=True)
    print(f"\n{rounds} kills (seed {SEED}): {dict(outcomes)}")
    assert outcomes.total() == rounds


def temporary(home: Path) -> list[Path]:
    return [file for file in home.iterdir() if file.suffix == ".tmp"]


def outcome(code: int, saved: bool, left: list[Path], survived: bool) -> str:
    if code == 0:
        return "had ended"
    if saved:
        return "killed after the file was in place"
    if left:
        return "half a file left, swept" if not survived else "a whole file left, put in place"
    return "killed before the file was written"
