"""Chooses the file names of pictures on the user's disk."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

from ..bounds import MAX_FILE_BYTES
from ..login.login_files import LoginFiles
from .processing import Input

FORMATS = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp"}
"""By the extension of a name."""

_WORDS = re.compile(r"[a-z0-9]+")
_LONGEST = 40


def name_for(prompt: str, stamp: str, kind: str) -> str:
    """`a-red-fox-20261124-093000.png`"""
    words = "-".join(_WORDS.findall(prompt.lower()))
    slug = words if len(words) <= _LONGEST else words[:_LONGEST].rpartition("-")[0]
    return f"{slug or 'picture'}-{stamp}{extension(kind)}"


def extension(kind: str) -> str:
    return next(end for end, named in FORMATS.items() if named == kind)


def numbered(path: Path, count: int) -> list[Path]:
    """`fox.png`, or `fox-1.png`, `fox-2.png` … for several."""
    if count == 1:
        return [path]
    return [path.with_name(f"{path.stem}-{n}{path.suffix}") for n in range(1, count + 1)]


def default_folder(state_dir: Path, home: Path) -> Path:
    """The default folder of pictures: the user's own folder for them, else ours."""
    pictures = home / "Pictures"
    return pictures / "codexapi" if pictures.is_dir() else state_dir / "pictures"


def load(path: Path, param: str, login: LoginFiles) -> Input:
    """A picture from disk, no more of it than we would take. Raises OSError, for a file of the
    login too."""
    name = os.path.expanduser(path)
    with open(name, "rb") as file:
        if login.has(name, file.fileno()):
            raise PermissionError(
                errno.EACCES, "it is a part of your login, which goes to no model"
            )
        return Input(param, file.read(MAX_FILE_BYTES + 1))
