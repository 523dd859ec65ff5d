"""Serves finished pictures from disk for an hour, under names that cannot be guessed."""

from __future__ import annotations

import os
import re
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from ..bounds import IMAGE_LIFETIME
from ..errors import Unavailable
from ..files import Disk
from ..settings import private_folder

_NAME = re.compile(r"[0-9a-f]{32}\.(png|jpeg|webp|gif)\Z")


class HostedImages:
    """A folder of ours, 0700; its files 0600. What has expired is removed when one is added."""

    def __init__(self, folder: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._clock = clock

    def add(self, data: bytes, kind: str) -> str:
        """Keeps a picture, and returns its name. Raises Unavailable where it cannot."""
        name = f"{secrets.token_hex(16)}.{kind}"
        try:
            for folder in (self._folder.parent, self._folder):
                private_folder(folder)
            self._sweep()
            Disk().create(self._folder / name, data)
            now = self._clock()
            os.utime(self._folder / name, (now, now))
        except OSError as error:
            raise Unavailable(
                f"the picture cannot be kept in {self._folder}: {error.strerror}",
                code="state_unavailable",
            ) from error
        return name

    def find(self, name: str) -> Path | None:
        """The file of a name, unless there is none or it has expired."""
        path = self._folder / name
        return path if _NAME.match(name) and self._good(path) else None

    def _sweep(self) -> None:
        for path in self._folder.iterdir():
            if _NAME.match(path.name) and not self._good(path):
                with suppress(OSError):
                    path.unlink()

    def _good(self, path: Path) -> bool:
        try:
            return path.is_file() and self._clock() - path.stat().st_mtime <= IMAGE_LIFETIME
        except OSError:
            return False
