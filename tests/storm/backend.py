"""The simulated backend on a port that can go away, and the books that it keeps.

What the oracles know of the truth, they know from here: what was sent to whom, to the last byte.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import time
from collections import defaultdict, deque
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from tests.wire_files import events

from codexapi_engine.errors import CodexError
from codexapi_engine.simulator import Simulator
from codexapi_engine.simulator.asgi import app
from codexapi_engine.simulator.backend import LIFETIME, Reply
from codexapi_http.server.process import Process, listen

MARK = re.compile(rb"canary-prompt-\d+-\d+-\d+")
JSON = {"content-type": "application/json"}
_SPENT = ("lost", "half", "unusable", "gateway")
"""Faults in which a token is spent, and its pair does not arrive."""

OURS, CODEX = "codexapi", "codex"


@dataclass
class Attempt:
    """One answer of the backend to a prompt, as it went out."""

    status: int
    data: bytes = b""

    async def record(self, chunks: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        async with aclosing(chunks):
            async for chunk in chunks:
                self.data += chunk
                yield chunk

    def text(self) -> str | None:
        """What was said, if it was said to its end."""
        spoken, terminal = [], False
        with contextlib.suppress(CodexError, ValueError):
            for event in events(self.data):
                payload: Any = event.json
                if payload["type"] == "response.output_item.done":
                    spoken += [
                        part.get("text") or part.get("refusal") or ""
                        for part in payload["item"].get("content") or ()
                        if payload["item"]["type"] == "message"
                    ]
                terminal |= payload["type"] in ("response.completed", "response.incomplete")
        return "".join(spoken) if self.status == 200 and terminal else None


@dataclass
class Redemption:
    """A refresh token that came, and what became of it."""

    token: str
    who: str
    outcome: str = "open"
    began: float = field(default_factory=time.monotonic)
    ended: float = float("inf")

    def __str__(self) -> str:
        return f"{self.token} by {self.who}: {self.outcome}, {self.began:.3f} to {self.ended:.3f}"

    @property
    def is_final(self) -> bool:
        """Whether the token was looked at: one that met an error before may be sent again."""
        return self.outcome != "error"

    @property
    def has_answer(self) -> bool:
        """Whether the new pair went out, as far as the backend can know."""
        return self.outcome == "granted" and self.ended < float("inf")


class Books(Simulator):
    """A simulator that writes down what it does, and whose faults come on cue."""

    def __init__(self, seed: int) -> None:
        self.offset = 0.0
        super().__init__(seed=seed, clock=lambda: time.time() + self.offset)
        self.attempts: dict[bytes, list[Attempt]] = defaultdict(list)
        self.redemptions: list[Redemption] = []
        self.token_faults: deque[tuple[str, float]] = deque()
        self.secrets: set[str] = set()
        self.lifetime = LIFETIME
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    def new_login(self) -> bytes:
        """A login as `login` makes it, good for `lifetime` seconds."""
        with self._lifetime():
            data = self.login()
        self._learn(json.loads(data)["tokens"])
        return data

    async def handle(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> Reply:
        await self.may_answer.wait()
        if target.endswith("/oauth/token"):
            return await self._redeem(method, target, headers, body)
        status, told, chunks = await super().handle(method, target, headers, body)
        attempt = Attempt(status)
        if marks := MARK.findall(body):
            self.attempts[marks[-1]].append(attempt)
        return status, told, attempt.record(chunks)

    async def _redeem(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> Reply:
        who = OURS if headers.get("originator") == "codexapi" else CODEX
        entry = Redemption(json.loads(body)["refresh_token"], who)
        self.redemptions.append(entry)
        fault, seconds = self.token_faults.popleft() if self.token_faults else ("", 0.0)
        if fault == "slow":
            await asyncio.sleep(seconds)
        if fault == "error":
            entry.outcome = "error"
            return 500, JSON, _bytes(b'{"error":"server_error"}')
        with self._lifetime():
            status, told, chunks = await super().handle(method, target, headers, body)
        data = b"".join([chunk async for chunk in chunks])
        if status != 200:
            entry.outcome, entry.ended = "refused", time.monotonic()
            return status, told, _bytes(data)
        self._learn(json.loads(data))
        entry.outcome = fault if fault in _SPENT else "granted"
        if fault == "late":
            await asyncio.sleep(seconds)
        if fault == "unusable":
            data = json.dumps({**json.loads(data), "access_token": "a\r\nb"}).encode()
        if fault == "gateway":
            return 502, {"content-type": "text/html"}, _bytes(b"<html>Bad gateway")
        cut = {"lost": 0, "half": len(data) // 2}.get(fault)
        return status, {**told, "content-length": str(len(data))}, _bytes(data, cut, entry)

    def _learn(self, tokens: Mapping[str, str]) -> None:
        self.secrets |= {tokens[name] for name in ("id_token", "access_token", "refresh_token")}

    @contextlib.contextmanager
    def _lifetime(self) -> Iterator[None]:
        """What is issued here is good for `lifetime` seconds."""
        self.offset = self.lifetime - LIFETIME
        try:
            yield
        finally:
            self.offset = 0.0

    def spender(self, token: str) -> Redemption | None:
        """Who has spent a refresh token."""
        spent = (r for r in self.redemptions if r.outcome in {"granted", *_SPENT})
        return next((r for r in spent if r.token == token), None)


async def _bytes(
    data: bytes, cut: int | None = None, entry: Redemption | None = None
) -> AsyncGenerator[bytes, None]:
    if cut is not None:
        if cut:
            yield data[:cut]
        raise ConnectionResetError
    yield data
    if entry is not None:
        entry.ended = time.monotonic()


class _Quiet(Process):
    """Signals are the driver's."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Port:
    """Where the backend listens, when it does."""

    def __init__(self, books: Books) -> None:
        self._app = app(books)
        self._process: _Quiet | None = None
        self._serving: list[asyncio.Task[int]] = []
        self.number = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.number}"

    async def open(self) -> None:
        ready = asyncio.Event()

        async def tell(url: str) -> None:
            ready.set()

        if self._process is None:
            socket = listen("127.0.0.1", self.number)
            self.number = socket.getsockname()[1]
            self._process = _Quiet(self._app, ready=tell)
            self._serving.append(asyncio.create_task(self._process.run_on(socket)))
            await ready.wait()

    def reset(self) -> None:
        """Breaks every connection."""
        if self._process is not None:
            for connection in list(self._process.server_state.connections):
                connection.transport.abort()

    def close(self) -> None:
        """From now on nobody listens, and every connection is broken."""
        if self._process is not None:
            for server in self._process.servers:
                server.close()
            self.reset()
            self._process.should_exit = True
            self._process = None

    async def aclose(self) -> None:
        self.close()
        await asyncio.gather(*self._serving)
