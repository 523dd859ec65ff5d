"""The login in the system's keyring, where Codex's config.toml chooses it.

It uses the package `keyring`, which is loaded on first use. Service, account and value are those
of the official client (codex-rs/login/src/auth/storage.rs).
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from ..bounds import KEYRING_TIMEOUT
from ..errors import NotLoggedIn, copy_of
from ..protocol import json
from ..protocol.secret import Secret
from ..settings import INSTALL_KEYRING
from .file_store import CodexFile, log
from .locks import CodexHomeLock, MarksTokens
from .login_hint import not_logged_in
from .store import Snapshot

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

SERVICE = "Codex Auth"
KNOWN_FOR = 0.5
"""Seconds that a keyring's entry is cached: a keyring reports no changes."""

UNAVAILABLE = "keyring_unavailable"
"""The code of the error where it is unknown whether a keyring has a login."""


T = TypeVar("T")


def account(codex_home: Path) -> str:
    """The name under which Codex keeps the login of this CODEX_HOME."""
    path = os.path.realpath(codex_home)
    if sys.platform == "win32":
        path = f"\\\\?\\{path}"  # as Rust writes a canonical path there
    return f"cli|{hashlib.sha256(path.encode()).hexdigest()[:16]}"


class Keyring(MarksTokens):
    """The login in a keyring. `backend` replaces the system's own."""

    def __init__(
        self,
        codex_home: Path,
        backend: KeyringBackend | None = None,
        *,
        state_dir: Path | None = None,
    ) -> None:
        self.account = account(codex_home)
        self._backend = backend
        self._shared = CodexHomeLock(codex_home, state_dir=state_dir)
        self._reading = asyncio.Lock()
        self._known: Snapshot | NotLoggedIn | None = None
        self._known_until = 0.0
        self._read_again = False  # a read under way may have begun before another program's write

    async def load(self) -> Snapshot:
        async with self._reading:
            if self._known is None or asyncio.get_running_loop().time() >= self._known_until:
                self._read_again = False
                try:
                    self._known = await self._read_entry()
                except NotLoggedIn as error:
                    self._known = error
                if not self._read_again:
                    self._known_until = asyncio.get_running_loop().time() + KNOWN_FOR
        if isinstance(self._known, NotLoggedIn):
            raise copy_of(self._known)
        return self._known

    def forget(self) -> None:
        self._known_until = 0.0
        self._read_again = True

    @asynccontextmanager
    async def lock(self) -> AsyncIterator[None]:
        async with self._shared.lock():
            self.forget()
            yield

    async def save(self, data: bytes, consumed: Secret | None) -> None:
        self.forget()
        try:
            if (await self.load()).credentials.refresh_token != consumed:
                log.warning("the keyring was changed by another program; its login is kept")
                return
        except NotLoggedIn as error:
            raise OSError(errno.EIO, str(error)) from None
        # Compact, as Codex writes it.
        value = json.dumps(json.loads(data)).decode()
        try:
            await _in_thread(lambda: _update_entry(self._system(), self.account, value))
        except _Unavailable as error:
            raise OSError(errno.EIO, str(error)) from None
        finally:
            self.forget()
        if consumed is not None:
            self.clear_mark(consumed)

    async def check_writable(self) -> None:
        """A keyring that can be read is taken to be writable: it offers no test."""
        self._shared.check()
        try:
            await self.load()
        except NotLoggedIn as error:
            raise OSError(errno.EIO, str(error)) from None

    async def _read_entry(self) -> Snapshot:
        try:
            value = await _in_thread(lambda: self._system().get_password(SERVICE, self.account))
        except _Unavailable as error:
            raise NotLoggedIn(
                "Codex keeps its login in the system's keyring, by cli_auth_credentials_store in "
                f"its config.toml, and {error}",
                code=UNAVAILABLE,
            ) from None
        if value is None:
            place = f"the system's keyring has none: {SERVICE}, {self.account}"
            raise NotLoggedIn(not_logged_in(place))
        return Snapshot.of(value.encode(), "the login in the system's keyring")

    def _system(self) -> KeyringBackend:
        if self._backend is None:
            try:
                import keyring
            except ImportError:
                raise _Unavailable(
                    f'the package to read it is not installed ({INSTALL_KEYRING}); or set that to "file"'
                ) from None
            self._backend = keyring.get_keyring()
        return self._backend


