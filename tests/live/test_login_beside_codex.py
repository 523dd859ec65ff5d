"""One login, two programs: ours beside the real Codex CLI, which rotates it too.

The token endpoint is as strict as the real one: a refresh token is good once. Nothing but loopback
is talked to, once the CLI is installed.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.codex_cli import NEWEST, official_client
from tests.contract.test_codex_cli import NOWHERE
from tests.faulty import REUSED, Exchange, FaultyBackend, head, whole
from tests.logins import ACCOUNT, access_token, auth_json, write_login
from tests.processes import environment
from tests.wire_files import wire

from codexapi_engine import Codex, Settings
from codexapi_engine.bounds import REFRESH_MARGIN

pytestmark = [pytest.mark.clients, pytest.mark.timeout(600)]

ROUNDS = int(os.environ.get("CODEXAPI_ROUNDS", "50"))
CODEX_AT, WE_AT = 300, REFRESH_MARGIN
"""Seconds before expiry at which each of the two renews."""

CONFIG = """
model = "gpt-5.5"
model_provider = "fake"
chatgpt_base_url = "{url}/backend-api"
{more}
[model_providers.fake]
name = "fake"
base_url = "{url}/v1"
wire_api = "responses"
requires_openai_auth = true

[analytics]
enabled = false

[features]
apps = false
plugins = false
"""


class World:
    """What both programs talk to: a backend that is content with everything but spent tokens, and
    the token endpoint. Tells who did what."""

    def __init__(self) -> None:
        self.good = "canary-refresh-first"
        self.lifetime = {"codex": 3600.0, "us": 3600.0}  # of the tokens that each gets
        self.granted: list[str] = []  # to whom
        self.reused: list[str] = []  # by whom
        self.bearers: list[tuple[str, str]] = []  # who, and with what
        self.before: dict[str, asyncio.Event] = {}  # waited for before a token is looked at
        self.after: dict[str, asyncio.Event] = {}  # waited for before the answer
        self.spent = {"codex": asyncio.Event(), "us": asyncio.Event()}
        self.refused = {"codex": asyncio.Event(), "us": asyncio.Event()}

    async def __call__(self, exchange: Exchange) -> None:
        request = exchange.request
        who = "us" if request.headers.get("originator") == "codexapi" else "codex"
        path = request.target.partition("?")[0]
        if path == "/oauth/token":
            await self._redeem(exchange, who, request.json["refresh_token"])
            return
        if "authorization" in request.headers:
            self.bearers.append((who, request.headers["authorization"].removeprefix("Bearer ")))
        if path == "/v1/responses":
            await exchange.send(head(connection="close"))
            data = wire("minimal_for_codex_exec")
            await exchange.send(b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data))
        elif path.endswith("/accounts/check"):
            await exchange.send(whole(200, CHECKED))
        elif path == "/api/codex/usage":
            await exchange.send(whole(200, {}))
        else:
            await exchange.send(whole(404, {}))

    async def _redeem(self, exchange: Exchange, who: str, token: str) -> None:
        if who in self.before:
            await exchange.wait(self.before[who])
        if token != self.good:
            self.reused.append(who)
            self.refused[who].set()
            await exchange.send(whole(401, REUSED))
            return
        self.granted.append(who)
        number = len(self.granted)
        self.good = f"canary-refresh-{number}"
        access = access_token(time.time() + self.lifetime[who], str(number))
        self.spent[who].set()
        if who in self.after:
            await exchange.wait(self.after[who])
        await exchange.send(whole(200, {"access_token": access, "refresh_token": self.good}))


CHECKED = {
    "accounts": [
        {
            "id": ACCOUNT, "account_user_id": "user-1", "structure": "personal", "plan_type": "pro",
            "name": None, "workspace_backend_origin": "NO_CONSTRAINT",
            "account_routing_override": "NO_CONSTRAINT",
        }
    ],
    "account_ordering": [ACCOUNT],
    "default_account_id": ACCOUNT,
}  # fmt: skip


@pytest.fixture(scope="module")
def codex_cli() -> Path:
    return official_client(NEWEST)


class Pair:
    """The two programs, and the folder that they share."""

    def __init__(
        self, cli: Path, home: Path, url: str, env: Mapping[str, str] | None = None
    ) -> None:
        self.home = home
        self.ahead = 0.0  # what our clock says more than Codex's: time in which Codex rests
        self.ours = Codex(
            Settings(codex_home=home, base_url=url, token_url=f"{url}/oauth/token"),
            clock=lambda: time.time() + self.ahead,
        )
        self._cli = cli
        own = {
            "HOME": str(home), "CODEX_HOME": str(home), "CODEXAPI_BASE_URL": url,
            "CODEX_REFRESH_TOKEN_URL_OVERRIDE": f"{url}/oauth/token",
            "HTTP_PROXY": NOWHERE, "HTTPS_PROXY": NOWHERE, "NO_PROXY": "127.0.0.1",
        }  # fmt: skip
        self.env = environment(**{**own, **(env or {})})
        self.told = b""

    async def codex_exec(self) -> int:
        return await self.codex("exec", "--skip-git-repo-check", "--sandbox", "read-only", "hi")

    async def codex(self, *arguments: str, given: bytes = b"") -> int:
        process = await asyncio.create_subprocess_exec(
            str(self._cli), *arguments, cwd=self.home, env=self.env, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            self.told, _ = await process.communicate(given)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return process.returncode or 0

    def tokens(self) -> dict[str, str]:
        found: dict[str, str] = json.loads((self.home / "auth.json").read_bytes())["tokens"]
        return found


@asynccontextmanager
async def both(cli: Path, home: Path, login: bytes) -> AsyncIterator[tuple[World, Pair]]:
    world = World()
    async with FaultyBackend(otherwise=[world]) as backend:
        (home / "config.toml").write_text(CONFIG.format(url=backend.url, more=""))
        write_login(home, login)
        pair = Pair(cli, home, backend.url)
        async with pair.ours:
            yield world, pair


async def asking(pair: Pair, until: asyncio.Task[int]) -> int:
    """Asks the backend something again and again, as long as the other program runs."""
    count = 0
    while not until.done():
        await pair.ours.plan()
        count += 1
        await asyncio.wait({until}, timeout=0.02)
    return count


async def test_beside_a_running_codex_no_refresh_token_is_spent_twice(
    codex_cli: Path, tmp_path: Path
) -> None:
    """In each round Codex finds a token that is in its window and not in ours, while we ask all the
    time. After every fifth one Codex rests, minutes pass for us, and the turn is ours."""
    first = auth_json(exp=time.time() + CODEX_AT - 10, issued=time.time() - 3600)
    asked = 0
    async with both(codex_cli, tmp_path, first) as (world, pair):
        # What Codex gets must outlast its window by a run, or it renews it without end.
        world.lifetime = {"codex": CODEX_AT + 3, "us": CODEX_AT - 1}
        failed = 0
        for number in range(ROUNDS):
            before = len(world.granted)
            running = asyncio.create_task(pair.codex_exec())
            asked += await asking(pair, running)
            failed += await running != 0  # for reasons of its own, but for this one:
            assert b"efresh token" not in pair.told, pair.told.decode()
            assert set(world.granted[before:]) == {"codex"}
            if number % 5 == 4:
                before = len(world.granted)
                pair.ahead = CODEX_AT - WE_AT + 10
                await asyncio.gather(*(pair.ours.plan() for _ in range(8)))
                pair.ahead = 0
                assert world.granted[before:] == ["us"]
            await aged(pair)
        print(
            f"\n{ROUNDS} rounds: {world.granted.count('codex')} refreshes by Codex, "
            f"{world.granted.count('us')} by us, {asked} requests of ours beside it, "
            f"{len(world.reused)} reused, {failed} runs of Codex failed otherwise"
        )
        assert world.reused == []
        assert pair.tokens()["refresh_token"] == world.good


async def aged(pair: Pair) -> None:
    """Waits for the token to come into Codex's window."""
    expires = (await pair.ours.credentials()).expires_at
    assert expires is not None
    await asyncio.sleep(max(0, expires - time.time() - CODEX_AT))


