"""An editor: the client of an MCP server on stdin and stdout."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.mcp_server.test_stdio import READY
from tests.mcp_server.transports import HELLO
from tests.storm.processes import Nursery, Process

MOST = 2**26


class Editor:
    """One server process, and the calls that it has to answer."""

    def __init__(self, process: Process, write: int, reader: asyncio.StreamReader) -> None:
        self.process = process
        self._write = write
        self._reader = reader
        self._answers: dict[int, asyncio.Future[dict[str, Any] | None]] = {}
        self._number = 100
        self.problems: list[str] = []
        self.heard = b""
        self._listening = asyncio.create_task(self._listen())

    @classmethod
    async def start(
        cls, nursery: Nursery, name: str, *flags: str, env: Mapping[str, str], folder: Path
    ) -> Editor:
        stdin, write = os.pipe()
        read, stdout = os.pipe()
        reader = asyncio.StreamReader(limit=MOST)
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(read, "rb", buffering=0)
        )
        try:
            process = await nursery.start(
                name, "mcp", "serve", *flags, env=env, folder=folder, stdin=stdin, stdout=stdout
            )
        finally:
            os.close(stdin)
            os.close(stdout)
        editor = cls(process, write, reader)
        await editor._ask(HELLO)
        editor._say(READY)
        return editor

    async def call(
        self, tool: str, arguments: dict[str, Any], cancel_after: float | None = None
    ) -> dict[str, Any] | None:
        """The answer; None where the call was cancelled, or the server has ended."""
        self._number += 1
        number = self._number
        params = {"name": tool, "arguments": arguments}
        answer = self._ask(
            {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}
        )
        if cancel_after is not None:
            await asyncio.wait({answer}, timeout=cancel_after)
            if not answer.done():
                gone = {"requestId": number, "reason": "storm"}
                method = "notifications/cancelled"
                self._say({"jsonrpc": "2.0", "method": method, "params": gone})
                return None
        return await answer

    async def close(self) -> None:
        """Closes the pipe, which ends the server."""
        os.close(self._write)
        await asyncio.wait({self.process.ended}, timeout=30)

    def _ask(self, message: dict[str, Any]) -> asyncio.Future[dict[str, Any] | None]:
        answer: asyncio.Future[dict[str, Any] | None] = asyncio.get_running_loop().create_future()
        self._answers[message["id"]] = answer
        self._say(message)
        return answer

    def _say(self, message: Mapping[str, Any]) -> None:
        with suppress(BrokenPipeError):
            os.write(self._write, json.dumps(message).encode() + b"\n")

    async def _listen(self) -> None:
        while line := await self._reader.readline():
            self.heard += line
            try:
                message = json.loads(line)
            except ValueError:
                if line.endswith(b"\n"):  # else it was killed in the middle
                    self.problems.append("a line on the stdout of `mcp serve` is no JSON")
                continue
            if "id" not in message:
                continue
            answer = self._answers.get(message["id"])
            if answer is None or answer.done():
                self.problems.append(f"MCP: an answer to {message['id']}, which has one or is none")
            else:
                answer.set_result(message)
        for answer in self._answers.values():
            if not answer.done():
                answer.set_result(None)
