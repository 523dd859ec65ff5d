"""Pictures on disk that a client may fetch for an hour, by names that cannot be guessed."""

from __future__ import annotations

import os
import re
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

LIFETIME = 3600.0
"""Seconds; as long as the official API keeps its own addresses good."""

_NAME = re.compile(r"[0-9a-f]{32}\.(png|jpeg|webp|gif)\Z")


class Gallery:
    """A folder of ours, 0700; its files 0600. What has expired is removed when one is added."""

    def __init__(self, folder: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._clock = clock

    def add(self, data: bytes, kind: str) -> str:
        """Keeps a picture, and returns its name. Raises OSError."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._sweep()
        name = f"{secrets.token_hex(16)}.{kind}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        with open(os.open(self._folder / name, flags, 0o600), "wb") as file:
            file.write(data)
        return name

    def find(self, name: str) -> Path | None:
        """The file of a name, unless there is none or it has expired."""
        if not _NAME.match(name):
            return None
        path = self._folder / name
        return path if path.is_file() and not self._expired(path) else None

    def _sweep(self) -> None:
        for path in self._folder.iterdir():
            with suppress(OSError):
                if _NAME.match(path.name) and self._expired(path):
                    path.unlink()

    def _expired(self, path: Path) -> bool:
        return self._clock() - path.stat().st_mtime > LIFETIME
