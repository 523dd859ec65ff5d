"""The interface of a credential store: it loads a `Snapshot`, locks other programs out, and saves.

A store knows nothing of OAuth or HTTP.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

from ..errors import NotLoggedIn
from ..protocol import auth_file
from ..protocol.auth_file import LOGIN_HINT, Credentials
from ..protocol.secret import Secret


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A login as it was at one moment: the bytes, and what they say."""

    data: bytes = field(repr=False)
    credentials: Credentials

    @classmethod
    def of(cls, data: bytes, holder: str = "auth.json") -> Snapshot:
        """`holder` is what its errors name. Raises NotLoggedIn."""
        return cls(data, auth_file.parse(data, holder))


class Store(Protocol):
    login_hint: str
    """What a person does for a new login here; errors say it in place of LOGIN_HINT."""

    async def load(self) -> Snapshot:
        """Raises NotLoggedIn."""

    def forget(self) -> None:
        """The next `load` reads the login itself, not a cache of it."""

    def lock(self) -> AbstractAsyncContextManager[None]:
        """Held around re-read, refresh and save. Raises RefreshUnavailable if it cannot be had."""

    async def save(self, data: bytes, consumed: Secret | None) -> None:
        """Replaces the login, unless another program has: `consumed` is the refresh token that
        was there before. Raises OSError."""

    async def check_writable(self) -> None:
        """Raises OSError unless a new login can be saved here: to be asked before its refresh
        token is sent, since that is good for one use."""

    def mark_consumed(self, token: Secret, reason: str) -> None:
        """Records for every later process that this refresh token is not sent again. `reason`
        is a word of the login's own. On the disk when it returns. Raises OSError."""

    def clear_mark(self, token: Secret) -> None:
        """The token was not used."""

    def consumed_reason(self, token: Secret) -> str | None:
        """Why this refresh token is not to be sent; None if it may be."""


class InMemory:
    """A login that is on no disk: that of `--demo`, and one from the environment."""

    def __init__(self, data: bytes, *, login_hint: str = LOGIN_HINT) -> None:
        self.login_hint = login_hint
        self._data = data
        self._known: Snapshot | None = None  # what the data say, once they were asked
        self._lock = asyncio.Lock()
        self._consumed: dict[Secret, str] = {}

    async def load(self) -> Snapshot:
        if self._known is None:
            self._known = Snapshot.of(self._data)
        return self._known

    def forget(self) -> None:
        """There is nothing to read it from."""

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


class MissingStore(InMemory):
    """No login, and why."""

    def __init__(self, why: NotLoggedIn) -> None:
        super().__init__(b"{}")
        self._why = why

    async def load(self) -> Snapshot:
        raise self._why.with_traceback(None)
