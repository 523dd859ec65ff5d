"""A login between a backend and a token endpoint whose refresh tokens are good once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from tests.faulty import REUSED
from tests.logins import DAY, NOW, access_token, auth_json

from codexapi_engine.http.client import Transport, connect
from codexapi_engine.http.in_process import in_process
from codexapi_engine.http.messages import HttpTransport
from codexapi_engine.login.refresh import Login
from codexapi_engine.login.store import InMemory, Store
from codexapi_engine.settings import Settings

EXPIRED = auth_json(exp=NOW - 10)
OF_CODEX = auth_json(access="canary-of-codex", refresh="canary-refresh-of-codex", issued=NOW)
Answer = tuple[int, object]
Answering = Callable[[], Awaitable[Answer]]


class World:
    """A backend, a token endpoint with single-use refresh tokens, and a login between them."""

    def __init__(self, store: Store, *, token_url: str | None = None) -> None:
        self.now = NOW
        self.refuses: Callable[[str], bool] = lambda access: False
        self.answers: list[Answer | Answering] = []  # the token endpoint's next ones
        self.lifetime = DAY
        self.asked: list[Mapping[str, str]] = []  # headers that came to the backend
        self.redeemed: list[dict[str, Any]] = []
        self.sent_to: list[str] = []
        self.owner: Answer | Answering = (404, {})  # of a personal access token
        self._good = "canary-refresh-first"
        road = in_process(self._handle)
        settings = Settings(token_url=token_url)
        self.login = Login(
            store,
            lambda url: road,
            token_url=token_url,
            clock=lambda: self.now,
        )
        self.transport = Transport(settings, self.login, http=road)

    async def ask(self) -> str:
        """Asks the backend something. The access token that it took."""
        await self.transport.fetch("/models")
        return self.bearers()[-1]

    def bearers(self) -> list[str]:
        return [headers["authorization"].removeprefix("Bearer ") for headers in self.asked]

    async def _handle(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, Mapping[str, str], AsyncIterator[bytes]]:
        if target.startswith("/backend-api"):
            self.asked.append(dict(headers))
            answer: Answer = (401 if self.refuses(self.bearers()[-1]) else 200, {})
        elif target.endswith("/whoami"):
            assert headers["authorization"].startswith("Bearer at-canary")
            self.sent_to.append(f"{method} {headers['host']}{target}")
            answer = self.owner if isinstance(self.owner, tuple) else await self.owner()
        else:
            self.redeemed.append(json.loads(body))
            self.sent_to.append(f"{method} {headers['host']}{target}")
            given = self.answers.pop(0) if self.answers else self._rotated()
            answer = given if isinstance(given, tuple) else await given()
        return answer[0], {"content-type": "application/json"}, _once(answer[1])

    def _rotated(self) -> Answer:
        if self.redeemed[-1]["refresh_token"] != self._good:
            return 401, REUSED
        number = len(self.redeemed)
        self._good = f"canary-refresh-{number}"
        access = access_token(self.now + self.lifetime, str(number))
        return 200, {"access_token": access, "refresh_token": self._good}


def over(settings: Settings) -> Callable[[str], HttpTransport]:
    """Clients over the real network, as `Codex` makes them."""
    return lambda url: connect(settings, url)


async def _once(body: object) -> AsyncIterator[bytes]:
    yield body if isinstance(body, bytes) else json.dumps(body).encode()


async def never() -> Answer:
    await asyncio.Event().wait()
    raise AssertionError


def world(data: bytes) -> World:
    return World(InMemory(data))


FAILED: Answer = 500, {"error": "server_error"}
