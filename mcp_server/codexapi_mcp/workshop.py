"""What the tools work with, and the signs of life that they give meanwhile."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mcp.server.mcpserver import Context

from codexapi_engine import Codex

from .jobs import Jobs

if TYPE_CHECKING:
    from .images import Drawn

HEARTBEAT = 10.0
"""Seconds between two signs of life: clients with a watchdog wait 60 and more."""


@dataclass(frozen=True)
class Workshop:
    """As long as the server lives."""

    codex: Codex
    heartbeat: float = HEARTBEAT
    jobs: Jobs[Drawn] = field(default_factory=Jobs)


@asynccontextmanager
async def signs_of_life(
    ctx: Context[Workshop], said: Callable[[float], str]
) -> AsyncIterator[None]:
    """The client hears at every beat what `said` has to say after so many seconds."""
    interval = ctx.request_context.lifespan_context.heartbeat

    async def beat() -> None:
        for count in range(1, sys.maxsize):
            await asyncio.sleep(interval)
            await ctx.report_progress(count, None, said(count * interval))

    beating = asyncio.create_task(beat())
    try:
        yield
    finally:
        beating.cancel()
