from __future__ import annotations

import asyncio
import fcntl
import json
import os
import resource
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.logins import ACCOUNT, auth_json, write_login
from tests.virtual_time import hurried

from codexapi_engine.credentials import COMMIT_WAIT, LOCK_WAIT, TORN, CodexFile, InMemory, Snapshot
from codexapi_engine.errors import NotLoggedIn, RefreshUnavailable

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
        (b'{"OPENAI_API_KEY":null,"personal_access_token":"at-canary"}', "no_chatgpt_tokens"),
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


def test_a_login_that_others_can_read_is_taken(tmp_path: Path) -> None:
    write_login(tmp_path, auth_json()).chmod(0o644)
    assert loaded(tmp_path).credentials.account_id == ACCOUNT


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
    store = CodexFile(tmp_path)
    write_login(tmp_path, auth_json(access="one"))
    first = await store.load()
    assert await store.load() is first
    write_login(tmp_path, auth_json(access="two"))
    assert (await store.load()).credentials.access_token == "two"


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


def test_a_half_written_login_is_waited_for(tmp_path: Path) -> None:
    async def story() -> float:
        loop, path = asyncio.get_running_loop(), write_login(tmp_path, b"")
        loop.call_later(0.2, path.write_bytes, auth_json()[:500])
        loop.call_later(TORN - 0.1, path.write_bytes, auth_json())
        assert (await CodexFile(tmp_path).load()).credentials.account_id == ACCOUNT
        return loop.time()

    assert TORN - 0.1 <= hurried(story()) < TORN


def test_a_damaged_login_is_waited_for_once_and_then_refused_at_once(tmp_path: Path) -> None:
    async def story() -> None:
        loop, store = asyncio.get_running_loop(), CodexFile(tmp_path)
        path = write_login(tmp_path, auth_json()[:500])
        with pytest.raises(NotLoggedIn):
            await store.load()
        waited = loop.time()
        assert TORN <= waited < TORN + 0.1
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


def saved(home: Path, data: bytes, consumed: str | None = "canary-refresh-first") -> None:
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
        await store.save(NEW, "canary-refresh-first")
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
            await store.save(NEW, "canary-refresh-first")

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
        await CodexFile(tmp_path).save(NEW, "canary-refresh-first")
        assert path.read_bytes() == other

    hurried(story())


def test_a_login_that_was_logged_out_meanwhile_stays_logged_out(tmp_path: Path) -> None:
    saved(tmp_path, NEW)
    assert not (tmp_path / "auth.json").exists()


def test_a_damaged_login_is_replaced_by_a_good_one(tmp_path: Path) -> None:
    path = write_login(tmp_path, b"damaged")
    saved(tmp_path, NEW)
    assert path.read_bytes() == NEW


def test_what_cannot_be_saved_is_an_os_error_and_leaves_nothing_behind(tmp_path: Path) -> None:
    path = write_login(tmp_path, auth_json())
    (tmp_path / "auth.json.lock").touch()
    if os.geteuid() == 0:
        os.chown(path, NOBODY, NOBODY)
    tmp_path.chmod(0o555)
    try:
        with pytest.raises(OSError, match="denied"), reaching(tmp_path), mere_user():
            saved(tmp_path, NEW)
    finally:
        tmp_path.chmod(0o755)
    assert path.read_bytes() == auth_json()
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


# Locks


@contextmanager
def held(path: Path) -> Iterator[Callable[[], None]]:
    """Another program's lock, and the way to let it go."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield lambda: fcntl.flock(descriptor, fcntl.LOCK_UN)
    finally:
        os.close(descriptor)


def is_held(path: Path) -> bool:
    if not path.exists():
        return False
    descriptor = os.open(path, os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
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
            assert LOCK_WAIT <= asyncio.get_running_loop().time() < LOCK_WAIT + 0.1

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


def test_the_file_is_replaced_only_under_its_own_lock(tmp_path: Path) -> None:
    async def story() -> None:
        loop, path = asyncio.get_running_loop(), write_login(tmp_path, auth_json())
        with held(tmp_path / "auth.json.lock") as let_go:
            saving = asyncio.create_task(CodexFile(tmp_path).save(NEW, "canary-refresh-first"))
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
    async with store.lock():
        await store.save(NEW, "canary-refresh-first")
    assert (await store.load()).data == NEW
