"""The model catalogue of the current account, cached for minutes.

Every decision that depends on it waits for the fetch, so the first request of a process is decided
as the thousandth is. Concurrent requests share one fetch, and a failure is cached for a while.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from .bounds import MODELS_MAX_AGE, MODELS_RETRY_AFTER, MODELS_TIMEOUT
from .errors import AuthError, CodexError
from .http.client import Reply, Transport
from .protocol import models
from .protocol.models import Model
from .settings import Settings
from .unknown import UnknownNames


class Catalogue:
    """`account` names the account of the login as it stands: the list of another is forgotten."""

    def __init__(
        self,
        settings: Settings,
        transport: Transport,
        account: Callable[[], Awaitable[str | None]],
        *,
        clock: Callable[[], float],
        unknown: UnknownNames,
    ) -> None:
        # set once
        self._transport = transport
        self._account = account
        self._clock = clock
        self._unknown = unknown
        self._fixed_version = settings.client_version is not None
        self._lock = asyncio.Lock()
        # moves
        self.models: list[Model] = []  # what there is of it, fresh or not
        self.etag: str | None = None  # the one that the list came with
        self.fetched_at: float | None = None  # epoch seconds
        self.clock_ahead: float | None = None  # seconds, of the backend's
        self._version = settings.protocol_version
        self._owner: str | None = None  # the account whose list it is, where that is known
        self._fetched_at: float | None = None
        self._failed_at: float | None = None

    async def current(self) -> list[Model]:
        """The models, first choice first. Raises CodexError where they cannot be had."""
        async with self._lock:
            if await self._is_stale():
                await self._fetch()
        return self.models

    async def available(self) -> list[Model]:
        """The models, for a decision about a request: after seconds without an answer, or soon
        after a failure, what there is of them, and the backend then says what is wrong."""
        try:
            async with asyncio.timeout(MODELS_TIMEOUT), self._lock:
                if await self._is_stale() and not self._failed_lately():
                    await self._fetch()
        except (CodexError, TimeoutError) as error:
            # Without a login the request itself fails, and the next may have one.
            if not isinstance(error, AuthError):
                self._failed_at = _now()
        return self.models

    async def ask(self, headers: Mapping[str, str] | None = None) -> Reply:
        """The list as the backend gives it. Raises CodexError."""
        url = f"/models?client_version={self._version}"
        return await self._transport.fetch(url, headers=headers, timeout=MODELS_TIMEOUT)

    def compare(self, etag: str | None) -> None:
        """Takes the list's ETag from another answer of the backend: the list may have changed."""
        if etag and self.etag and etag != self.etag:
            self._fetched_at = None

    async def _is_stale(self) -> bool:
        account = await self._account()
        if account and self._owner and account != self._owner:
            self.models, self.etag = [], None
            self._fetched_at = self._failed_at = None
        self._owner = account or self._owner
        return self._fetched_at is None or _now() - self._fetched_at > MODELS_MAX_AGE

    def _failed_lately(self) -> bool:
        return self._failed_at is not None and _now() - self._failed_at < MODELS_RETRY_AFTER

    async def _fetch(self) -> None:
        began = _now()
        known = {"if-none-match": self.etag} if self.etag and self.models else {}
        reply = await self.ask(known)
        if (there := _date(reply.headers)) is not None:
            self.clock_ahead = self._clock() - there
        self.etag = reply.headers.get("etag") or (None if reply.json else self.etag)
        if reply.json is not None:
            self.models = models.parse(reply.json)
            self._unknown.catalogue(reply.json)
            self._raise_version()
        self._fetched_at, self._failed_at = began, None
        self.fetched_at = self._clock()

    def _raise_version(self) -> None:
        if not self._fixed_version:
            self._version = models.client_version(self.models, at_least=self._version)
            self._transport.name_version(self._version)


def _now() -> float:
    return asyncio.get_running_loop().time()


def _date(headers: Mapping[str, str]) -> float | None:
    """The backend's clock, in epoch seconds, from its `Date` header."""
    from email.utils import parsedate_to_datetime  # when the list of models comes

    try:
        return parsedate_to_datetime(headers["date"]).timestamp()
    except (KeyError, ValueError, OverflowError):
        return None
