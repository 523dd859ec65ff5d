"""What may stand where a login is, and when it is read again."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable
from mmap import mmap
from pathlib import Path
from typing import Any

import pytest
from tests.engine.login_homes import FIRST, NEW, directory, let_others_reach, loaded, mere_user
from tests.logins import ACCOUNT, auth_json, write_login
from tests.virtual_time import hurried

from codexapi_engine.errors import NotLoggedIn
from codexapi_engine.login.file_store import (
    PARTIAL_WRITE,
    CodexFile,
)
from codexapi_engine.protocol.secret import Secret

if sys.platform == "win32":
    pytest.skip("users, modes and locks of Unix", allow_module_level=True)


def tokens(**changed: object) -> bytes:
    """An auth.json with some of its tokens replaced."""
    content = json.loads(auth_json())
    return json.dumps({**content, "tokens": {**content["tokens"], **changed}}).encode()


# What may stand there


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "auth_file_invalid"),
        (auth_json()[:300], "auth_file_invalid"),
        (b"not JSON", "auth_file_invalid"),
        (b"[" * 100_000, "auth_file_invalid"),
        (b"[]", "auth_file_invalid"),
        (b"null", "auth_file_invalid"),
        (auth_json().replace(b"RS256", b"\xff\xfe").replace(b"chatgpt", b"\xff"),
         "auth_file_invalid"),
        (auth_json(account="line\r\nbreak"), "auth_file_invalid"),
        (tokens(access_token="a\r\nb"), "auth_file_invalid"),
        (tokens(access_token="schlüssel"), "auth_file_invalid"),
        (tokens(refresh_token="a\x00b"), "auth_file_invalid"),
        (b"{}", "no_chatgpt_tokens"),
        (auth_json(tokens=None), "no_chatgpt_tokens"),
        (auth_json(tokens=[]), "no_chatgpt_tokens"),
        (tokens(access_token=None), "no_chatgpt_tokens"),
        (tokens(access_token=""), "no_chatgpt_tokens"),
        (tokens(access_token=5), "no_chatgpt_tokens"),
        (auth_json(auth_mode="apikey"), "no_chatgpt_tokens"),
        (b'{"OPENAI_API_KEY":"sk-canary"}', "no_chatgpt_tokens"),
        (b'{"OPENAI_API_KEY":null,"personal_access_token":""}', "no_chatgpt_tokens"),
        (b'{"personal_access_token":"at-canary\\n"}', "auth_file_invalid"),
        (auth_json(auth_mode="agentIdentity"), "no_chatgpt_tokens"),
        (auth_json(padding="x" * 1_000_000), "auth_file_unreadable"),
    ],
)  # fmt: skip
def test_a_login_we_cannot_use_is_told_by_its_code_and_the_way_out(
    tmp_path: Path, data: bytes, code: str
) -> None:
    write_login(tmp_path, data)

    async def story() -> bool:
        with pytest.raises(NotLoggedIn) as raised:
            await CodexFile(tmp_path).load()
        told.append(raised.value)
        return asyncio.get_running_loop().time() > 0

    told: list[NotLoggedIn] = []
    waited, error = hurried(story()), told[0]
    assert (error.code, error.status) == (code, 401)
    assert waited == (code == "auth_file_invalid"), "only what may be half written is waited for"
    assert "codex login" in str(error)
    assert "canary" not in str(error)


def test_a_login_that_we_may_not_read_is_told_as_such(tmp_path: Path) -> None:
    write_login(tmp_path, auth_json()).chmod(0)
    let_others_reach(tmp_path / "auth.json")
    with mere_user():
        assert (tmp_path / "auth.json").exists()
        with pytest.raises(NotLoggedIn, match="denied") as told:
            loaded(tmp_path)
    assert told.value.code == "auth_file_unreadable"


def fifo(path: Path) -> None:
    os.mkfifo(path)


def loop_of_links(path: Path) -> None:
    path.symlink_to(path)


@pytest.mark.parametrize("make", [directory, fifo, loop_of_links])
def test_what_is_no_readable_file_is_told_as_such(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    make(tmp_path / "auth.json")
    before = len(os.listdir("/dev/fd")) if os.path.isdir("/dev/fd") else 0
    for _ in range(2):
        with pytest.raises(NotLoggedIn) as told:
            loaded(tmp_path)
        assert told.value.code == "auth_file_unreadable"
        assert str(tmp_path / "auth.json") in str(told.value)
    assert (len(os.listdir("/dev/fd")) if before else 0) == before


@pytest.mark.parametrize("home", ["nothing", "nothing/at/all"])
def test_a_missing_login_is_told_with_its_place(tmp_path: Path, home: str) -> None:
    with pytest.raises(NotLoggedIn) as told:
        loaded(tmp_path / home)
    assert told.value.code == "auth_file_not_found"
    assert str(tmp_path / home / "auth.json") in str(told.value)


def test_a_codex_home_that_is_a_file_is_unreadable(tmp_path: Path) -> None:
    (tmp_path / "home").touch()
    with pytest.raises(NotLoggedIn) as told:
        loaded(tmp_path / "home")
    assert told.value.code == "auth_file_unreadable"


@pytest.mark.parametrize(
    "data",
    [
        auth_json(),
        b"\xef\xbb\xbf" + auth_json(),
        auth_json(auth_mode=None),
        auth_json(OPENAI_API_KEY="sk-canary"),
        auth_json(access="an-opaque-token"),
        auth_json(issued=None),
        auth_json(refresh=None),
        auth_json(refresh="", auth_mode="chatgptAuthTokens"),
        tokens(account_id=None),
        tokens(id_token="no JWT"),
        auth_json(agent_identity="x", unknown={"a": [1]}),
    ],
)
def test_a_login_of_any_good_form_is_taken(tmp_path: Path, data: bytes) -> None:
    write_login(tmp_path, data)
    login = loaded(tmp_path)
    assert login.data == data
    assert login.credentials.account_id == ACCOUNT


@pytest.mark.parametrize(
    ("mode", "warnings"), [(0o600, 0), (0o400, 0), (0o640, 1), (0o644, 1), (0o602, 1)]
)
async def test_a_login_that_others_can_reach_is_taken_and_warned_of_once(
    tmp_path: Path, mode: int, warnings: int, caplog: pytest.LogCaptureFixture
) -> None:
    write_login(tmp_path, auth_json()).chmod(mode)
    store = CodexFile(tmp_path)
    for _ in range(3):
        assert (await store.load()).credentials.account_id == ACCOUNT
    assert caplog.text.count("chmod 600") == warnings
    assert caplog.text.count(str(tmp_path / "auth.json")) == warnings
    await CodexFile(tmp_path, windows=True).load()
    assert caplog.text.count("chmod 600") == warnings, "modes say nothing there"


def test_a_linked_login_is_taken(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    write_login(tmp_path / "real", auth_json())
    (tmp_path / "auth.json").symlink_to(tmp_path / "real" / "auth.json")
    assert loaded(tmp_path).credentials.account_id == ACCOUNT


def test_no_token_is_in_the_repr_of_a_login(tmp_path: Path) -> None:
    write_login(tmp_path, auth_json(access="canary-access"))
    assert "canary" not in repr(loaded(tmp_path))


# Read again when it changes, and only then


async def test_a_changed_login_is_seen_at_once_and_an_unchanged_one_is_the_same_object(
    tmp_path: Path,
) -> None:
    later = time.time() + 1
    store = CodexFile(tmp_path, clock=lambda: later)
    write_login(tmp_path, auth_json(access="one"))
    first = await store.load()
    assert await store.load() is first
    write_login(tmp_path, auth_json(access="two"))
    assert (await store.load()).credentials.access_token == Secret("two")


async def test_a_login_of_this_very_moment_is_read_again(tmp_path: Path) -> None:
    """The times of files move in ticks: it may change again and show the same."""
    now = write_login(tmp_path, auth_json()).stat().st_mtime
    store = CodexFile(tmp_path, clock=lambda: now)
    first = await store.load()
    assert await store.load() is not first
    now += 1
    first = await store.load()
    assert await store.load() is first


async def test_a_login_that_comes_is_seen_and_one_that_goes_is_missed(tmp_path: Path) -> None:
    store = CodexFile(tmp_path)
    with pytest.raises(NotLoggedIn):
        await store.load()
    path = write_login(tmp_path, auth_json())
    await store.load()
    path.unlink()
    with pytest.raises(NotLoggedIn):
        await store.load()
    write_login(tmp_path, auth_json(auth_mode="apikey"))
    with pytest.raises(NotLoggedIn, match="API key"):
        await store.load()


async def test_a_known_login_that_we_may_no_longer_read_is_told_as_such(tmp_path: Path) -> None:
    path, later = write_login(tmp_path, auth_json()), time.time() + 1
    store = CodexFile(tmp_path, clock=lambda: later)
    first = await store.load()
    assert await store.load() is first
    path.chmod(0)
    let_others_reach(path)
    with mere_user():
        for _ in range(2):
            with pytest.raises(NotLoggedIn, match="denied"):
                await store.load()
    path.chmod(0o600)
    assert (await store.load()).credentials.account_id == ACCOUNT


async def test_a_known_login_that_others_can_reach_now_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, later = write_login(tmp_path, auth_json()), time.time() + 1
    store = CodexFile(tmp_path, clock=lambda: later)
    await store.load()
    path.chmod(0o644)
    await store.load()
    assert caplog.text.count("chmod 600") == 1


@pytest.mark.parametrize("make", [directory, fifo, loop_of_links])
async def test_what_takes_the_place_of_a_known_login_is_told_as_such(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    path, later = write_login(tmp_path, auth_json()), time.time() + 1
    store = CodexFile(tmp_path, clock=lambda: later)
    await store.load()
    path.unlink()
    make(path)
    with pytest.raises(NotLoggedIn) as told:
        await store.load()
    assert told.value.code == "auth_file_unreadable"


async def test_a_login_that_changes_while_it_is_read_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_login(tmp_path, auth_json(access="one"))
    later, close = time.time() + 1, os.close
    store = CodexFile(tmp_path, clock=lambda: later)

    def changed_then(descriptor: int) -> None:
        monkeypatch.undo()
        close(descriptor)
        write_login(tmp_path, auth_json(access="two"))

    monkeypatch.setattr(os, "close", changed_then)
    assert (await store.load()).credentials.access_token == Secret("one")
    assert (await store.load()).credentials.access_token == Secret("two")


async def test_what_was_read_is_known_by_the_file_that_it_was_read_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    later, opened = time.time() + 1, os.open
    store = CodexFile(tmp_path, clock=lambda: later)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write_login(tmp_path / name, auth_json(access=name))

    def points_to(name: str) -> None:
        store.path.unlink(missing_ok=True)
        store.path.symlink_to(tmp_path / name / "auth.json")

    def turned_then(path: Any, *options: Any, **more: Any) -> int:
        monkeypatch.undo()
        points_to("b")
        return opened(path, *options, **more)

    points_to("a")
    monkeypatch.setattr(os, "open", turned_then)
    assert (await store.load()).data == auth_json(access="b")
    points_to("a")
    assert (await store.load()).data == auth_json(access="a")


async def test_another_program_s_login_is_seen_by_opening_it_before_it_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a network file system's times it may be the one of some seconds ago."""
    later, look = time.time() + 1, os.stat
    path = write_login(tmp_path, auth_json())
    store = CodexFile(tmp_path, clock=lambda: later)
    await store.load()
    before, other = os.stat(path), auth_json(mark="other", refresh="canary-refresh-other")
    path.write_bytes(other)

    def late(name: Any, **options: Any) -> os.stat_result:
        return before if name == str(path) else look(name, **options)

    monkeypatch.setattr(os, "stat", late)
    await store.save(NEW, FIRST)
    monkeypatch.undo()
    assert path.read_bytes() == other


