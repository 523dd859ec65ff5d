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

from .errors import NotLoggedIn, RefreshUnavailable
from .protocol import auth_file
from .protocol.auth_file import LOGIN_HINT, Credentials
from .protocol.secret import Secret
from .settings import Settings

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
_NO_LINK: int = getattr(os, "O_NOFOLLOW", 0)
_BINARY: int = getattr(os, "O_BINARY", 0)
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

    def bury(self, token: Secret, why: str) -> None:
        """Tells whoever comes later, other processes too, that this refresh token is never to be
        sent again, and why: a word of the login's own."""

    def buried(self, token: Secret) -> str | None:
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

        return Keyring(home) if kind == "keyring" else KeyringOrFile(home)
    if kind == "ephemeral":
        return Nowhere(
            NotLoggedIn(
                "Codex keeps its login in memory alone, by cli_auth_credentials_store in its "
                f'config.toml: set that to "file" and {LOGIN_HINT}'
            )
        )
    return CodexFile(home)


class InMemory:
    """A login that is on no disk: that of `--demo`, and one from the environment."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._known: Snapshot | None = None  # what the data say, once they were asked
        self._lock = asyncio.Lock()
        self._buried: dict[Secret, str] = {}

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

    def bury(self, token: Secret, why: str) -> None:
        self._buried[token] = why

    def buried(self, token: Secret) -> str | None:
        return self._buried.get(token)


class Nowhere(InMemory):
    """No login, and why."""

    def __init__(self, why: NotLoggedIn) -> None:
        super().__init__(b"{}")
        self._why = why

    async def load(self) -> Snapshot:
        raise self._why.with_traceback(None)


class Shared:
    """What programs with one CODEX_HOME have in common: `auth.lock`, which Codex 0.169 takes too,
    and among ours the refresh token that is never to be sent again.

    `locks`: whether there are kernel locks, which die with their process. Not on Windows.
    """

    def __init__(self, codex_home: Path, *, locks: bool = fcntl is not None) -> None:
        self.locks = locks
        self._lock_path = codex_home / "auth.lock"
        self._buried_path = codex_home / ".auth.json.codexapi-spent"

    @asynccontextmanager
    async def lock(self, wait: float = LOCK_WAIT) -> AsyncIterator[None]:
        async with self.flock(self._lock_path, 0o666, wait) as held:
            if not held:
                raise RefreshUnavailable(
                    f"another program has held {self._lock_path} for {wait:g} s"
                )
            yield

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

    def bury(self, token: Secret, why: str) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | _NO_LINK | _BINARY
        with suppress(OSError), open(os.open(self._buried_path, flags, 0o600), "wb") as file:
            file.write(f"{_fingerprint(token)} {why}".encode())

    def buried(self, token: Secret) -> str | None:
        try:
            whose, _, why = self._buried_path.read_text("utf-8").partition(" ")
        except (OSError, ValueError):
            return None
        return why if whose == _fingerprint(token) else None

    def forget(self) -> None:
        """A login has been saved: whatever was buried is past."""
        with suppress(OSError):
            self._buried_path.unlink(missing_ok=True)


class CodexFile:
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
        windows: bool = os.name == "nt",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.path = codex_home / "auth.json"
        self._name = str(self.path)  # asked for with each request
        self._windows = windows
        self._clock = clock
        self._shared = Shared(codex_home, locks=fcntl is not None and not windows)
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
                temporary = _temporary(real, data, consumed)
                await self._put(temporary, real)
                self._shared.forget()
            else:  # and so is what was buried: it may be of that login
                log.warning("auth.json was changed by another program; its login is kept")

    def bury(self, token: Secret, why: str) -> None:
        self._shared.bury(token, why)

    def buried(self, token: Secret) -> str | None:
        return self._shared.buried(token)

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

    async def _put(self, temporary: Path, real: Path) -> None:
        """Puts a whole new file in the place of the old one, in one step."""
        until = asyncio.get_running_loop().time() + (IN_USE if self._windows else 0)
        try:
            while True:
                try:
                    os.replace(temporary, real)
                    break
                except PermissionError:
                    if asyncio.get_running_loop().time() >= until:
                        raise
                await asyncio.sleep(_POLL)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise
        _sync_folder(real.parent)

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
            # Non-blocking: a FIFO in this place must not hang us.
            descriptor = os.open(self.path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | _BINARY)
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
            self._warn_of(status.st_mode)
            # The descriptor stays ours: of a directory, `open` would refuse it and not close it.
            with open(descriptor, "rb", closefd=False) as file:
                return _identity_of(status), file.read(MAX_BYTES)
        except OSError as error:
            raise self._unreadable(error.strerror or str(error)) from None
        finally:
            os.close(descriptor)

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
        if _left_behind(self._real()):
            with suppress(RefreshUnavailable):
                async with self._shared.lock(wait=0):
                    await self._sweep()

    async def _sweep(self) -> None:
        """Ends what a killed process began. Its half-written files, with live tokens in them, are
        removed; one that is whole, and next in line, is put where it was meant to go."""
        real = self._real()
        for left in _left_behind(real):
            with suppress(OSError):
                if not self._shared.locks and self._clock() - os.stat(left).st_mtime < LEFT_BEHIND:
                    continue
                async with self._committing(real):
                    if _is_next(left, real):
                        await self._put(left, real)
                    else:
                        os.unlink(left)


def _identity_of(status: os.stat_result) -> _Identity:
    return status.st_mtime_ns, status.st_size, status.st_ino, status.st_ctime_ns


def _setting(config: Path, name: str) -> object:
    """One setting of Codex's own config.toml; None if it is not there."""
    try:
        text = config.read_text("utf-8")
        if name not in text:
            return None  # reading TOML takes 12 ms to begin with
        import tomllib

        return tomllib.loads(text).get(name)
    except (OSError, ValueError):
        return None


def _fingerprint(token: Secret | None) -> str:
    """A name for a token that tells nothing of it."""
    return hashlib.sha256(token.reveal().encode() if token else b"").hexdigest()


def _prefix(consumed: Secret | None) -> str:
    return _TEMPORARY.partition("{}")[0] + _fingerprint(consumed)[:16]


def _left_behind(real: Path) -> list[Path]:
    return list(real.parent.glob(_TEMPORARY.format("*")))


def _is_next(left: Path, real: Path) -> bool:
    """Whether a file that was left has the pair that was got for the token on disk."""
    with suppress(OSError, NotLoggedIn):
        Snapshot.of(left.read_bytes())
        on_disk = Snapshot.of(real.read_bytes()).credentials.refresh_token
        return on_disk is not None and left.name.startswith(_prefix(on_disk))
    return False


def _lockable(path: Path, mode: int) -> int | None:
    """A descriptor to lock. Where nothing can be written, one that is there will do."""
    for flags in (os.O_RDWR | os.O_CREAT, os.O_RDONLY):
        with suppress(OSError):
            return os.open(path, flags | os.O_CLOEXEC, mode)
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


def _temporary(path: Path, data: bytes, consumed: Secret | None) -> Path:
    """A new file beside `path`, whole and on the disk, with the mode that `path` has."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        mode = 0o600
    # By its name it is known whose place it is to take.
    temporary = path.with_name(f"{_prefix(consumed)}-{secrets.token_hex(8)}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_LINK | _BINARY
    try:
        with open(os.open(temporary, flags, 0o600), "wb") as file:
            if hasattr(os, "fchmod"):
                os.fchmod(file.fileno(), mode)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    return temporary


def _sync_folder(folder: Path) -> None:
    """Makes the replacing itself survive a power cut, where the system can."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
