"""One server for the tests of a module that only look at answers."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from tests.http_server.doors import Door, door

from codexapi_engine.simulator import Simulator


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_backend() -> Simulator:
    return Simulator()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(shared_backend: Simulator) -> AsyncIterator[Door]:
    async with door(shared_backend, allow_hosts=("Box.example",)) as opened:
        yield opened


@pytest.fixture
def backend(shared_backend: Simulator) -> Simulator:
    """The backend behind `server`, as if nobody had asked it anything yet."""
    shared_backend.requests.clear()
    return shared_backend
