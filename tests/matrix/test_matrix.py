"""The fault matrix: every fault of the table at every door.

At each cell: the status, code and text that the table says, how often the backend was asked, that
no failure looks like a success, and that the next request succeeds.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from tests.matrix.by_mcp import by_mcp
from tests.matrix.doors import HTTP_DOORS, Cell, Told, cell, in_messages
from tests.matrix.faults import ANSWER, FAULTS, Broken, Fault, Refused, Whole

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]

DOORS = {**HTTP_DOORS, "mcp": by_mcp}
Cells = tuple[Fault, dict[str, Cell | BaseException]]


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=FAULTS)
async def fault(request: Any) -> AsyncIterator[Cells]:
    """A fault, and what all doors made of it: they run at once, to wait for silence once."""
    chosen = FAULTS[request.param]
    cells = await asyncio.gather(
        *(cell(door, chosen) for door in DOORS.values()), return_exceptions=True
    )
    yield chosen, dict(zip(DOORS, cells, strict=True))


@pytest.mark.parametrize("door", DOORS)
async def test_fault(fault: Cells, door: str) -> None:
    given, cells = fault
    found = cells[door]
    if isinstance(found, BaseException):
        raise found
    assert_shown(found.first, given, door)
    assert found.attempts == given.attempts
    assert (found.afterwards.text, found.afterwards.finish) == (ANSWER, "stop")


def assert_shown(told: Told, fault: Fault, door: str) -> None:
    streamed = any(word in door for word in ("streamed", "client", "socket"))
    said = shown(told)
    shows = fault.at(door)
    match in_messages(shows) if "messages" in door else shows:
        case Whole(text, finish):
            assert said == (text, finish, None, None)
            assert told.comments == (fault.silence and "streamed" in door)
        case Broken(_, code, text) if streamed or door == "mcp":
            assert said == (text, None, None, code)
            passes = door in ("responses, streamed", "responses, by a socket")
            assert told.unchanged == (fault.unchanged and passes)
        case Refused(status, code) | Broken(status, code):
            status_here = None if door == "mcp" else status
            assert said == ("", None, status_here, code or said[3])
            assert fault.headers.items() <= told.headers.items() or door == "mcp"
            assert code or door == "mcp" or "socket" in door or told.code is None
    for words in fault.told:
        assert words in told.raw
    for secret in ("canary", "<html", "Traceback"):
        assert secret not in told.raw


def shown(told: Told) -> tuple[str, str | None, int | None, str | None]:
    return told.text, told.finish, told.status, told.code
