"""Recognises the files of the login, which are never attached to a request.

A file is compared by path and by inode, since links give it other names. No file is read.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ..settings import LOGINS, Settings

DRAWN = "generated_images"
"""The folder in CODEX_HOME where Codex puts pictures: the only one that is no part of a login."""

_LOGIN = ("auth.json", ".auth.json", ".credentials.json")
_OF_PROCESSES = ("environ", "mem")
"""Files under `/proc` that hold a process' token."""


class LoginFiles(NamedTuple):
    """All that is in CODEX_HOME, with the copies of the login that stand elsewhere."""

    home: Path
    state_dir: Path

    @classmethod
    def of(cls, settings: Settings) -> LoginFiles:
        return cls(settings.codex_home, settings.state_dir)

    def has(self, path: Path | str, descriptor: int) -> bool:
        """Whether a file, open as `descriptor` by this `path`, is one of them."""
        real = Path(os.path.realpath(path))
        if real.parts[1:2] == ("proc",) and real.name in _OF_PROCESSES:
            return True
        if self._is_inside(real):
            return True
        status = os.fstat(descriptor)
        if any(os.path.samestat(status, one) for one in self._known()):
            return True
        return status.st_nlink > 1 and self._is_linked(status)

    def _is_inside(self, real: Path) -> bool:
        home, ours = _stat(self.home), _stat(self.state_dir / LOGINS)
        below = real
        for folder in real.parents:
            status = _stat(folder)
            if _is_same(status, ours):
                return True
            if _is_same(status, home):
                return below == real or below.name != DRAWN
            below = folder
        return False

    def _is_linked(self, status: os.stat_result) -> bool:
        """Whether a file with several names has one in these folders, however deep."""
        for top in (self.home, self.state_dir / LOGINS):
            for folder, names, files in os.walk(top):
                if Path(folder) == self.home:
                    names[:] = [name for name in names if name != DRAWN]
                own = (_stat(Path(folder, name), links=False) for name in files)
                if any(_is_same(one, status) for one in own):
                    return True
        return False

    def _known(self) -> Iterator[os.stat_result]:
        """The files in the folder itself, and copies of the login beside the real file and in our
        own folders."""
        ours = self.state_dir / LOGINS
        for folder in (self.home, *(ours / name for name in _file_names(ours))):
            yield from _files(folder, "")
        real = Path(os.path.realpath(self.home / "auth.json"))
        for folder in {real.parent, self.state_dir} - {self.home}:
            yield from _files(folder, *_LOGIN, real.name, f".{real.name}")


def _is_same(one: os.stat_result | None, other: os.stat_result | None) -> bool:
    return one is not None and other is not None and os.path.samestat(one, other)


def _file_names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _files(folder: Path, *prefixes: str) -> Iterator[os.stat_result]:
    for name in _file_names(folder):
        if not name.startswith(prefixes):
            continue
        # Of all else, a link leads to what the user keeps elsewhere: instructions, settings.
        status = _stat(folder / name, links=name.startswith(_LOGIN))
        if status is not None:
            yield status


def _stat(path: Path, *, links: bool = True) -> os.stat_result | None:
    try:
        return os.stat(path, follow_symlinks=links)
    except (OSError, ValueError):
        return None
