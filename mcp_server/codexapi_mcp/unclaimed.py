"""Records finished pictures that no call has returned, so that the next call can.

Either the call was cancelled, or the editor had left. The record is on disk, since the next call
may reach another process. It has a hash of the call and the paths, and no content of the call.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from codexapi_engine import user_files
from codexapi_engine.bounds import RESULT_LIFETIME, UNCLAIMED_LIFETIME
from codexapi_engine.file_lock import try_lock
from codexapi_engine.settings import private_folder

_NEW, _SEEN, _DRAWING = ".new", ".seen", ".drawing"


class Unclaimed:
    """A folder with a record of each such call. None of it raises: a picture is there without a
    record, too."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._clock = clock

    def keep(self, key: str, paths: Sequence[Path], *, arrived: bool = False) -> None:
        """`arrived`: a client may have the result, so that only the same call needs the record."""
        record = {"at": self._clock(), "paths": [str(path) for path in paths]}
        with suppress(OSError, ValueError):
            private_folder(self._folder)
            place = self._folder / f"{key}{_SEEN if arrived else _NEW}"
            user_files.write(place, json.dumps(record).encode(), over=True)
            place.chmod(0o600)

    def begin(self, key: str) -> None:
        """Says that a picture of this call is being made, as long as this process or a copy of it
        lives: then the lock is dropped by the system."""
        with suppress(OSError):
            private_folder(self._folder)
            _is_locked(self._folder / f"{key}{_DRAWING}", keep=True)

    def is_drawing(self, key: str) -> bool:
        """Whether another process is making the picture of this call."""
        place = self._folder / f"{key}{_DRAWING}"
        return place.exists() and _is_locked(place)

    def claim(self, key: str) -> list[Path]:
        """The pictures of the same call, if it was made in the last minutes. They are given once."""
        for ending in (_NEW, _SEEN):
            place = self._folder / f"{key}{ending}"
            at, paths = self._read(place)
            if paths and _taken(place) and self._clock() - at <= RESULT_LIFETIME:
                return paths
        return []

    def news(self) -> list[Path]:
        """Takes the pictures that no call has returned: each is returned once."""
        found = []
        with suppress(OSError):
            for name in sorted(os.listdir(self._folder)):
                place = self._folder / name
                at, paths = self._read(place)
                age = self._clock() - at
                if (place.suffix == _SEEN and age > RESULT_LIFETIME) or (
                    place.suffix == _DRAWING and not _is_locked(place)
                ):
                    _taken(place)
                elif place.suffix == _NEW and _renamed(place) and age <= UNCLAIMED_LIFETIME:
                    found += paths
        return found

    def _read(self, place: Path) -> tuple[float, list[Path]]:
        """When it was kept, and the pictures that are still there."""
        try:
            record = json.loads(place.read_bytes())
            paths = [Path(path) for path in record["paths"]]
            return float(record["at"]), [path for path in paths if path.is_file()]
        except (OSError, ValueError, TypeError, KeyError):
            return 0.0, []


def _is_locked(place: Path, *, keep: bool = False) -> bool:
    """Whether another process has the lock; `keep` takes it, until this one ends."""
    try:
        descriptor = os.open(place, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError:
        return False
    locked = True
    try:
        locked = not try_lock(descriptor)
    except OSError:  # a file system without locks
        pass
    if locked or not keep:
        os.close(descriptor)
    return locked


def _taken(place: Path) -> bool:
    """Removes a record. False where another process has it."""
    try:
        place.unlink()
    except OSError:
        return False
    return True


def _renamed(place: Path) -> bool:
    try:
        place.rename(place.with_suffix(_SEEN))
    except OSError:
        return False
    return True
