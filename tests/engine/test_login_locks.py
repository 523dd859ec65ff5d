"""Where a login is, and who has its lock."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest
from tests import unix
from tests.engine.login_homes import FIRST, NEW, held, let_others_reach, mere_user, saved
from tests.logins import auth_json, jwt, write_login
from tests.virtual_time import hurried

from codexapi_engine.bounds import LOGIN_LOCK_WAIT
from codexapi_engine.errors import NotLoggedIn, RefreshUnavailable
from codexapi_engine.login.file_store import (
    COMMIT_WAIT,
    CodexFile,
)
from codexapi_engine.login.keyring_store import Keyring, KeyringOrFile
from codexapi_engine.login.location import store_of
from codexapi_engine.login.store import InMemory, MissingStore
from codexapi_engine.protocol.secret import Secret
from codexapi_engine.settings import Settings

if sys.platform == "win32":
    pytest.skip("users, modes and locks of Unix", allow_module_level=True)

# Where the login is


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        (None, CodexFile),
        ("", CodexFile),
        ('model = "m"', CodexFile),
        ('cli_auth_credentials_store = "file"', CodexFile),
        ('cli_auth_credentials_store = "keyring"', Keyring),
        ('cli_auth_credentials_store = "auto"', KeyringOrFile),
        ('cli_auth_credentials_store = "ephemeral"', MissingStore),
        ("cli_auth_credentials_store = [", CodexFile),
        ("cli_auth_credentials_store = 5", CodexFile),
        ('# cli_auth_credentials_store = "keyring"', CodexFile),
        ('[other]\ncli_auth_credentials_store = "keyring"', CodexFile),
    ],
)
def test_codex_own_setting_tells_where_the_login_is(
    tmp_path: Path, config: str | None, kind: type
) -> None:
    if config is not None:
        (tmp_path / "config.toml").write_text(config)
    assert type(store_of(Settings(codex_home=tmp_path))) is kind


async def test_a_login_that_codex_keeps_to_itself_is_told_as_such(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('cli_auth_credentials_store = "ephemeral"')
    with pytest.raises(NotLoggedIn, match="cli_auth_credentials_store"):
        await store_of(Settings(codex_home=tmp_path)).load()


async def test_a_token_of_the_environment_goes_before_every_store(tmp_path: Path) -> None:
    write_login(tmp_path, auth_json())
    (tmp_path / "config.toml").write_text('cli_auth_credentials_store = "ephemeral"')
    chosen = Settings(codex_home=tmp_path, access_token=Secret("at-canary"))
    login = (await store_of(chosen).load()).credentials
    assert (login.access_token, login.personal) == (Secret("at-canary"), True)


async def test_a_token_of_the_environment_that_will_not_do_is_told_when_it_is_needed() -> None:
    agent = Secret(jwt({"agent_private_key": "canary"}))
    store = store_of(Settings(access_token=agent))
    for _ in range(2):
        with pytest.raises(NotLoggedIn, match="agent identity"):
            await store.load()


# Locks


def test_a_lock_that_is_there_is_taken_where_none_can_be_made(tmp_path: Path) -> None:
    (tmp_path / "auth.lock").touch(mode=0o644)
    tmp_path.chmod(0o555)

    async def story() -> None:
        let_others_reach(tmp_path / "auth.lock")
        with held(tmp_path / "auth.lock"), mere_user():
            with pytest.raises(RefreshUnavailable):
                async with CodexFile(tmp_path).lock():
                    pytest.fail("two programs may not refresh at once")

    try:
        hurried(story())
    finally:
        tmp_path.chmod(0o755)


def is_held(path: Path) -> bool:
    if not path.exists():
        return False
    descriptor = os.open(path, os.O_RDWR)
    try:
        unix.lock(descriptor)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def test_the_refresh_lock_is_held_inside_and_free_after_even_when_it_fails(tmp_path: Path) -> None:
    async def story() -> None:
        store, path = CodexFile(tmp_path), tmp_path / "auth.lock"

        async def fails() -> None:
            async with store.lock():
                assert is_held(path)
                assert not is_held(tmp_path / "auth.json.lock")
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await fails()
        assert not is_held(path)

    hurried(story())


def test_the_refresh_lock_of_another_program_is_waited_for(tmp_path: Path) -> None:
    async def story() -> float:
        loop = asyncio.get_running_loop()
        with held(tmp_path / "auth.lock") as let_go:
            loop.call_later(3.0, let_go)
            async with CodexFile(tmp_path).lock():
                return loop.time()

    assert 3.0 <= hurried(story()) < 3.1


def test_a_refresh_lock_that_is_never_let_go_is_told(tmp_path: Path) -> None:
    async def story() -> None:
        with held(tmp_path / "auth.lock"):
            with pytest.raises(RefreshUnavailable, match=r"auth\.lock"):
                async with CodexFile(tmp_path).lock():
                    pytest.fail("two programs may not refresh at once")
            assert LOGIN_LOCK_WAIT <= asyncio.get_running_loop().time() < LOGIN_LOCK_WAIT + 0.1

    hurried(story())


def test_one_who_stops_waiting_for_a_lock_does_not_hold_it_later(tmp_path: Path) -> None:
    async def story() -> None:
        store = CodexFile(tmp_path)

        async def wait() -> None:
            async with store.lock():
                pytest.fail("the lock belongs to another")

        with held(tmp_path / "auth.lock"):
            waiting = asyncio.create_task(wait())
            await asyncio.sleep(1)
            waiting.cancel()
            await asyncio.wait({waiting})
        assert not is_held(tmp_path / "auth.lock")

    hurried(story())


def test_two_stores_of_one_process_exclude_each_other(tmp_path: Path) -> None:
    async def story() -> None:
        inside: list[int] = []

        async def refresh() -> None:
            async with CodexFile(tmp_path).lock():
                inside.append(1)
                assert len(inside) == 1
                await asyncio.sleep(1)
                inside.pop()

        await asyncio.gather(*(refresh() for _ in range(4)))

    hurried(story())


def test_where_auth_lock_cannot_be_made_ours_exclude_each_other_all_the_same(
    tmp_path: Path,
) -> None:
    """Found by a storm: the login's folder was read-only while two processes came to their lock,
    and was not when they asked whether a new login could be saved. Both sent its refresh token."""
    home, state = tmp_path / "home", tmp_path / "state"
    (home / "auth.lock").mkdir(parents=True)
    write_login(home, auth_json())
    one, other = (CodexFile(home, state_dir=state) for _ in range(2))

    async def story() -> None:
        async with one.lock():
            with pytest.raises(RefreshUnavailable):
                async with other.lock():
                    pass
            await one.check_writable()
        async with other.lock():
            (home / "auth.lock").rmdir()  # so that a third may hold it by now
            with pytest.raises(OSError, match=r"auth\.lock"):
                await other.check_writable()
        async with other.lock():
            await other.check_writable()

    hurried(story())


def test_the_file_is_replaced_only_under_its_own_lock(tmp_path: Path) -> None:
    async def story() -> None:
        loop, path = asyncio.get_running_loop(), write_login(tmp_path, auth_json())
        with held(tmp_path / "auth.json.lock") as let_go:
            saving = asyncio.create_task(CodexFile(tmp_path).save(NEW, FIRST))
            await asyncio.sleep(COMMIT_WAIT - 1)
            assert path.read_bytes() == auth_json()
            let_go()
            await saving
        assert path.read_bytes() == NEW
        assert loop.time() < COMMIT_WAIT

    hurried(story())


def test_a_commit_lock_that_is_never_let_go_does_not_lose_the_new_pair(tmp_path: Path) -> None:
    path = write_login(tmp_path, auth_json())
    with held(tmp_path / "auth.json.lock"):
        saved(tmp_path, NEW)
    assert path.read_bytes() == NEW


async def test_a_login_in_memory_is_saved_to_memory() -> None:
    store = InMemory(auth_json())
    assert (await store.load()).data == auth_json()
    async with store.lock():
        await store.save(NEW, FIRST)
    assert (await store.load()).data == NEW
