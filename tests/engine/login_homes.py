"""A CODEX_HOME with a login in it."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests import unix
from tests.logins import auth_json
from tests.virtual_time import hurried

from codexapi_engine.login.file_store import CodexFile
from codexapi_engine.login.store import Snapshot
from codexapi_engine.protocol.secret import Secret

if sys.platform == "win32":
    pytest.skip("users, modes and locks of Unix", allow_module_level=True)
NOBODY = 65534


def loaded(home: Path) -> Snapshot:
    return hurried(CodexFile(home).load())


@contextmanager
def mere_user() -> Iterator[None]:
    """root may read everything: for a moment we are somebody else."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(before)


def let_others_reach(path: Path) -> None:
    """Lets others pass through the private folders in which pytest puts a test's own. They stay
    open: other tests run in the same ones at the same time."""
    for folder in path.parents if os.geteuid() == 0 else ():
        mode = stat.S_IMODE(folder.stat().st_mode)
        if mode & 0o111 != 0o111:
            folder.chmod(mode | 0o111)


def directory(path: Path) -> None:
    path.mkdir()


FIRST = Secret("canary-refresh-first")


def saved(home: Path, data: bytes, consumed: Secret | None = FIRST) -> None:
    hurried(CodexFile(home).save(data, consumed))


NEW = auth_json(mark="new", refresh="canary-refresh-new")


@contextmanager
def held(path: Path) -> Iterator[Callable[[], None]]:
    """Another program's lock, and the way to let it go."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    unix.lock(descriptor)
    try:
        yield lambda: unix.unlock(descriptor)
    finally:
        os.close(descriptor)