class KeyringOrFile(MarksTokens):
    """The keyring where it has a login, else the file: what Codex calls `auto`."""

    def __init__(self, keyring: Keyring, file: CodexFile) -> None:
        self._keyring = keyring
        self._file = file
        self._shared = self._keyring._shared
        self._from: Keyring | CodexFile = self._file

    async def load(self) -> Snapshot:
        try:
            found = await self._keyring.load()
        except NotLoggedIn as error:
            self._from = self._file
            return await self._in_file(error)
        # Only now: a process that saves meanwhile has loaded its login from the old place.
        self._from = self._keyring
        return found

    async def _in_file(self, keyring: NotLoggedIn) -> Snapshot:
        try:
            return await self._file.load()
        except NotLoggedIn as error:
            if keyring.code != UNAVAILABLE or error.code != "auth_file_not_found":
                raise
            message = f"{error}; or, if you are logged in and that is in the keyring: {keyring}"
            raise NotLoggedIn(message, code=UNAVAILABLE) from None

    def forget(self) -> None:
        self._keyring.forget()
        self._file.forget()

    @asynccontextmanager
    async def lock(self) -> AsyncIterator[None]:
        async with self._keyring.lock():
            yield

    async def save(self, data: bytes, consumed: Secret | None) -> None:
        """To where it came from: elsewhere the consumed one would be found first."""
        await self._from.save(data, consumed)

    async def check_writable(self) -> None:
        await self._from.check_writable()


class _Unavailable(Exception):
    """A keyring cannot be used; says why."""


async def _in_thread(work: Callable[[], T]) -> T:
    """Runs what may wait for a person in a thread that holds up neither us nor our end."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(value: T | None, error: _Unavailable | None) -> None:
        if done.done():
            return
        if error is None:
            done.set_result(value)  # type: ignore[arg-type]
        else:
            done.set_exception(error)

    def run() -> None:
        value, failure = None, None
        try:
            value = work()
        except _Unavailable as error:
            failure = error
        except BaseException as error:  # noqa: BLE001  (backends raise their libraries' exceptions)
            reason = " ".join(str(error).split()) or type(error).__name__
            failure = _Unavailable(f"it cannot be used ({reason}): unlock or start it")
        with suppress(RuntimeError):  # the loop may be gone
            loop.call_soon_threadsafe(settle, value, failure)

    threading.Thread(target=run, name="keyring", daemon=True).start()
    try:
        async with asyncio.timeout(KEYRING_TIMEOUT):
            return await done
    except TimeoutError:
        raise _Unavailable(f"it has not answered for {KEYRING_TIMEOUT:g} s: unlock it") from None


class _SecretService(Protocol):
    """The part of that backend that is not of every other."""

    def get_preferred_collection(self) -> Any: ...


def _update_entry(backend: KeyringBackend, name: str, value: str) -> None:
    """Changes the entry that Codex made.

    In the Secret Service an entry with other attributes is another entry: `keyring` would put its
    own beside that of Codex, and each program would find the one or the other.
    """
    # `keyring` makes a chain of all that a machine has.
    links = getattr(backend, "backends", [backend])
    service = next((link for link in links if hasattr(link, "get_preferred_collection")), None)
    if service is None or not _changed(service, name, value):
        backend.set_password(SERVICE, name, value)
    if sys.platform == "linux":
        forget_copy(f"keyring-rs:{name}@{SERVICE}", os.uname().machine)


def _changed(backend: _SecretService, name: str, value: str) -> bool:
    """Whether there was an entry."""
    collection = backend.get_preferred_collection()
    with closing(collection.connection):
        items = list(collection.search_items({"service": SERVICE, "username": name}))
        for item in items:
            item.set_secret(value.encode())
        return bool(items)


_KEYCTL = {"x86_64": 250, "aarch64": 219}
"""The number of that system call."""

_SEARCH, _INVALIDATE, _GET_PERSISTENT = 10, 21, 22
_SESSION, _OWN = -3, -1


def forget_copy(name: str, machine: str) -> None:
    """Drops a key of the Linux kernel's own keyrings, where Codex keeps a copy of its entry and
    looks first: it would go on with the consumed pair."""
    if machine not in _KEYCTL:
        return
    import ctypes

    libc = ctypes.CDLL(None)

    def keyctl(*arguments: int | bytes) -> int:
        words = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
        return int(libc.syscall(ctypes.c_long(_KEYCTL[machine]), *words))

    for ring in (_SESSION, keyctl(_GET_PERSISTENT, _OWN, _SESSION)):
        key = keyctl(_SEARCH, ring, b"user", name.encode(), 0)
        if key > 0:
            keyctl(_INVALIDATE, key)
