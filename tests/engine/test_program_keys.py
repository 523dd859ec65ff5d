"""The file of the programs' keys: what it holds, who can read it, and what it refuses."""

from __future__ import annotations

import asyncio
import hashlib
import os
import stat
import sys
from pathlib import Path

import pytest

from codexapi_engine.bounds import MAX_PROGRAM_KEYS
from codexapi_engine.errors import InvalidRequest, Unavailable
from codexapi_engine.program_keys import ProgramKeys

FILE = "keys.json"


async def test_a_key_is_kept_as_its_hash_alone(tmp_path: Path) -> None:
    key = (await ProgramKeys(tmp_path / "new").add("editor")).reveal()
    text = (tmp_path / "new" / FILE).read_text()
    assert key not in text
    assert hashlib.sha256(key.encode()).hexdigest() in text
    assert len(key) > 43  # 256 bits, and what it begins with
    assert ProgramKeys(tmp_path / "new").name_of(key.encode()) == "editor"
    assert ProgramKeys(tmp_path / "new").name_of(b"another") is None


@pytest.mark.skipif(sys.platform == "win32", reason="modes are Unix's")
async def test_the_file_is_for_its_owner_alone_also_after_a_change(tmp_path: Path) -> None:
    keys = ProgramKeys(tmp_path)
    for change in (keys.add("one"), keys.add("two"), keys.revoke("one")):
        await change
        assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600
    assert sorted(os.listdir(tmp_path)) == [FILE, "keys.lock"]


async def test_programs_that_change_it_at_once_lose_nothing(tmp_path: Path) -> None:
    names = [f"program{number}" for number in range(10)]
    await asyncio.gather(*(ProgramKeys(tmp_path).add(name) for name in names))
    assert sorted(ProgramKeys(tmp_path).load()) == names


async def test_another_process_sees_a_change_at_once(tmp_path: Path) -> None:
    reader, writer = ProgramKeys(tmp_path), ProgramKeys(tmp_path)
    assert not reader.load()
    key = (await writer.add("one")).reveal().encode()
    assert reader.name_of(key) == "one"
    assert await writer.revoke("one")
    assert reader.name_of(key) is None
    assert not await writer.revoke("one")


@pytest.mark.parametrize(
    "name", ["", " ", "two words", "-x", "x" * 41, "\x1b[31m", "a/b", "näme", "x\n"]
)
async def test_a_name_that_no_terminal_should_see_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidRequest):
        await ProgramKeys(tmp_path).add(name)
    assert not (tmp_path / FILE).exists()


async def test_a_name_has_one_key(tmp_path: Path) -> None:
    keys = ProgramKeys(tmp_path)
    await keys.add("one")
    with pytest.raises(InvalidRequest, match="keys revoke one"):
        await keys.add("one")


async def test_the_number_of_keys_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert MAX_PROGRAM_KEYS >= 100
    monkeypatch.setattr("codexapi_engine.program_keys.MAX_PROGRAM_KEYS", 1)
    keys = ProgramKeys(tmp_path)
    await keys.add("one")
    with pytest.raises(InvalidRequest):
        await keys.add("two")


async def test_a_damaged_file_is_neither_used_nor_written_over(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("{")
    keys = ProgramKeys(tmp_path)
    for read in (keys.load, lambda: keys.name_of(b"x")):
        with pytest.raises(Unavailable, match=FILE):
            read()
    with pytest.raises(Unavailable):
        await keys.add("one")
    assert (tmp_path / FILE).read_text() == "{"
