"""The lock that the official client takes for a refresh, and the marks of consumed tokens."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from ..bounds import LOGIN_LOCK_WAIT
from ..errors import RefreshUnavailable
from ..file_lock import try_lock
from ..files import NO_WAIT, Disk
from ..protocol.auth_file import LOGIN_HINT
from ..protocol.secret import Secret
from ..settings import LOGINS, private_folder
from .consumed_tokens import ConsumedTokens

POLL_INTERVAL = 0.02

_MARKS = ".auth.json.codexapi-spent"


class CodexHomeLock:
    """What programs with one CODEX_HOME have in common: `auth.lock`, which Codex 0.169 takes too,
    and among ours the refresh tokens that are never to be sent again.

    `locks`: whether to take locks. Not on Windows, where the atomic replace alone must do.
    `state_dir` takes what the login's folder does not.
    """

    def __init__(
        self,
        codex_home: Path,
        *,
        state_dir: Path | None = None,
        disk: Disk | None = None,
        locks: bool = os.name == "posix",
    ) -> None:
        self.locks = locks
        self._lock_path = codex_home / "auth.lock"
        self._elsewhere = login_folder(state_dir, codex_home) if state_dir else None
        self._holds_common = False  # the lock that is held is the one that Codex takes too
        places = [codex_home / _MARKS]
        if self._elsewhere is not None:
            places.append(self._elsewhere / _MARKS)
        self.consumed = ConsumedTokens(places, disk or Disk())

    @asynccontextmanager
    async def lock(self, wait: float = LOGIN_LOCK_WAIT) -> AsyncIterator[None]:
        """Where `auth.lock` cannot be made, one in our own folder keeps at least those of ours from
        each other."""
        common = _lockable(self._lock_path, 0o666) if self.locks else None
        descriptor = self._own() if common is None else common
        try:
            if descriptor is not None and not await _locked(descriptor, wait):
                raise RefreshUnavailable(
                    f"another program has held {self._lock_path} for {wait:g} s"
                )
            self._holds_common = common is not None
            yield
        finally:
            if descriptor is not None:
                os.close(descriptor)

    def check(self) -> None:
        """Raises OSError where `auth.lock` could not be had, and could be now: by now another
        program may hold it, and send what we are about to send."""
        if self._holds_common or not self.locks:
            return
        if (descriptor := _lockable(self._lock_path, 0o666)) is not None:
            os.close(descriptor)
            raise OSError(errno.EAGAIN, "auth.lock could not be made a moment ago")

    def _own(self) -> int | None:
        if self._elsewhere is None or not self.locks:
            return None
        with suppress(OSError):
            private_folder(self._elsewhere)
        return _lockable(self._elsewhere / "auth.lock", 0o600)

    @asynccontextmanager
    async def flock(self, path: Path, mode: int, wait: float) -> AsyncIterator[bool]:
        """Holds a kernel lock. Yields False if it could not be had.

        True also where there are no locks, and where the file cannot be made: a folder that we
        cannot write to is not one in which we could save.
        """
        descriptor = _lockable(path, mode) if self.locks else None
        if descriptor is None:
            yield True
            return
        try:
            yield await _locked(descriptor, wait)
        finally:
            os.close(descriptor)


class MarksTokens:
    """The part of a `Store` that all programs with one CODEX_HOME share."""

    login_hint = LOGIN_HINT
    _shared: CodexHomeLock

    def mark_consumed(self, token: Secret, reason: str) -> None:
        self._shared.consumed.mark(token, reason)

    def clear_mark(self, token: Secret) -> None:
        self._shared.consumed.clear(token)

    def consumed_reason(self, token: Secret) -> str | None:
        return self._shared.consumed.reason(token)


def login_folder(state_dir: Path, codex_home: Path) -> Path:
    """Our own folder for the login of one CODEX_HOME: what that folder itself does not take."""
    name = hashlib.sha256(os.fsencode(os.path.realpath(codex_home))).hexdigest()[:16]
    return state_dir / LOGINS / name


def _lockable(path: Path, mode: int) -> int | None:
    """A descriptor to lock. Where nothing can be written, one that is there will do."""
    for flags in (os.O_RDWR | os.O_CREAT, os.O_RDONLY):
        with suppress(OSError):
            descriptor = os.open(path, flags | NO_WAIT, mode)
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                return descriptor
            os.close(descriptor)
    return None


async def _locked(descriptor: int, wait: float) -> bool:
    # Polled, not waited for in a thread: a waiting thread could not be cancelled.
    until = asyncio.get_running_loop().time() + wait
    while True:
        try:
            if try_lock(descriptor):
                return True
        except OSError:  # a file system without locks
            return True
        if asyncio.get_running_loop().time() >= until:
            return False
        await asyncio.sleep(POLL_INTERVAL)
