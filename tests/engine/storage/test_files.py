"""Stored files: whole, bounded, of one account, and gone when they expire."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.clock import Clock
from tests.drawn import picture
from tests.processes import environment

from codexapi_engine.errors import InvalidRequest
from codexapi_engine.protocol.stored_files import FileContent, StoredFile
from codexapi_engine.protocol.stored_files.media_type import media_type
from codexapi_engine.storage import ObjectStore, State
from codexapi_engine.storage.files import Files

MINE, THEIRS = "a" * 32, "b" * 32


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def objects() -> Iterator[ObjectStore]:
    made = ObjectStore(max_objects=3, max_bytes=2_000)
    yield made
    made.close()


@pytest.fixture
def files(objects: ObjectStore, clock: Clock) -> Files:
    return Files(objects, clock=clock, max_files=3, max_bytes=1_000)


def stored(
    files: Files, data: bytes = b"hi", *, lifetime: int | None = None, account: str = MINE
) -> StoredFile:
    content = FileContent("a.txt", data)
    return files.create(
        content, media_type="text/plain", purpose="user_data", lifetime=lifetime, account=account
    )


def refused(files: Files, data: bytes) -> None:
    with pytest.raises(InvalidRequest) as caught:
        stored(files, data)
    assert (caught.value.code, caught.value.param) == ("storage_full", "file")


def test_a_file_comes_back_to_the_byte(files: Files) -> None:
    made = stored(files, bytes(range(256)))
    assert files.get(made.id, account=MINE) == made
    assert files.content(made.id, account=MINE) == FileContent("a.txt", bytes(range(256)))
    assert (made.size, made.created, made.expires) == (256, 1_000, None)
    files.delete(made.id, account=MINE)
    with pytest.raises(InvalidRequest, match=f"No such File object: {made.id}"):
        files.content(made.id, account=MINE)
    assert files.all(account=MINE) == []


def test_no_account_reaches_another_one_s_files(files: Files) -> None:
    made = stored(files)
    for account in (THEIRS, ""):
        assert files.all(account=account) == []
        for reach in (files.get, files.content, files.delete):
            with pytest.raises(InvalidRequest):
                reach(made.id, account=account)
    assert files.all(account=MINE) == [made]


def test_a_file_expires_and_its_bytes_go(files: Files, objects: ObjectStore, clock: Clock) -> None:
    made = stored(files, lifetime=3_600)
    assert made.expires == 4_600
    clock.now = 4_599.9
    assert files.get(made.id, account=MINE) == made
    clock.now = 4_600
    with pytest.raises(InvalidRequest):
        files.get(made.id, account=MINE)
    assert files.all(account=MINE) == []
    assert objects.contents_size() == (1, 2)
    stored(files, b"another")
    assert objects.contents_size() == (1, 7), "the next upload sweeps"


def test_what_has_no_room_is_refused_and_nothing_goes_for_it(
    files: Files, objects: ObjectStore
) -> None:
    first = stored(files, b"x" * 600)
    refused(files, b"x" * 401)
    stored(files, b"x" * 400)
    refused(files, b"x")
    files.delete(first.id, account=MINE)
    stored(files, b"x"), stored(files, b"x")
    refused(files, b"x")
    assert objects.contents_size() == (3, 402)


def test_other_objects_evict_no_file_and_files_none_of_them(
    objects: ObjectStore,
) -> None:
    files = Files(objects)
    made = [stored(files) for _ in range(5)]
    for name in "abcdef":
        objects.put("response", name, {"text": "x" * 600})
    assert files.all(account=MINE) == made
    assert [name for name, _ in objects.all("response")] == ["f"]


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"%PDF-1.7", "application/pdf"),
        (picture("png"), "image/png"),
        ("ß".encode(), "text/plain"),
        (b"\xff\xff", "application/octet-stream"),
    ],
)
def test_the_type_is_read_from_the_bytes(data: bytes, kind: str) -> None:
    assert media_type(data) == kind


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\files\\a.pdf", "a.pdf"),
        ("a\x1b[31m\r\n.txt", "a[31m.txt"),
        ("", "file"),
        ("folder/", "file"),
        ("x" * 300, "x" * 255),
    ],
)
def test_a_name_is_a_name_and_no_path(files: Files, name: str, shown: str) -> None:
    content = FileContent(name, b"hi")
    made = files.create(
        content, media_type="text/plain", purpose="user_data", lifetime=None, account=MINE
    )
    assert made.name == shown


def test_files_outlive_a_restart_and_what_expired_meanwhile_is_removed(tmp_path: Path) -> None:
    path, clock = tmp_path / "state.db", Clock()
    first = State(path, clock=clock)
    made, brief = stored(first.files), stored(first.files, b"secret words", lifetime=3_600)
    first.close()
    clock.now = 9_999
    second = State(path, clock=clock)
    assert second.files.all(account=MINE) == [made]
    second.close()
    for file in tmp_path.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert brief.id.encode() not in file.read_bytes()
        assert b"secret words" not in file.read_bytes()


def test_a_state_file_from_before_there_were_files_has_room_for_them(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    State(path).close()
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("DROP TABLE contents")
    state = State(path)
    made = stored(state.files)
    assert state.files.content(made.id, account=MINE).data == b"hi"
    state.close()


def test_rows_that_are_not_ours_are_no_files(files: Files, objects: ObjectStore) -> None:
    objects.put("file", "file-1", {"id": "file-1", "account": MINE})
    objects.put("file", "file-2", {"id": "file-3", "account": MINE})
    made = stored(files)
    assert files.all(account=MINE) == [made]
    with pytest.raises(InvalidRequest):
        files.get("file-1", account=MINE)


KILLED = """
import os, sys
from pathlib import Path
from codexapi_engine.protocol.stored_files import FileContent
from codexapi_engine.storage import State
state = State(Path(sys.argv[1]))
def store(data):
    content = FileContent("a.txt", data)
    facts = {"media_type": "text/plain", "purpose": "vision", "lifetime": None}
    return state.files.create(content, **facts, account="a" * 32)
print(store(b"whole").id, flush=True)
with state._objects.transaction():
    store(b"half" * 1_000_000)
    os.kill(os.getpid(), 9)
"""


def test_a_crash_leaves_no_half_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    ended = subprocess.run(
        [sys.executable, "-c", KILLED, str(path)],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == -9, ended.stderr
    state = State(path)
    (made,) = state.files.all(account=MINE)
    assert made.id == ended.stdout.strip()
    assert state.files.content(made.id, account=MINE).data == b"whole"
    state.close()
