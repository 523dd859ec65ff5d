"""Where a login lives on this machine.

Knows nothing of OAuth or HTTP. A store loads a `Snapshot`, locks other programs out, and saves.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import secrets
import stat
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from .errors import NotLoggedIn, RefreshUnavailable
from .protocol import auth_file
from .protocol.auth_file import LOGIN_HINT, Credentials

try:
    import fcntl
except ImportError:  # Windows: the atomic replace alone must do
    fcntl = None  # type: ignore[assignment]

MAX_BYTES = 1_000_000
TORN = 1.5
"""Seconds to wait for a file that does not parse: Codex before 0.169 rewrites it in place."""

LOCK_WAIT = 15.0
"""Seconds to wait for `auth.lock`: a refresh under it may take 10."""

COMMIT_WAIT = 5.0
"""Seconds to wait for `auth.json.lock`, as long as Codex itself waits."""

_POLL = 0.02
log = logging.getLogger("codexapi.login")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A login as it was at one moment: the bytes, and what they say."""

    data: bytes = field(repr=False)
    credentials: Credentials

    @classmethod
    def of(cls, data: bytes) -> Snapshot:
        return cls(data, auth_file.parse(data))


class Store(Protocol):
    async def load(self) -> Snapshot:
        """Raises NotLoggedIn."""

    def lock(self) -> AbstractAsyncContextManager[None]:
        """Held around re-read, refresh and save. Raises RefreshUnavailable if it cannot be had."""

    async def save(self, data: bytes, consumed: str | None) -> None:
        """Replaces the login, unless another program has: `consumed` is the refresh token that
        was there before. Raises OSError."""


class InMemory:
    """A login that is on no disk: that of `--demo`."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._lock = asyncio.Lock()

    async def load(self) -> Snapshot:
        return Snapshot.of(self._data)

    @asynccontextmanager
    async def lock(self) -> AsyncIterator[None]:
        async with self._lock:
            yield

    async def save(self, data: bytes, consumed: str | None) -> None:
        self._data = data


class CodexFile:
    """`auth.json` in CODEX_HOME, shared with the Codex client, which rotates it too.

    Read again whenever it has changed. Locks as Codex 0.169 does: `auth.lock` in CODEX_HOME, and
    for the moment of replacing `auth.json.lock` beside the real file (backend.md A.6).
    """

    def __init__(self, codex_home: Path) -> None:
        self.path = codex_home / "auth.json"
        self._lock_path = codex_home / "auth.lock"
        self._seen: tuple[int, ...] | None = None
        self._known: Snapshot | NotLoggedIn | None = None  # what the file said when it was seen

    async def load(self) -> Snapshot:
        until = None
        while True:
            seen, data = self._read()
            if data is None:
                return self._as_before()
            try:
                snapshot = Snapshot.of(data)
            except NotLoggedIn as error:
                now = asyncio.get_running_loop().time()
                until = now + TORN if until is None else until
                if error.code != "auth_file_invalid" or now >= until:
                    self._seen, self._known = seen, error
                    raise
                await asyncio.sleep(_POLL)
            else:
                self._seen, self._known = seen, snapshot
                return snapshot

    @asynccontextmanager
    async def lock(self) -> AsyncIterator[None]:
        async with _flock(self._lock_path, 0o666, LOCK_WAIT) as held:
            if not held:
                raise RefreshUnavailable(
                    f"another program has held {self._lock_path} for {LOCK_WAIT:g} s"
                )
            self._sweep()
            yield

    async def save(self, data: bytes, consumed: str | None) -> None:
        real = self.path.resolve()
        async with _flock(real.with_name("auth.json.lock"), 0o600, COMMIT_WAIT):
            # Not having got the lock, we still save: the pair on disk is dead by now.
            if await self._replaceable(consumed):
                _replace(real, data)
            else:
                log.warning("auth.json was changed by another program; its login is kept")

    async def _replaceable(self, consumed: str | None) -> bool:
        """Whether the file still has the login that was renewed, or is damaged for good."""
        try:
            return (await self.load()).credentials.refresh_token == consumed
        except NotLoggedIn as error:
            return error.code == "auth_file_invalid"

    def _as_before(self) -> Snapshot:
        assert self._known is not None, "a file that was seen said something"
        if isinstance(self._known, NotLoggedIn):
            raise self._known.with_traceback(None)
        return self._known

    def _read(self) -> tuple[tuple[int, ...], bytes | None]:
        """The file's identity, and its bytes unless they were read before."""
        try:
            # Non-blocking: a FIFO in this place must not hang us.
            descriptor = os.open(self.path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        except FileNotFoundError:
            raise NotLoggedIn(f"there is no login at {self.path}: {LOGIN_HINT}") from None
        except OSError as error:
            raise self._unreadable(error.strerror or str(error)) from None
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise self._unreadable("it is not a regular file")
            if status.st_size > MAX_BYTES:
                raise self._unreadable(f"it has {status.st_size} bytes")
            seen = (status.st_mtime_ns, status.st_size, status.st_ino, status.st_ctime_ns)
            if seen == self._seen:
                return seen, None
            # The descriptor stays ours: of a directory, `open` would refuse it and not close it.
            with open(descriptor, "rb", closefd=False) as file:
                return seen, file.read(MAX_BYTES)
        except OSError as error:
            raise self._unreadable(error.strerror or str(error)) from None
        finally:
            os.close(descriptor)

    def _unreadable(self, why: str) -> NotLoggedIn:
        return NotLoggedIn(
            f"{self.path} cannot be read ({why}): make it a file of yours, mode 0600, "
            f"or {LOGIN_HINT}",
            code="auth_file_unreadable",
        )

    def _sweep(self) -> None:
        """Removes what a killed process left: half-written files with live tokens in them."""
        for left in self.path.resolve().parent.glob(".auth.json.codexapi-*.tmp"):
            with suppress(OSError):
                left.unlink()


@asynccontextmanager
async def _flock(path: Path, mode: int, wait: float) -> AsyncIterator[bool]:
    """Holds a kernel lock, which dies with the process. Yields False if it could not be had.

    True also where there are no locks, and where the file cannot be made: a folder that we cannot
    write to is not one in which we could save.
    """
    descriptor = None
    if fcntl is not None:
        with suppress(OSError):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, mode)
    if descriptor is None:
        yield True
        return
    try:
        yield await _locked(descriptor, wait)
    finally:
        os.close(descriptor)


async def _locked(descriptor: int, wait: float) -> bool:
    # Polled, not waited for in a thread: a waiting thread could not be cancelled.
    until = asyncio.get_running_loop().time() + wait
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                return True
        if asyncio.get_running_loop().time() >= until:
            return False
        await asyncio.sleep(_POLL)


def _replace(path: Path, data: bytes) -> None:
    """Writes a file whole or not at all, with the mode it had."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        mode = 0o600
    temporary = path.with_name(f".auth.json.codexapi-{secrets.token_hex(8)}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    try:
        with open(os.open(temporary, flags, 0o600), "wb") as file:
            if hasattr(os, "fchmod"):
                os.fchmod(file.fileno(), mode)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Makes the replacing itself survive a power cut, where the system can."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
