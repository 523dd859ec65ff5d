"""The login in `auth.json`: read without hanging, and written atomically."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import secrets
import stat
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path

from ..bounds import MAX_LOGIN_BYTES
from ..errors import NotLoggedIn, RefreshUnavailable
from ..files import MOUNT_POINT, NO_WAIT, Disk, read_regular
from ..protocol.auth_file import LOGIN_HINT
from ..protocol.secret import Secret
from ..settings import private_folder
from .consumed_tokens import fingerprint
from .locks import POLL_INTERVAL, CodexHomeLock, MarksTokens, login_folder
from .login_hint import not_logged_in
from .store import Snapshot

PARTIAL_WRITE = 1.5
"""Seconds to wait for a file that does not parse: Codex before 0.169 rewrites it in place."""


COMMIT_WAIT = 5.0
"""Seconds to wait for `auth.json.lock`, as long as Codex itself waits."""


IN_USE = 2.0
"""Seconds to wait for Windows, where a file that another program reads cannot be replaced."""


LEFT_BEHIND = 60.0
"""Seconds after which a half-written file is abandoned, where there is no lock to check."""


MTIME_GRANULARITY = 0.1
"""Seconds in which a file may change again and show the same times: those move in ticks."""


_Identity = tuple[int, int, int, int]
"""What is another when a file is."""


_TEMPORARY = ".auth.json.codexapi-{}.tmp"


_LARGER = 16 * 1024
"""Bytes by which a new login may be larger than the one before."""


_IN_PLACE = MOUNT_POINT | {errno.EACCES, errno.EPERM, errno.EROFS}
"""Why a file may not be replaced, and yet be written to."""


log = logging.getLogger("codexapi.login")


class CodexFile(MarksTokens):
    """`auth.json` in CODEX_HOME, shared with the Codex client, which rotates it too.

    Read again whenever it has changed, by its times, its size and its place: a mode that is taken
    away changes one of the times. (On Windows an access list does not: what was read stays known
    until the file is another.) Locks as Codex 0.169 does: `auth.lock` in CODEX_HOME, and for the
    moment of replacing `auth.json.lock` beside the real file.
    """

    def __init__(
        self,
        codex_home: Path,
        *,
        state_dir: Path | None = None,
        disk: Disk | None = None,
        windows: bool = os.name == "nt",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.path = codex_home / "auth.json"
        # Where a new login waits if the folder of the old one takes no file.
        self._elsewhere = login_folder(state_dir, codex_home) if state_dir else None
        self._disk = disk or Disk()
        self._name = str(self.path)  # asked for with each request
        self._windows = windows
        self._clock = clock
        self._shared = CodexHomeLock(
            codex_home,
            state_dir=state_dir,
            disk=self._disk,
            locks=not windows,
        )
        self._seen: _Identity | None = None
        self._known: Snapshot | NotLoggedIn | None = None  # the file's content at that time
        self._swept = False
        self._warned = windows  # where modes say nothing

    async def load(self) -> Snapshot:
        if not self._swept:
            self._swept = True
            await self._sweep_if_idle()
        until = None
        while True:
            if self._seen is not None and self._identity() == self._seen:
                return self._as_before()
            seen, data = self._read_file()
            try:
                snapshot = Snapshot.of(data)
            except NotLoggedIn as error:
                now = asyncio.get_running_loop().time()
                until = now + PARTIAL_WRITE if until is None else until
                if error.code != "auth_file_invalid" or now >= until:
                    self._seen, self._known = seen, error
                    raise
                await asyncio.sleep(POLL_INTERVAL)
            else:
                self._seen, self._known = (
                    (None if self._may_change_unseen(seen) else seen),
                    snapshot,
                )
                return snapshot

    def forget(self) -> None:
        self._seen = None  # a network file system may report times that are seconds old

    @asynccontextmanager
    async def lock(self) -> AsyncIterator[None]:
        async with self._shared.lock():
            self.forget()
            await self._sweep()
            yield

    async def save(self, data: bytes, consumed: Secret | None) -> None:
        real = self._real()
        async with self._committing(real):
            self.forget()  # as in `lock`, and a renewal takes seconds
            # Not having got the lock, we still save: the pair on disk is dead by now.
            if await self._replaceable(consumed):
                await self._put(self._copy(real, data, consumed), real, data)
                if consumed is not None:
                    self.clear_mark(consumed)
            else:  # and the mark stays: it may be of that login
                log.warning("auth.json was changed by another program; its login is kept")

    async def check_writable(self) -> None:
        self._shared.check()
        real = self._real()
        size = os.stat(real).st_size + _LARGER
        try:
            self._disk.takes_files(real.parent, size, _TEMPORARY)
            if not self._disk.is_mount_point(real, _TEMPORARY):
                return
        except OSError:
            if self._elsewhere is None:
                raise
            private_folder(self._elsewhere)
            self._disk.takes_files(self._elsewhere, size, _TEMPORARY)
        # The file must do as it is. Opened as a test, and not written to.
        self._disk.close(self._disk.open(real, os.O_WRONLY | NO_WAIT))

    def _committing(self, real: Path) -> AbstractAsyncContextManager[bool]:
        return self._shared.flock(real.with_name("auth.json.lock"), 0o600, COMMIT_WAIT)

    def _real(self) -> Path:
        return Path(os.path.realpath(self.path))

    async def _replaceable(self, consumed: Secret | None) -> bool:
        """Whether the file still has the login that was renewed, or is damaged for good."""
        try:
            return (await self.load()).credentials.refresh_token == consumed
        except NotLoggedIn as error:
            return error.code == "auth_file_invalid"

    def _copy(self, real: Path, data: bytes, consumed: Secret | None) -> Path | None:
        """The new login, complete and on the disk, beside the file or in our own folder. None
        where neither takes it: then the file itself is all there is."""
        try:
            mode = stat.S_IMODE(real.stat().st_mode)
        except FileNotFoundError:
            mode = 0o600
        # By its name it is known whose place it is to take.
        name = f"{_prefix(consumed)}-{secrets.token_hex(8)}.tmp"
        for folder in filter(None, (real.parent, self._elsewhere)):
            with suppress(OSError):
                if folder is self._elsewhere:
                    private_folder(folder)
                self._disk.create(folder / name, data, mode)
                return folder / name
        return None

    async def _put(self, copy: Path | None, real: Path, data: bytes) -> None:
        """The new login in the place of the old one: in one step, or, where the file can only be
        written to, in its place. The copy stays until that is proved. Raises OSError."""
        try:
            if copy is not None and copy.parent == real.parent:
                await self._replace(copy, real)
                self._disk.sync_folder(real.parent)
                return
        except OSError as error:
            if error.errno not in _IN_PLACE:
                raise
        self._disk.overwrite(real, data)
        if copy is not None:
            with suppress(OSError):
                self._disk.unlink(copy)

    async def _replace(self, copy: Path, real: Path) -> None:
        until = asyncio.get_running_loop().time() + (IN_USE if self._windows else 0)
        while True:
            try:
                self._disk.replace(copy, real)
                return
            except PermissionError:
                if asyncio.get_running_loop().time() >= until:
                    raise
            await asyncio.sleep(POLL_INTERVAL)

    def _as_before(self) -> Snapshot:
        assert self._known is not None, "a file that was seen said something"
        if isinstance(self._known, NotLoggedIn):
            raise self._known.with_traceback(None)
        return self._known

    def _identity(self) -> _Identity | None:
        """None where it cannot be had, and `_read` says why."""
        try:
            return _identity_of(os.stat(self._name))
        except OSError:
            return None

    def _read_file(self) -> tuple[_Identity, bytes]:
        """The file's identity, taken before its bytes: what changes between is read again."""
        try:
            status, data = read_regular(self.path, MAX_LOGIN_BYTES)
        except FileNotFoundError:
            raise NotLoggedIn(not_logged_in(f"there is no {self.path}")) from None
        except OSError as error:
            raise self._unreadable(error.strerror or str(error)) from None
        self._warn_of(status.st_mode)
        return _identity_of(status), data

    def _may_change_unseen(self, seen: _Identity) -> bool:
        return self._clock() - max(seen[0], seen[3]) / 1e9 < MTIME_GRANULARITY

    def _warn_of(self, mode: int) -> None:
        if mode & 0o077 and not self._warned:
            self._warned = True
            log.warning(
                "other users of this machine may read or change %s, which is as good as a "
                "password: chmod 600 it", self.path,
            )  # fmt: skip

    def _unreadable(self, why: str) -> NotLoggedIn:
        return NotLoggedIn(
            f"{self.path} cannot be read ({why}): make it a file of yours, mode 0600, "
            f"or {LOGIN_HINT}",
            code="auth_file_unreadable",
        )

    async def _sweep_if_idle(self) -> None:
        """At the start, unless another process is saving."""
        if self._left_behind(self._real()):
            with suppress(RefreshUnavailable):
                async with self._shared.lock(wait=0):
                    await self._sweep()

    def _left_behind(self, real: Path) -> list[Path]:
        folders = filter(None, (real.parent, self._elsewhere))
        return [path for folder in folders for path in folder.glob(_TEMPORARY.format("*"))]

    async def _sweep(self) -> None:
        """Ends what a killed process began. Its half-written files, with live tokens in them, are
        removed; one that is complete, and next in line, is put where it was meant to go."""
        real = self._real()
        for left in self._left_behind(real):
            with suppress(OSError):
                if not self._shared.locks and self._clock() - os.stat(left).st_mtime < LEFT_BEHIND:
                    continue
                async with self._committing(real):
                    if await self._is_next(left, real):
                        await self._put(left, real, read_regular(left, MAX_LOGIN_BYTES)[1])
                    else:
                        self._disk.unlink(left)

    async def _is_next(self, left: Path, real: Path) -> bool:
        """Whether a file that was left has the pair that was got for the token on disk, or the
        one on disk is what a kill left of writing it in its place."""
        try:
            if not stat.S_ISREG(os.lstat(left).st_mode):
                return False
            Snapshot.of(read_regular(left, MAX_LOGIN_BYTES)[1])
        except NotLoggedIn:
            return False
        until = asyncio.get_running_loop().time() + PARTIAL_WRITE
        while True:
            try:
                on_disk = Snapshot.of(
                    read_regular(real, MAX_LOGIN_BYTES)[1]
                ).credentials.refresh_token
                return on_disk is not None and left.name.startswith(_prefix(on_disk))
            except NotLoggedIn as error:
                if error.code != "auth_file_invalid":
                    return False
                if asyncio.get_running_loop().time() >= until:
                    return True
            await asyncio.sleep(POLL_INTERVAL)


def _identity_of(status: os.stat_result) -> _Identity:
    return status.st_mtime_ns, status.st_size, status.st_ino, status.st_ctime_ns


def _prefix(consumed: Secret | None) -> str:
    return _TEMPORARY.partition("{}")[0] + fingerprint(consumed)[:16]
