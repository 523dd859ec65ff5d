"""How a login is saved, also by a process that is killed or has no locks."""

from __future__ import annotations

import asyncio
import os
import resource
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.engine.login_homes import (
    FIRST,
    NEW,
    NOBODY,
    held,
    let_others_reach,
    loaded,
    mere_user,
    saved,
)
from tests.logins import auth_json, write_login
from tests.virtual_time import hurried

from codexapi_engine.login.file_store import (
    IN_USE,
    LEFT_BEHIND,
    CodexFile,
)
from codexapi_engine.protocol.secret import Secret

if sys.platform == "win32":
    pytest.skip("users, modes and locks of Unix", allow_module_level=True)


@contextmanager
def mere_user_owns(home: Path) -> Iterator[None]:
    """Somebody else is its owner, and we are that one."""
    if os.geteuid() == 0:
        for path in (home, *home.iterdir()):
            os.chown(path, NOBODY, NOBODY)
    with mere_user():
        yield


# Saving


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
    let_others_reach(tmp_path)
    try:
        with mere_user():
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

    let_others_reach(home)
    with mere_user_owns(home):
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
