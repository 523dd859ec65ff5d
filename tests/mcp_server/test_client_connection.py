"""The connection of a call, and the work that ends with it."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

from codexapi_engine import CodexError
from codexapi_mcp.runtime import ClientConnection


async def test_work_that_fails_as_its_call_is_cancelled_is_not_logged() -> None:
    """asyncio would log its words, and those may quote a prompt. Whichever of the two is first."""
    logged: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, about: logged.append(about))

    async def fail() -> None:
        raise CodexError("canary")

    outcomes = set()
    for steps in range(1, 6):
        call = asyncio.create_task(ClientConnection().run_until_end(fail()))
        for _ in range(steps):
            await asyncio.sleep(0)
        call.cancel()
        await asyncio.wait({call})
        outcomes.add("cancelled" if call.cancelled() else str(call.exception()))
        del call
    gc.collect()
    assert outcomes == {"cancelled", "canary"}
    assert logged == []
