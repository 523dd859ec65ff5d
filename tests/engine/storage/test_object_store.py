"""The shelf: bounded, private, and right with two processes on one file."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.processes import environment

from codexapi_engine.storage import ObjectStore


@pytest.fixture
def shelf() -> Iterator[ObjectStore]:
    made = ObjectStore(max_objects=3, max_bytes=1_000)
    yield made
    made.close()


def test_what_is_put_is_there_until_it_is_deleted(shelf: ObjectStore) -> None:
    shelf.put("response", "a", {"text": "ä"})
    assert shelf.get("response", "a") == {"text": "ä"}
    assert shelf.get("chat", "a") is None
    assert shelf.delete("response", "a")
    assert not shelf.delete("response", "a")
    assert shelf.get("response", "a") is None


def test_the_oldest_goes_when_there_are_too_many(shelf: ObjectStore) -> None:
    for name in "abcd":
        shelf.put("response", name, {})
    assert [name for name, _ in shelf.all("response")] == ["b", "c", "d"]


def test_the_oldest_of_a_kind_goes_and_not_those_of_another(shelf: ObjectStore) -> None:
    shelf.put("chat", "old", {})
    for name in "abcde":
        shelf.put("response", name, {})
    assert [name for name, _ in shelf.all("response")] == ["c", "d", "e"]
    assert shelf.get("chat", "old") is not None


def test_all_that_a_smaller_shelf_has_no_room_for_go(tmp_path: Path) -> None:
    for bound, names in ((5, "abcde"), (2, "f")):
        shelf = ObjectStore(tmp_path / "codexapi.db", max_objects=bound)
        for name in names:
            shelf.put("response", name, {})
        told = [name for name, _ in shelf.all("response")]
        shelf.close()
    assert told == ["e", "f"]


def test_the_oldest_goes_when_there_are_too_many_bytes(shelf: ObjectStore) -> None:
    shelf.put("response", "a", {"text": "x" * 600})
    shelf.put("chat", "b", {"text": "x" * 600})
    assert shelf.get("response", "a") is None
    assert shelf.get("chat", "b") is not None


def test_the_bytes_are_known_however_they_came_and_went(shelf: ObjectStore) -> None:
    text = {"text": "x" * 300}
    for name in "xxyyxy":
        shelf.put("response", name, text)  # in its own place
        shelf.change("response", name, lambda value: text)
        shelf.delete("response", name)
    shelf.put("response", "a", {})
    shelf.put("chat", "b", text)
    shelf.change("response", "a", lambda value: text)
    shelf.put("response", "c", text)
    assert [name for name, _ in shelf.all("response")] == ["a", "c"]
    shelf.change("response", "c", lambda value: {"text": "x" * 400})
    assert [name for name, _ in shelf.all("response")] == ["c"]
    assert shelf.get("chat", "b") is not None


def test_the_bytes_of_another_process_count_too(tmp_path: Path) -> None:
    ours, theirs = (ObjectStore(tmp_path / "codexapi.db", max_bytes=1_000) for _ in range(2))
    ours.put("response", "a", {"text": "x" * 400})
    theirs.put("response", "b", {"text": "x" * 400})
    ours.put("response", "c", {"text": "x" * 400})
    assert [name for name, _ in ours.all("response")] == ["b", "c"]
    ours.close()
    theirs.close()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows limits no file's size")
def test_the_bytes_are_counted_anew_when_a_disk_was_full(tmp_path: Path) -> None:
    program = (
        "import resource, signal, sqlite3, sys\n"
        "from pathlib import Path\n"
        "from codexapi_engine import CodexError\n"
        "from codexapi_engine.storage import ObjectStore\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "path = Path(sys.argv[1])\n"
        "def put(name, size): shelf.put('x', name, {'x': 'z' * size})\n"
        "def limit(size): resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))\n"
        "shelf = ObjectStore(path, max_bytes=100_000)\n"
        "put('large', 60_000)\n"
        "for number in range(3): put(f'small{number}', 12_000)\n"
        "limit(Path(f'{path}-wal').stat().st_size)\n"
        "try: put('too much', 20_000)\n"
        "except CodexError: print('full')\n"
        "limit(resource.RLIM_INFINITY)\n"
        "for number in range(6):\n"
        "    put(f'more{number}', 8_000)\n"
        "    count = 'SELECT total(bytes) FROM objects'\n"
        "    print(sqlite3.connect(path).execute(count).fetchone()[0] <= 100_000)\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "codexapi.db")]
    told = subprocess.run(command, env=environment(), capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["full", *["True"] * 6]


def test_an_object_larger_than_the_shelf_is_not_kept(shelf: ObjectStore) -> None:
    shelf.put("response", "a", {"text": "x" * 2_000})
    assert shelf.get("response", "a") is None


def test_a_change_keeps_the_place(shelf: ObjectStore) -> None:
    for name in "ab":
        shelf.put("chat", name, {"n": 0})
    changed = shelf.change("chat", "a", lambda value: {**value, "n": value["n"] + 1})
    assert changed == {"n": 1}
    assert [name for name, _ in shelf.all("chat", newest_first=True)] == ["b", "a"]
    assert shelf.change("chat", "gone", lambda value: value) is None


def test_a_change_that_fails_changes_nothing(shelf: ObjectStore) -> None:
    shelf.put("chat", "a", {"n": 0})
    with pytest.raises(KeyError):
        shelf.change("chat", "a", lambda value: {"n": value["missing"]})
    assert shelf.get("chat", "a") == {"n": 0}
    shelf.put("chat", "b", {})  # no transaction was left open


def test_an_object_is_found_by_its_names_as_long_as_it_is_there(shelf: ObjectStore) -> None:
    shelf.put("response", "a", {}, names=["x", "y"])
    shelf.put("response", "b", {}, names=["y", "z"])
    shelf.put("chat", "c", {}, names=["y"])
    assert shelf.find_by_item("response", ["x", "y", "z", "?"]) == {"x": "a", "y": "b", "z": "b"}
    shelf.change("response", "b", lambda value: value)
    shelf.change("response", "a", lambda value: value, names=lambda value: ["w"])
    assert shelf.find_by_item("response", "wxyz") == {"w": "a", "y": "b", "z": "b"}
    shelf.put("response", "b", {})
    shelf.delete("response", "a")
    assert shelf.find_by_item("response", "wxyz") == {}


def test_names_go_with_what_is_shed(shelf: ObjectStore) -> None:
    for name in "abcd":
        shelf.put("response", name, {}, names=[f"of {name}"])
    assert shelf.find_by_item("response", ["of a", "of b"]) == {"of b": "b"}


def test_names_of_what_is_gone_take_no_room(tmp_path: Path) -> None:
    path = tmp_path / "codexapi.db"
    shelf = ObjectStore(path, max_objects=2)
    for _ in range(5):
        for name in "abc":
            shelf.put("response", name, {}, names=["x", "y"])
    shelf.delete("response", "c")
    database = sqlite3.connect(path)
    assert database.execute("SELECT count(*) FROM names").fetchone() == (2,)
    database.close()
    shelf.close()


def test_any_number_of_names_can_be_looked_up(shelf: ObjectStore) -> None:
    names = [str(number) for number in range(40_000)]
    shelf.put("response", "a", {}, names=names[::1_000])
    assert len(shelf.find_by_item("response", names)) == 40


def test_a_file_is_private_and_survives(tmp_path: Path) -> None:
    path = tmp_path / "state" / "codexapi.db"
    first = ObjectStore(path)
    first.put("response", "a", {"n": 1})
    first.close()
    second = ObjectStore(path)
    assert second.get("response", "a") == {"n": 1}
    second.close()
    assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}


def test_a_file_that_others_could_read_is_made_private(tmp_path: Path) -> None:
    path = tmp_path / "codexapi.db"
    path.touch(mode=0o644)
    shelf = ObjectStore(path)
    shelf.put("response", "a", {})
    assert {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()} == {0o600}
    assert len(list(tmp_path.iterdir())) == 3, "SQLite's own two files are there"
    shelf.close()


def test_processes_that_begin_together_on_a_new_file_do_not_fail(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from codexapi_engine.storage import ObjectStore\n"
        "ObjectStore(Path(sys.argv[1])).put('x', sys.argv[2], {})\n"
    )
    path = tmp_path / "codexapi.db"
    workers = [
        subprocess.Popen([sys.executable, "-c", program, str(path), str(number)], env=environment())
        for number in range(4)
    ]
    assert [worker.wait() for worker in workers] == [0, 0, 0, 0]
    shelf = ObjectStore(path)
    assert sorted(name for name, _ in shelf.all("x")) == list("0123")
    shelf.close()


def test_two_processes_on_one_file_lose_no_change(tmp_path: Path) -> None:
    path = tmp_path / "codexapi.db"
    shelf = ObjectStore(path)
    shelf.put("count", "a", {"n": 0})
    program = (
        "import sys; from pathlib import Path; from codexapi_engine.storage import ObjectStore\n"
        "shelf = ObjectStore(Path(sys.argv[1]))\n"
        "for _ in range(50): shelf.change('count', 'a', lambda v: {'n': v['n'] + 1})\n"
    )
    workers = [
        subprocess.Popen([sys.executable, "-c", program, str(path)], env=environment())
        for _ in range(3)
    ]
    assert [worker.wait() for worker in workers] == [0, 0, 0]
    assert shelf.get("count", "a") == {"n": 150}
    shelf.close()
