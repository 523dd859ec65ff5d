"""The keys by which a server tells the user's programs apart: a file in the state folder.

A key is 256 random bits, so its SHA-256 is enough to keep: no list of passwords leads back from it,
which is what slow hashes are for, and every request pays for this one.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import secrets
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from .bounds import LOGIN_LOCK_WAIT, MAX_PROGRAM_KEYS, MAX_PROGRAM_KEYS_BYTES
from .errors import InvalidRequest, Unavailable
from .files import Disk, read_regular
from .login.locks import CodexHomeLock
from .protocol.secret import Secret
from .settings import KEYS_FILE, private_folder

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_PREFIX = "codexapi-"
"""What a key begins with, so that a search for leaked keys finds it."""


class ProgramKey(NamedTuple):
    name: str
    created_at: float  # epoch seconds
    digest: str  # SHA-256 of the key, in hex


class ProgramKeys:
    """The file. `load` is called by the server for each request: it costs one look at its status."""

    def __init__(self, state_dir: Path) -> None:
        # set once
        self._path = state_dir / KEYS_FILE
        self._name = str(self._path)  # for each request: a Path costs more than the look
        self._lock = state_dir / "keys.lock"
        # moves
        self._seen: tuple[int, int, int] | None = None  # the file that `_keys` are from
        self._keys: Mapping[str, ProgramKey] = {}  # by name

    def load(self) -> Mapping[str, ProgramKey]:
        """The keys by name. Raises Unavailable for a file that cannot be read: then no key is good."""
        try:
            status = os.stat(self._name)
        except (FileNotFoundError, NotADirectoryError):
            self._seen, self._keys = None, {}
            return self._keys
        except OSError as error:
            raise self._unreadable(error) from None
        version = (status.st_ino, status.st_mtime_ns, status.st_size)
        if version != self._seen:
            self._keys, self._seen = self._read(), version
        return self._keys

    def name_of(self, key: bytes) -> str | None:
        """The program that a key is of. Raises Unavailable."""
        digest, found = hashlib.sha256(key).hexdigest(), None
        for one in self.load().values():  # all of them, in a time that tells nothing
            if hmac.compare_digest(one.digest, digest):
                found = one.name
        return found

    async def add(self, name: str) -> Secret:
        """A new key. Raises InvalidRequest for a name that is taken or none, Unavailable, OSError."""
        if not _NAME.fullmatch(name):
            raise InvalidRequest(
                f"'{name[:60]}' is no name: up to 40 letters, digits, dots, dashes and underscores",
                param="name",
            )
        key = f"{_PREFIX}{secrets.token_urlsafe(32)}"
        digest = hashlib.sha256(key.encode()).hexdigest()
        async with self._changing() as keys:
            if name in keys:
                raise InvalidRequest(
                    f"{name} has a key: `codexapi keys revoke {name}` ends it", param="name"
                )
            if len(keys) >= MAX_PROGRAM_KEYS:
                raise InvalidRequest(
                    f"there are {len(keys)} keys, and no more can be", param="name"
                )
            self._save_keys({**keys, name: ProgramKey(name, time.time(), digest)})
        return Secret(key)

    async def revoke(self, name: str) -> bool:
        """Whether there was a key of this name. Raises Unavailable, OSError."""
        async with self._changing() as keys:
            if name not in keys:
                return False
            self._save_keys({other: key for other, key in keys.items() if other != name})
        return True

    @asynccontextmanager
    async def _changing(self) -> AsyncIterator[Mapping[str, ProgramKey]]:
        """The keys, while no other process changes them."""
        private_folder(self._path.parent)
        shared = CodexHomeLock(self._path.parent)
        async with shared.flock(self._lock, 0o600, LOGIN_LOCK_WAIT) as is_ours:
            if not is_ours:
                raise Unavailable(
                    f"another program has held {self._lock} for {LOGIN_LOCK_WAIT:g} s"
                )
            self._seen = None
            yield self.load()

    def _save_keys(self, keys: Mapping[str, ProgramKey]) -> None:
        """In one step: a server that reads meanwhile has the old keys or the new ones."""
        disk, part = Disk(), self._path.with_name(f".keys-{secrets.token_hex(8)}.part")
        data = json.dumps({"keys": [key._asdict() for key in keys.values()]}, indent=1).encode()
        disk.create(part, data)
        try:
            disk.replace(part, self._path)
        except OSError:
            disk.unlink(part)
            raise
        disk.sync_folder(self._path.parent)

    def _read(self) -> Mapping[str, ProgramKey]:
        try:
            fields = json.loads(read_regular(self._path, MAX_PROGRAM_KEYS_BYTES)[1])
            keys = [ProgramKey(**one) for one in fields["keys"]]
            if not all(_NAME.fullmatch(one.name) and _DIGEST.fullmatch(one.digest) for one in keys):
                raise ValueError("a key is not as codexapi writes it")
        except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
            raise self._unreadable(error) from None
        return {one.name: one for one in keys}

    def _unreadable(self, error: Exception) -> Unavailable:
        reason = getattr(error, "strerror", None) or "it is damaged"
        return Unavailable(
            f"{self._path} cannot be read ({reason}): mend it, or delete it and add the keys again",
            code="keys_unreadable",
        )
