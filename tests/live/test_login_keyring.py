"""The login in the real keyring of a Linux desktop, shared with the real Codex CLI.

A D-Bus session and a Secret Service of the test's own; the user's are not touched. Skipped where
the machine has neither.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from tests.downloads import Unavailable, had
from tests.faulty import FaultyBackend
from tests.live.test_login_beside_codex import CODEX_AT, CONFIG, Pair, World, codex_cli
from tests.logins import auth_json

from codexapi_engine.bounds import REFRESH_MARGIN
from codexapi_engine.login.keyring_store import account

__all__ = ["codex_cli"]  # a fixture
pytestmark = [pytest.mark.clients, pytest.mark.timeout(120)]

OURS = """
import asyncio
from codexapi_engine import Codex

async def main():
    async with Codex() as codex:
        await codex.plan()

asyncio.run(main())
"""

# Codex has made the entry by now; this puts another login into it.
PUT = """
import secretstorage, sys
bus = secretstorage.dbus_init()
(item,) = secretstorage.get_default_collection(bus).get_all_items()
item.set_secret(sys.stdin.buffer.read())
"""
SHOW = """
import json, secretstorage
bus = secretstorage.dbus_init()
items = list(secretstorage.get_default_collection(bus).get_all_items())
print(json.dumps([[item.get_attributes(), item.get_secret().decode()] for item in items]))
"""


@contextmanager
def desktop(home: Path) -> Iterator[dict[str, str]]:
    """A D-Bus session with an unlocked Secret Service; how programs reach it."""
    needed = ("dbus-daemon", "gnome-keyring-daemon")

    def look() -> None:
        if missing := [name for name in needed if shutil.which(name) is None]:
            raise Unavailable(f"{', '.join(missing)} is not installed")

    had("a Secret Service", look)
    run = home / "run"
    run.mkdir(mode=0o700)
    own = {"HOME": str(home), "XDG_RUNTIME_DIR": str(run), "XDG_DATA_HOME": str(home / "data")}
    started: list[subprocess.Popen[bytes]] = []
    try:
        bus = subprocess.Popen(
            ["dbus-daemon", "--session", "--nofork", "--print-address"],
            env={**os.environ, **own}, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        started.append(bus)
        assert bus.stdout is not None
        own["DBUS_SESSION_BUS_ADDRESS"] = bus.stdout.readline().decode().strip()
        keyring = subprocess.Popen(
            ["gnome-keyring-daemon", "--unlock", "--components=secrets", "--foreground"],
            env={**os.environ, **own}, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        started.append(keyring)
        assert keyring.stdin is not None
        assert keyring.stdout is not None
        keyring.stdin.write(b"password of nobody")
        keyring.stdin.close()
        keyring.stdout.readline()  # it says where it is when it is there
        yield own
    finally:
        for process in reversed(started):
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()


class KeyringPair(Pair):
    """The two programs with one login in the keyring; ours is a process of its own each time."""

    async def python(self, program: str, given: bytes = b"") -> str:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, env=self.env,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        told, wrong = await process.communicate(given)
        assert process.returncode == 0, wrong.decode()
        return told.decode()

    async def entry(self) -> tuple[dict[str, str], dict[str, str]]:
        """Attributes and tokens of the one entry that there is."""
        ((attributes, value),) = json.loads(await self.python(SHOW))
        return attributes, json.loads(value)["tokens"]


@asynccontextmanager
async def both(cli: Path, home: Path) -> AsyncIterator[tuple[World, KeyringPair]]:
    world = World()
    codex_home = home / "codex"
    codex_home.mkdir()
    more = 'cli_auth_credentials_store = "keyring"'
    async with FaultyBackend(otherwise=[world]) as backend:
        (codex_home / "config.toml").write_text(CONFIG.format(url=backend.url, more=more))
        with desktop(home) as own:
            pair = KeyringPair(cli, codex_home, backend.url, own)
            async with pair.ours:
                yield world, pair


async def test_two_programs_share_one_login_in_the_keyring(codex_cli: Path, tmp_path: Path) -> None:
    async with both(codex_cli, tmp_path) as (world, pair):
        # The entry is made by Codex itself, as that is what we have to find and to change.
        await pair.codex("login", "--with-api-key", given=b"sk-canary")
        login = auth_json(exp=time.time() + REFRESH_MARGIN / 2, issued=time.time() - 3600)
        await pair.python(PUT, login)

        world.lifetime["us"] = CODEX_AT - 10
        await pair.python(OURS)
        attributes, tokens = await pair.entry()
        assert world.granted == ["us"]
        assert (attributes["service"], attributes["username"]) == ("Codex Auth", account(pair.home))
        assert attributes["application"] == "rust-keyring", "it is still the entry of Codex"
        assert tokens["refresh_token"] == world.good == "canary-refresh-1"

        assert await pair.codex_exec() == 0, pair.told.decode()
        assert world.granted == ["us", "codex"], "it found our pair, and renewed it in its turn"
        await pair.python(OURS)
        _, tokens = await pair.entry()
        assert tokens["refresh_token"] == world.good == "canary-refresh-2"
        assert world.bearers[-1] == ("us", tokens["access_token"])
        assert world.reused == []
        assert not (pair.home / "auth.json").exists()
