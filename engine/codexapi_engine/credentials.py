"""Where a login lives on this machine.

Knows nothing of OAuth or HTTP. A store loads a `Snapshot`, locks other programs out, and saves.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import logging
import os
import secrets
import stat
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from .consumed_tokens import ConsumedTokens, fingerprint
from .errors import NotLoggedIn, RefreshUnavailable
from .files import MOUNT_POINT, NO_WAIT, Disk, read_regular
from .login_hint import not_logged_in
from .protocol import auth_file
from .protocol.auth_file import LOGIN_HINT, Credentials
from .protocol.secret import Secret
from .settings import Settings, private_folder

try:
    import fcntl
except ImportError:  # Windows: the atomic replace alone must do
    fcntl = None  # type: ignore[assignment]

STORE = "cli_auth_credentials_store"
"""The setting of Codex's config.toml that says where a login is."""

MAX_BYTES = 1_000_000
TORN = 1.5
"""Seconds to wait for a file that does not parse: Codex before 0.169 rewrites it in place."""

LOCK_WAIT = 15.0
"""Seconds to wait for `auth.lock`: a refresh under it may take 10."""

COMMIT_WAIT = 5.0
"""Seconds to wait for `auth.json.lock`, as long as Codex itself waits."""

IN_USE = 2.0
"""Seconds to wait for Windows, where a file that another program reads cannot be replaced."""

LEFT_BEHIND = 60.0
"""Seconds after which a half-written file is nobody's, where no lock can tell."""

RACY = 0.1
"""Seconds in which a file may change again and show the same times: those move in ticks."""

_Identity = tuple[int, int, int, int]
"""What is another when a file is."""

_POLL = 0.02
_TEMPORARY = ".auth.json.codexapi-{}.tmp"
_LARGER = 16 * 1024
"""Bytes by which a new login may be larger than the one before."""

_IN_PLACE = MOUNT_POINT | {errno.EACCES, errno.EPERM, errno.EROFS}
"""Why a file may not be replaced, and yet be written to."""

_MARKS = ".auth.json.codexapi-spent"
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

    async def save(self, data: bytes, consumed: Secret | None) -> None:
        """Replaces the login, unless another program has: `consumed` is the refresh token that
        was there before. Raises OSError."""

    async def check_writable(self) -> None:
        """Raises OSError unless a new login can be saved here: to be asked before its refresh
        token is sent, since that is good for one use."""

    def mark_consumed(self, token: Secret, reason: str) -> None:
        """Tells every process that comes later never to send this refresh token again. `reason`
        is a word of the login's own. On the disk when it returns. Raises OSError."""

    def clear_mark(self, token: Secret) -> None:
        """The token was not used."""

    def consumed_reason(self, token: Secret) -> str | None:
        """Why this refresh token is not to be sent; None if it may be."""


def store_of(settings: Settings) -> Store:
    """Where the user's login is: in the environment, or where Codex's own config says."""
    if settings.access_token is not None:
        try:
            return InMemory(auth_file.from_access_token(settings.access_token.reveal()))
        except NotLoggedIn as error:
            return Nowhere(error)
    home = settings.codex_home
    kind = _setting(home / "config.toml", STORE)
    if kind in ("keyring", "auto"):
        from .keyrings import Keyring, KeyringOrFile  # seldom, and it reads much

        kinds = Keyring if kind == "keyring" else KeyringOrFile
        return kinds(home, state_dir=settings.state_dir)
    if kind == "ephemeral":
        return Nowhere(
            NotLoggedIn(
                "Codex keeps its login in memory alone, by cli_auth_credentials_store in its "
                f'config.toml: set that to "file" and {LOGIN_HINT}'
            )
        )
    return CodexFile(home, state_dir=settings.state_dir)


