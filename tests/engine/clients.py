"""A client before the simulated backend, and what it was asked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.faulty import (
    FaultyBackend,
    Script,
    by_path,
    stream,
    whole,
)
from tests.logins import auth_json
from tests.wire_files import table, wire

from codexapi_engine.client import Codex
from codexapi_engine.login.store import InMemory
from codexapi_engine.settings import Settings

EXP = 4_000_000_000.0  # in 2096
BASE = "/backend-api/codex"
TEXT: Script = [stream(wire("text"))]
CATALOGUE: Script = [whole(200, table("models"), etag='W/"one"')]


@asynccontextmanager
async def codex(
    responses: list[Script] | None = None,
    models: list[Script] | None = None,
    usage: list[Script] | None = None,
    *,
    data: bytes | None = None,
    **settings: Any,
) -> AsyncIterator[tuple[Codex, FaultyBackend]]:
    """A Codex and a backend with scripts for its three endpoints."""
    paths = {
        f"{BASE}/responses": responses or [TEXT],
        f"{BASE}/models": models or [CATALOGUE],
        "/backend-api/wham/usage": usage or [[whole(200, table("usage"))]],
    }
    async with FaultyBackend(otherwise=[by_path(paths)]) as backend:
        chosen = Settings(base_url=backend.url + BASE, **settings)
        async with Codex(chosen, store=InMemory(data or auth_json(exp=EXP))) as opened:
            yield opened, backend


def asked_for(backend: FaultyBackend, path: str) -> list[Any]:
    return [r for r in backend.requests if r.target.partition("?")[0].endswith(path)]
