from __future__ import annotations

import asyncio
import json
import os
import resource
import stat
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from mmap import mmap
from pathlib import Path
from typing import Any

import pytest
from tests import unix
from tests.logins import ACCOUNT, auth_json, jwt, write_login
from tests.virtual_time import hurried

from codexapi_engine.bounds import LOGIN_LOCK_WAIT
from codexapi_engine.errors import NotLoggedIn, RefreshUnavailable
from codexapi_engine.login.file_store import (
    COMMIT_WAIT,
    IN_USE,
    LEFT_BEHIND,
    PARTIAL_WRITE,
    CodexFile,
)
from codexapi_engine.login.keyring_store import Keyring, KeyringOrFile
from codexapi_engine.login.location import store_of
from codexapi_engine.login.store import InMemory, MissingStore, Snapshot
from codexapi_engine.protocol.secret import Secret
from codexapi_engine.settings import Settings

if sys.platform == "win32":
    pytest.skip("users, modes and locks of Unix", allow_module_level=True)

NOBODY = 65534


def loaded(home: Path) -> Snapshot:
    return hurried(CodexFile(home).load())


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


@contextmanager
def mere_user() -> Iterator[None]:
    """root may read everything: for a moment we are somebody else."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(before)


@contextmanager
def mere_user_owns(home: Path) -> Iterator[None]:
    """Somebody else is its owner, and we are that one."""
    if os.geteuid() == 0:
        for path in (home, *home.iterdir()):
            os.chown(path, NOBODY, NOBODY)
    with mere_user():
        yield


@contextmanager
def reaching(path: Path) -> Iterator[None]:
    """Lets others pass through the private folders in which pytest puts a test's own."""
    opened = []
    for folder in path.parents:
        mode = stat.S_IMODE(folder.stat().st_mode)
        if os.geteuid() == 0 and mode & 0o111 != 0o111:
            opened.append((folder, mode))
            folder.chmod(mode | 0o111)
    try:
        yield
    finally:
        for folder, mode in opened:
            folder.chmod(mode)


def test_a_login_that_we_may_not_read_is_told_as_such(tmp_path: Path) -> None:
    write_login(tmp_path, auth_json()).chmod(0)
    with reaching(tmp_path / "auth.json"), mere_user():
        assert (tmp_path / "auth.json").exists()
        with pytest.raises(NotLoggedIn, match="denied") as told:
            loaded(tmp_path)
    assert told.value.code == "auth_file_unreadable"


def directory(path: Path) -> None:
    path.mkdir()


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
    with reaching(path), mere_user():
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


# Saving


FIRST = Secret("canary-refresh-first")


def saved(home: Path, data: bytes, consumed: Secret | None = FIRST) -> None:
    hurried(CodexFile(home).save(data, consumed))


NEW = auth_json(mark="new", refresh="canary-refresh-new")


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o400])
def test_a_saved_login_replaces_the_old_one_whole_and_keeps_its_mode(
    tmp_path: Path, mode: int
) -> None:
    path = write_login(tmp_path, auth_json())
    path.chmod(mode)
    with path.open("rb") as old:
        saved(tmp_path, NEW)
        assert old.read() == auth_json(), "written in place: a crash would have lost both"
    assert path.read_bytes() == NEW
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert {file.name for file in tmp_path.iterdir()} == {"auth.json", "auth.json.lock"}


def test_a_saved_login_is_what_is_loaded_next(tmp_path: Path) -> None:
    async def story() -> None:
        store = CodexFile(tmp_path)
        write_login(tmp_path, auth_json())
        await store.load()
        await store.save(NEW, FIRST)
        assert (await store.load()).data == NEW

    hurried(story())


def test_a_link_stays_a_link_and_the_work_is_done_beside_the_real_file(tmp_path: Path) -> None:
    home, real = tmp_path / "home", tmp_path / "real"
    home.mkdir()
    real.mkdir()
    write_login(real, auth_json())
    (home / "auth.json").symlink_to("../real/auth.json")
    (real / ".auth.json.codexapi-0000.tmp").touch()

    async def story() -> None:
        store = CodexFile(home)
        async with store.lock():
            assert not list(real.glob(".*.tmp")), "what a killed process left is swept"
            await store.save(NEW, FIRST)

    hurried(story())
    assert (home / "auth.json").is_symlink()
    assert (real / "auth.json").read_bytes() == NEW
    assert {file.name for file in home.iterdir()} == {"auth.json", "auth.lock"}
    assert {file.name for file in real.iterdir()} == {"auth.json", "auth.json.lock"}


