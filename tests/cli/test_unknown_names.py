"""`codexapi doctor` shows what a running server has seen of the backend and does not know."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.cli.shell import run
from tests.faulty import FaultyBackend, whole
from tests.ports import refusing_port

from codexapi_cli.servers.registry import PortLock

SEEN = {"event": {"response.x": 12, "response.y": 1}, "header": {"x-novelty": 3}}


async def findings(status: dict[str, Any], tmp_path: Path, **env: str) -> list[dict[str, str]]:
    """The warnings of `doctor` beside a server that says this, and what it was asked."""
    with refusing_port() as port:
        env |= {"CODEXAPI_STATE_DIR": str(tmp_path), "CODEXAPI_PORT": str(port)}
        async with FaultyBackend(otherwise=[whole(200, status)]) as server:
            with PortLock(tmp_path) as place:
                place.take(urlsplit(server.url).port or 0)
                place.ready(server.url)
                done = await asyncio.to_thread(
                    run, "doctor", "--offline", "--demo", "--json", env=env
                )
        asked = server.requests[0]
    assert asked.target == "/status.json"
    assert asked.headers.get("authorization") == (
        f"Bearer {env['CODEXAPI_API_KEY']}" if "CODEXAPI_API_KEY" in env else None
    )
    told = json.loads(done.stdout)["findings"]
    return [one for one in told if one["name"] == "unknown names"]


@pytest.mark.parametrize("env", [{}, {"CODEXAPI_API_KEY": "k"}], ids=["open", "key"])
async def test_what_a_server_has_seen_is_a_warning(env: dict[str, str], tmp_path: Path) -> None:
    (finding,) = await findings({"seen": SEEN}, tmp_path, **env)
    assert finding["state"] == "warning"
    assert finding["told"].endswith(
        "has seen since its start: event `response.x` 12 ×, event `response.y` 1 ×, "
        "header `x-novelty` 3 ×"
    )
    assert "open an issue" in finding["fix"]


@pytest.mark.parametrize("status", [{}, {"seen": {}}, {"seen": [1]}, {"seen": {"event": 1}}])
async def test_nothing_is_said_of_a_server_that_has_seen_nothing(
    status: dict[str, Any], tmp_path: Path
) -> None:
    assert await findings(status, tmp_path) == []
