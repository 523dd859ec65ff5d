"""An editor whose MCP server is reached over HTTP, in sessions."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import Any

from tests.http_server.raw import post
from tests.mcp_server.test_stdio import READY
from tests.mcp_server.transports import HELLO
from tests.storm.clients import SIGNED, Reply, fetch
from tests.storm.processes import Process, line_of

HEADERS = (
    *SIGNED, "Accept: application/json, text/event-stream", "MCP-Protocol-Version: 2025-06-18",
)  # fmt: skip


class HttpEditor:
    """One server process, and the sessions with it."""

    def __init__(self, process: Process, port: int) -> None:
        self.process = process
        self.problems: list[str] = []
        self.heard = b""
        self._port = port
        self._number = 100
        self._session = ""

    @classmethod
    async def start(cls, process: Process) -> HttpEditor:
        if not (ready := await line_of(process, r"codexapi ready on http://\S+:(\d+)/mcp")):
            raise RuntimeError(f"`mcp serve --http` does not start: {process.complaint()}")
        return cls(process, int(ready[1]))

    async def call(
        self,
        tool: str,
        arguments: dict[str, Any],
        cancel_after: float | None = None,
        session: str = "open",
    ) -> dict[str, Any] | None:
        """The answer; None where there is none, or the call was cancelled."""
        if session == "new" or not self._session:
            await self._begin()
        self._number += 1
        number, name = self._number, self._session
        params = {"name": tool, "arguments": arguments}
        message = {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}
        sent = asyncio.ensure_future(self._send(message, name))
        if cancel_after is not None:
            await asyncio.wait({sent}, timeout=cancel_after)
            if not sent.done():
                await self._cancel(number, name)
                await _drop(sent)
                return None
        return self._answer(number, await sent)

    async def _begin(self) -> None:
        reply = await self._send(HELLO, "")
        self._session = reply.headers.get("mcp-session-id", "")
        if self._session:
            await self._send(READY, self._session)

    async def _cancel(self, number: int, session: str) -> None:
        gone = {"requestId": number, "reason": "storm"}
        method = "notifications/cancelled"
        await self._send({"jsonrpc": "2.0", "method": method, "params": gone}, session)

    async def _send(self, message: Any, session: str) -> Reply:
        named = (f"MCP-Session-Id: {session}",) if session else ()
        reply = Reply("MCP over HTTP", door="mcp")
        await fetch(reply, self._port, post("/mcp", message, *HEADERS, *named))
        self.heard += reply.body
        return reply

    def _answer(self, number: int, reply: Reply) -> dict[str, Any] | None:
        found = [message for message in _messages(reply.body) if message.get("id") == number]
        if len(found) > 1:
            self.problems.append(f"MCP over HTTP: {len(found)} answers to one call")
        return found[-1] if found else None


def _messages(body: bytes) -> list[dict[str, Any]]:
    """The messages of an event stream that have come whole."""
    found = []
    for line in body.split(b"\n"):
        if line.startswith(b"data:"):
            with suppress(ValueError):
                found.append(json.loads(line[5:]))
    return [message for message in found if isinstance(message, dict)]


async def _drop(task: asyncio.Future[Reply]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