@pytest.mark.parametrize(
    "other",
    [
        auth_json(mark="other", refresh="canary-refresh-other"),
        auth_json(auth_mode="apikey"),
        auth_json(refresh=None),
    ],
)
def test_the_login_of_another_program_is_never_overwritten(
    tmp_path: Path, other: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_login(tmp_path, other)
    saved(tmp_path, NEW)
    assert path.read_bytes() == other
    assert "another program" in caplog.text


def test_a_login_that_another_program_is_writing_is_waited_for_and_kept(tmp_path: Path) -> None:
    other = auth_json(mark="other", refresh="canary-refresh-other")

    async def story() -> None:
        path = write_login(tmp_path, other[:400])
        asyncio.get_running_loop().call_later(0.5, path.write_bytes, other)
        await CodexFile(tmp_path).save(NEW, FIRST)
        assert path.read_bytes() == other

    hurried(story())


def test_a_login_that_was_logged_out_meanwhile_stays_logged_out(tmp_path: Path) -> None:
    saved(tmp_path, NEW)
    assert not (tmp_path / "auth.json").exists()


def test_a_damaged_login_is_replaced_by_a_good_one(tmp_path: Path) -> None:
    path = write_login(tmp_path, b"damaged")
    saved(tmp_path, NEW)
    assert path.read_bytes() == NEW


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_folder_that_takes_no_file_has_the_login_written_in_its_place(
    tmp_path: Path, mode: int
) -> None:
    """The pair on disk is dead by then. A file that may not be written to either is an error."""
    path = write_login(tmp_path, auth_json())
    (tmp_path / "auth.json.lock").touch()
    if os.geteuid() == 0:
        os.chown(path, NOBODY, NOBODY)
    path.chmod(mode)
    tmp_path.chmod(0o555)
    try:
        with reaching(tmp_path), mere_user():
            if mode == 0o600:
                saved(tmp_path, NEW)
            else:
                with pytest.raises(OSError, match="denied"):
                    saved(tmp_path, NEW)
    finally:
        tmp_path.chmod(0o755)
    assert path.read_bytes() == (NEW if mode == 0o600 else auth_json())
    assert {file.name for file in tmp_path.iterdir()} == {"auth.json", "auth.json.lock"}


def test_a_full_disk_is_an_os_error_and_leaves_the_old_login_and_nothing_else(
    tmp_path: Path,
) -> None:
    path = write_login(tmp_path, auth_json())
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(OSError, match="too large"):
            saved(tmp_path, NEW)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == auth_json()
    assert {file.name for file in tmp_path.iterdir()} == {"auth.json", "auth.json.lock"}


# What a killed process leaves behind


def left_by(home: Path, data: bytes, consumed: Secret) -> Path:
    """What a process leaves that dies between writing a new file and putting it in place."""
    left = CodexFile(home)._copy(home / "auth.json", data, consumed)
    assert left is not None
    return left


def names(home: Path) -> set[str]:
    return {file.name for file in home.iterdir()} - {"auth.lock", "auth.json.lock"}


def test_a_whole_new_pair_that_was_not_yet_in_its_place_is_put_there(tmp_path: Path) -> None:
    """The pair on disk is spent by then: without the other one the login would be over."""
    path = write_login(tmp_path, auth_json())
    path.chmod(0o640)
    left_by(tmp_path, NEW, FIRST)
    assert loaded(tmp_path).data == NEW
    assert names(tmp_path) == {"auth.json"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@pytest.mark.parametrize(
    ("data", "consumed"),
    [
        (NEW[:300], FIRST),
        (b"", FIRST),
        (auth_json(auth_mode="apikey"), FIRST),
        (NEW, Secret("canary-refresh-of-another-time")),
    ],
)
def test_what_is_not_next_in_line_is_removed_at_the_start(
    tmp_path: Path, data: bytes, consumed: Secret
) -> None:
    write_login(tmp_path, auth_json())
    left_by(tmp_path, data, consumed)
    assert loaded(tmp_path).data == auth_json()
    assert names(tmp_path) == {"auth.json"}


def test_what_a_process_is_just_writing_is_left_to_it(tmp_path: Path) -> None:
    write_login(tmp_path, auth_json())
    left_by(tmp_path, NEW, FIRST)
    with held(tmp_path / "auth.lock"):
        assert loaded(tmp_path).data == auth_json()
    assert len(names(tmp_path)) == 2


def test_without_locks_only_what_is_old_is_swept(tmp_path: Path) -> None:
    write_login(tmp_path, auth_json())
    left_by(tmp_path, b"half", FIRST)
    now = time.time()
    hurried(CodexFile(tmp_path, windows=True, clock=lambda: now + LEFT_BEHIND - 5).load())
    assert len(names(tmp_path)) == 2
    hurried(CodexFile(tmp_path, windows=True, clock=lambda: now + LEFT_BEHIND + 5).load())
    assert names(tmp_path) == {"auth.json"}


# Without kernel locks, as on Windows


def test_without_locks_a_login_is_saved_all_the_same(tmp_path: Path) -> None:
    path = write_login(tmp_path, auth_json())

    async def story() -> None:
        store = CodexFile(tmp_path, windows=True)
        with held(tmp_path / "auth.lock"):  # which there means nothing
            async with store.lock():
                await store.save(NEW, FIRST)
        assert (await store.load()).data == NEW

    hurried(story())
    assert path.read_bytes() == NEW
    assert names(tmp_path) == {"auth.json"}


@pytest.mark.parametrize(("let_go", "waits"), [(IN_USE - 0.5, IN_USE - 0.5), (IN_USE + 1, IN_USE)])
def test_a_file_that_is_in_use_is_waited_for_and_then_written_in_its_place(
    tmp_path: Path, let_go: float, waits: float
) -> None:
    """Windows refuses to replace a file that is open elsewhere; here a folder refuses."""
    path, home = write_login(tmp_path, auth_json()), tmp_path

    async def story() -> float:
        store, loop = CodexFile(home, windows=True), asyncio.get_running_loop()
        copy = left_by(home, NEW, FIRST)
        home.chmod(0o555)
        loop.call_later(let_go, home.chmod, 0o777)
        try:
            await store._put(copy, path, NEW)
        finally:
            home.chmod(0o777)
        return loop.time()

    with reaching(home), mere_user_owns(home):
        waited = hurried(story())
    assert path.read_bytes() == NEW
    assert waited == pytest.approx(waits, abs=0.1)


# A token that may be spent


def private_and_silent(home: Path) -> bool:
    others = [file for file in home.iterdir() if file.name != "auth.json"]
    assert others
    return all(
        stat.S_IMODE(file.stat().st_mode) == 0o600 and b"canary" not in file.read_bytes()
        for file in others
    )


async def test_a_token_in_doubt_is_told_to_other_programs_until_all_is_well(tmp_path: Path) -> None:
    first, second = CodexFile(tmp_path), CodexFile(tmp_path)
    write_login(tmp_path, auth_json())
    assert second.consumed_reason(FIRST) is None
    first.mark_consumed(FIRST, "unanswered")
    assert second.consumed_reason(FIRST) == "unanswered"
    other = Secret("canary-refresh-other")
    assert second.consumed_reason(other) is None
    await second.save(auth_json(), other)  # it is not there any more: nothing is saved
    assert second.consumed_reason(FIRST) == "unanswered"
    assert private_and_silent(tmp_path)
    await first.save(NEW, FIRST)
    assert second.consumed_reason(FIRST) is None
    assert names(tmp_path) == {"auth.json"}


def test_a_mark_that_cannot_be_written_anywhere_is_an_error(tmp_path: Path) -> None:
    """For then the token must not be sent."""
    (tmp_path / "home").write_text("no folder")
    store = CodexFile(tmp_path / "home")
    with pytest.raises(OSError, match=r"exists|directory"):
        store.mark_consumed(FIRST, "unanswered")
    assert store.consumed_reason(FIRST) is None


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


@contextmanager
def held(path: Path) -> Iterator[Callable[[], None]]:
    """Another program's lock, and the way to let it go."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    unix.lock(descriptor)
    try:
        yield lambda: unix.unlock(descriptor)
    finally:
        os.close(descriptor)


def test_a_lock_that_is_there_is_taken_where_none_can_be_made(tmp_path: Path) -> None:
    (tmp_path / "auth.lock").touch(mode=0o644)
    tmp_path.chmod(0o555)

    async def story() -> None:
        with held(tmp_path / "auth.lock"), reaching(tmp_path / "auth.lock"), mere_user():
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
