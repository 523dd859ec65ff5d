"""The backend's clock, as its `Date` header tells it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from codexapi_engine import Codex, Settings
from codexapi_engine.http.in_process import in_process
from codexapi_engine.login.store import InMemory
from codexapi_engine.simulator import Simulator


@pytest.mark.parametrize(
    "date",
    [
        "Mon, 01 Jan 99999999999999999999 00:00:00 GMT",
        "Mon, 01 Jan -99999999999999999999 00:00:00 GMT",
        "9999 Jan 99999999999999999999 1.1.1 -99999999999999999999",
        "Fri, 31 Dec 9999 23:59:59 -2359",
        "x",
    ],
)
async def test_a_date_that_no_calendar_has_is_none(date: str) -> None:
    simulator = Simulator()

    async def handle(
        method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, Mapping[str, str], AsyncIterator[bytes]]:
        status, answered, pieces = await simulator.handle(method, target, headers, body)
        return status, {**answered, "date": date}, pieces

    settings = Settings(codex_home=Path("nowhere"), base_url="http://127.0.0.1:1")
    http, store = in_process(handle), InMemory(simulator.login())
    async with Codex(settings, http=http, store=store) as codex:
        assert await codex.models()
