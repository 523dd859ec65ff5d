"""A backend that two accounts use in turns, and the login that is changed from one to the other."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from codexapi_engine.login.store import InMemory
from codexapi_engine.simulator import Simulator
from codexapi_engine.simulator.backend import Reply


class TwoAccounts(Simulator):
    """`store` is the login on this machine: account A's at first."""

    def __init__(self) -> None:
        super().__init__()
        self.store = InMemory(self.login("A"))
        self.login_changes = False  # to account B's, between two requests for one answer

    async def log_in(self, name: str) -> None:
        await self.store.save(self.login(name), None)

    @property
    def bodies(self) -> list[dict[str, Any]]:
        """The runs that were asked for."""
        return [json.loads(sent.body) for sent in self.requests if sent.path == "/responses"]

    @property
    def refusals(self) -> int:
        return len(self.bodies) - self.runs

    async def handle(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> Reply:
        if self.login_changes and "/models" in target:
            await self.log_in("B")
        return await super().handle(method, target, headers, body)