async def test_under_the_lock_a_login_is_read_whatever_its_times_say(tmp_path: Path) -> None:
    """Those of a network file system may be seconds old. Here: of a page that is in memory."""
    data, later = auth_json(access="one"), time.time() + 1
    path = write_login(tmp_path, data)
    store, place = CodexFile(tmp_path, clock=lambda: later), data.index(b'"one"') + 1
    with path.open("r+b") as file, mmap(file.fileno(), 0) as page:
        page[0:1] = page[0:1]  # from now on it is dirty, and its times stand still
        await store.load()
        page[place : place + 3] = b"two"
        async with store.lock():
            assert (await store.load()).credentials.access_token == Secret("two")


def test_a_half_written_login_is_waited_for(tmp_path: Path) -> None:
    async def story() -> float:
        loop, path = asyncio.get_running_loop(), write_login(tmp_path, b"")
        loop.call_later(0.2, path.write_bytes, auth_json()[:500])
        loop.call_later(PARTIAL_WRITE - 0.1, path.write_bytes, auth_json())
        assert (await CodexFile(tmp_path).load()).credentials.account_id == ACCOUNT
        return loop.time()

    assert PARTIAL_WRITE - 0.1 <= hurried(story()) < PARTIAL_WRITE


def test_a_damaged_login_is_waited_for_once_and_then_refused_at_once(tmp_path: Path) -> None:
    async def story() -> None:
        loop, store = asyncio.get_running_loop(), CodexFile(tmp_path)
        path = write_login(tmp_path, auth_json()[:500])
        with pytest.raises(NotLoggedIn):
            await store.load()
        waited = loop.time()
        assert PARTIAL_WRITE <= waited < PARTIAL_WRITE + 0.1
        depths = []
        for _ in range(3):
            with pytest.raises(NotLoggedIn) as told:
                await store.load()
            depths.append(len(told.traceback))
        assert loop.time() == waited
        assert depths[0] == depths[2], "an error that is kept must not gather frames"
        path.write_bytes(auth_json())
        assert (await store.load()).credentials.account_id == ACCOUNT
        assert loop.time() == waited

    hurried(story())


def test_all_who_ask_for_a_torn_login_get_it_whole(tmp_path: Path) -> None:
    async def story() -> None:
        path = write_login(tmp_path, auth_json()[:500])
        asyncio.get_running_loop().call_later(1.0, path.write_bytes, auth_json())
        store = CodexFile(tmp_path)
        logins = await asyncio.gather(*(store.load() for _ in range(5)))
        assert {login.credentials.account_id for login in logins} == {ACCOUNT}

    hurried(story())