async def test_a_collision_that_codex_wins_ends_with_its_pair(
    codex_cli: Path, tmp_path: Path
) -> None:
    login = auth_json(exp=time.time() + REFRESH_MARGIN / 2, issued=time.time() - 3600)
    async with both(codex_cli, tmp_path, login) as (world, pair):
        # Codex's request comes first, and its answer after ours has been refused.
        world.before["us"] = world.spent["codex"]
        world.after["codex"] = world.refused["us"]
        running = asyncio.create_task(pair.codex_exec())
        await world.spent["codex"].wait()
        await asyncio.gather(*(pair.ours.plan() for _ in range(8)))
        assert await running == 0, pair.told.decode()
        assert (world.granted, world.reused) == (["codex"], ["us"])
        assert pair.tokens()["refresh_token"] == world.good == "canary-refresh-1"
        of_codex = pair.tokens()["access_token"]
        # Its last seconds would have done for us too, had the new pair not come.
        assert [bearer for who, bearer in world.bearers if who == "us"] == [of_codex] * 8


async def test_a_collision_that_we_win_leaves_our_pair_whatever_codex_does(
    codex_cli: Path, tmp_path: Path
) -> None:
    """How Codex ends is its own affair; it has no lock while it sends."""
    login = auth_json(exp=time.time() + REFRESH_MARGIN / 2, issued=time.time() - 3600)
    async with both(codex_cli, tmp_path, login) as (world, pair):
        world.before["codex"] = world.spent["us"]
        world.after["us"] = world.refused["codex"]
        running = asyncio.create_task(pair.codex_exec())
        ours = asyncio.create_task(pair.ours.plan())
        code = await running
        await ours
        print(f"\nCodex, having lost: exit {code}, then {world.reused.count('codex')} refused")
        assert world.granted[0] == "us"
        assert "us" not in world.reused
        assert pair.tokens()["refresh_token"] == world.good
        await pair.ours.plan()
        assert await pair.codex_exec() == 0, pair.told.decode()