class InMemory:
    """A login that is on no disk: that of `--demo`, and one from the environment."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._known: Snapshot | None = None  # what the data say, once they were asked
        self._lock = asyncio.Lock()
        self._consumed: dict[Secret, str] = {}

    async def load(self) -> Snapshot:
        if self._known is None:
            self._known = Snapshot.of(self._data)
        return self._known

    @asynccontextmanager
    async def lock(self) -> AsyncIterator[None]:
        async with self._lock:
            yield

    async def save(self, data: bytes, consumed: Secret | None) -> None:
        self._data, self._known = data, None
        if consumed is not None:
            self.clear_mark(consumed)

    async def check_writable(self) -> None:
        pass

    def mark_consumed(self, token: Secret, reason: str) -> None:
        self._consumed[token] = reason

    def clear_mark(self, token: Secret) -> None:
        self._consumed.pop(token, None)

    def consumed_reason(self, token: Secret) -> str | None:
        return self._consumed.get(token)


class Nowhere(InMemory):
    """No login, and why."""

    def __init__(self, why: NotLoggedIn) -> None:
        super().__init__(b"{}")
        self._why = why

    async def load(self) -> Snapshot:
        raise self._why.with_traceback(None)


class CodexHomeLock:
    """What programs with one CODEX_HOME have in common: `auth.lock`, which Codex 0.169 takes too,
    and among ours the refresh tokens that are never to be sent again.

    `locks`: whether there are kernel locks, which die with their process. Not on Windows.
    `state_dir` takes what the login's folder does not.
    """

    def __init__(
        self,
        codex_home: Path,
        *,
        state_dir: Path | None = None,
        disk: Disk | None = None,
        locks: bool = fcntl is not None,
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
    async def lock(self, wait: float = LOCK_WAIT) -> AsyncIterator[None]:
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

    _shared: CodexHomeLock

    def mark_consumed(self, token: Secret, reason: str) -> None:
        self._shared.consumed.mark(token, reason)

    def clear_mark(self, token: Secret) -> None:
        self._shared.consumed.clear(token)

    def consumed_reason(self, token: Secret) -> str | None:
        return self._shared.consumed.reason(token)


class CodexFile(MarksTokens):
    """`auth.json` in CODEX_HOME, shared with the Codex client, which rotates it too.

    Read again whenever it has changed, by its times, its size and its place: a mode that is taken
    away changes one of the times. (On Windows an access list does not: what was read stays known
    until the file is another.) Locks as Codex 0.169 does: `auth.lock` in CODEX_HOME, and for the
    moment of replacing `auth.json.lock` beside the real file (backend.md A.6).
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
            locks=fcntl is not None and not windows,
        )
        self._seen: _Identity | None = None
        self._known: Snapshot | NotLoggedIn | None = None  # what the file said when it was seen
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
            seen, data = self._read()
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
                self._seen, self._known = (None if self._racy(seen) else seen), snapshot
                return snapshot

    @asynccontextmanager
    async def lock(self) -> AsyncIterator[None]:
        async with self._shared.lock():
            self._seen = None  # a network file system may tell times that are seconds old
            await self._sweep()
            yield

    async def save(self, data: bytes, consumed: Secret | None) -> None:
        real = self._real()
        async with self._committing(real):
            self._seen = None  # as in `lock`, and a renewal takes seconds
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
            await asyncio.sleep(_POLL)

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

    def _read(self) -> tuple[_Identity, bytes]:
        """The file's identity, taken before its bytes: what changes between is read again."""
        try:
            status, data = read_regular(self.path, MAX_BYTES)
        except FileNotFoundError:
            raise NotLoggedIn(not_logged_in(f"there is no {self.path}")) from None
        except OSError as error:
            raise self._unreadable(error.strerror or str(error)) from None
        self._warn_of(status.st_mode)
        return _identity_of(status), data

    def _racy(self, seen: _Identity) -> bool:
        return self._clock() - max(seen[0], seen[3]) / 1e9 < RACY

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
        """At the start, unless somebody is saving just now."""
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
                        await self._put(left, real, read_regular(left, MAX_BYTES)[1])
                    else:
                        self._disk.unlink(left)

    async def _is_next(self, left: Path, real: Path) -> bool:
        """Whether a file that was left has the pair that was got for the token on disk, or the
        one on disk is what a kill left of writing it in its place."""
        try:
            if not stat.S_ISREG(os.lstat(left).st_mode):
                return False
            Snapshot.of(read_regular(left, MAX_BYTES)[1])
        except NotLoggedIn:
            return False
        until = asyncio.get_running_loop().time() + TORN
        while True:
            try:
                on_disk = Snapshot.of(read_regular(real, MAX_BYTES)[1]).credentials.refresh_token
                return on_disk is not None and left.name.startswith(_prefix(on_disk))
            except NotLoggedIn as error:
                if error.code != "auth_file_invalid":
                    return False
                if asyncio.get_running_loop().time() >= until:
                    return True
            await asyncio.sleep(_POLL)


def login_folder(state_dir: Path, codex_home: Path) -> Path:
    """Our own folder for the login of one CODEX_HOME: what that folder itself does not take."""
    name = hashlib.sha256(os.fsencode(os.path.realpath(codex_home))).hexdigest()[:16]
    return state_dir / "login" / name


def _identity_of(status: os.stat_result) -> _Identity:
    return status.st_mtime_ns, status.st_size, status.st_ino, status.st_ctime_ns


def _setting(config: Path, name: str) -> object:
    """One setting of Codex's own config.toml; None if it is not there."""
    try:
        text = read_regular(config, MAX_BYTES)[1].decode()
        if name not in text:
            return None  # reading TOML takes 12 ms to begin with
        import tomllib

        return tomllib.loads(text).get(name)
    except (OSError, ValueError, RecursionError):
        return None


def _prefix(consumed: Secret | None) -> str:
    return _TEMPORARY.partition("{}")[0] + fingerprint(consumed)[:16]


def _lockable(path: Path, mode: int) -> int | None:
    """A descriptor to lock. Where nothing can be written, one that is there will do."""
    for flags in (os.O_RDWR | os.O_CREAT, os.O_RDONLY):
        with suppress(OSError):
            descriptor = os.open(path, flags | os.O_CLOEXEC | NO_WAIT, mode)
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                return descriptor
            os.close(descriptor)
    return None


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
