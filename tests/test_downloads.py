"""A download that several processes need is made once."""

from __future__ import annotations

import sys
from pathlib import Path
from threading import Thread

import pytest
from tests import downloads

if sys.platform == "win32":
    pytest.skip("Windows makes each download in each process", allow_module_level=True)

import fcntl


def test_a_download_that_is_being_made_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "CACHE", tmp_path)
    made: list[Path] = []
    other = Thread(target=downloads.kept, args=("program", made.append))

    def make(folder: Path) -> None:
        made.append(folder)
        (folder / "done").touch()
        with (tmp_path / "program.lock").open() as lock, pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        other.start()

    folder = downloads.kept("program", make)
    other.join()
    assert len(made) == 1
    assert (folder / "done").exists()
