"""Pictures on the user's own disk: their names, and how they get there.

A picture was paid for: nothing is ever written over unless it was asked for, a file is there whole
or not at all, and a name that was taken meanwhile costs the picture its name alone. Knows nothing
of who asked.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from .pictures import MAX_BYTES, Input

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
    """Where pictures go when nobody says: the user's own folder for them, else ours."""
    shelf = home / "Pictures"
    return (shelf if shelf.is_dir() else state_dir) / "codexapi"


def load(path: Path, param: str) -> Input:
    """A picture from disk, no more of it than we would take. Raises OSError."""
    with open(os.path.expanduser(path), "rb") as file:
        return Input(param, file.read(MAX_BYTES + 1))


def save(path: Path, data: bytes, *, over: bool = False) -> Path:
    """Writes a picture, and returns its absolute path: `-2`, `-3` … where the name is taken and
    nothing may be written over. Raises OSError, and then there is no file."""
    path = Path(os.path.abspath(path))
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with open(part, "xb") as file:
            file.write(data)
        if over:
            part.replace(path)
            return path
        return next(free for free in _names(path) if _linked(part, free))
    finally:
        with suppress(OSError):
            part.unlink()


def _names(path: Path) -> Iterator[Path]:
    yield path
    number = 2
    while True:
        yield path.with_name(f"{path.stem}-{number}{path.suffix}")
        number += 1


def _linked(part: Path, path: Path) -> bool:
    """Gives a file its name, unless that is taken."""
    try:
        os.link(part, path)
    except FileExistsError:
        return False
    except OSError:  # a file system without links
        if os.path.lexists(path):
            return False
        part.rename(path)
    return True
