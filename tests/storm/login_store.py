"""Where a run keeps its login, as the official client and the user see it."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from tests.storm.keyring_file import BACKEND, PLACE, FileKeyring

from codexapi_engine.login.keyring_store import SERVICE, account


class LoginStore(Protocol):
    env: dict[str, str]
    """What programs need to find it."""

    def prepare(self) -> None:
        """Once, in a folder that is there."""

    def read(self) -> bytes:
        """Raises OSError."""

    def put(self, data: bytes) -> None:
        """As `codex login` does. A disk that does not take it keeps what it has."""

    def has(self, path: Path) -> bool:
        """Whether a file is a part of the store, and may hold secrets."""


class LoginFile:
    """`auth.json`."""

    def __init__(self, home: Path) -> None:
        self.env: dict[str, str] = {}
        self._path = home / "auth.json"

    def prepare(self) -> None:
        pass

    def read(self) -> bytes:
        return self._path.read_bytes()

    def put(self, data: bytes) -> None:
        beside = self._path.with_name(f".auth-{time.monotonic_ns()}")
        try:
            beside.write_bytes(data)
            beside.chmod(0o600)
            beside.replace(self._path)
        except OSError:
            with suppress(OSError):
                beside.unlink()

    def has(self, path: Path) -> bool:
        return path == self._path


class LoginKeyring:
    """The keyring, as `config.toml` says."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._keyring = FileKeyring(home / "keyring")
        self._account = account(home)
        self.env = {**BACKEND, PLACE: str(home / "keyring")}

    def prepare(self) -> None:
        (self._home / "config.toml").write_text('cli_auth_credentials_store = "keyring"\n')

    def read(self) -> bytes:
        if (value := self._keyring.get_password(SERVICE, self._account)) is None:
            raise FileNotFoundError("the keyring has no login")
        return value.encode()

    def put(self, data: bytes) -> None:
        with suppress(OSError):
            self._keyring.set_password(SERVICE, self._account, data.decode())

    def has(self, path: Path) -> bool:
        return path.parent == self._keyring.path.parent and path.name.startswith("keyring")


STORES: dict[str, type[LoginFile | LoginKeyring]] = {
    "file": LoginFile,
    "keyring": LoginKeyring,
}
