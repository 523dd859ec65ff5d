"""The MCP door, by the official client, in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from mcp import Client
from mcp.types import CallToolResult, TextContent
from tests.http_server.doors import MODEL
from tests.http_server.raw import JsonObject
from tests.matrix.doors import LOGIN, Told
from tests.matrix.faults import AFTERWARDS, NOW

from codexapi_engine import Codex, Settings
from codexapi_engine.login.store import InMemory
from codexapi_mcp import create_server


@asynccontextmanager
async def mcp_client(url: str, settings: JsonObject) -> AsyncIterator[Client]:
    chosen = Settings(
        codex_home=Path("nowhere"), base_url=url, token_url=f"{url}/oauth/token", model=MODEL,
        **settings,
    )  # fmt: skip
    async with Codex(chosen, store=InMemory(LOGIN)) as codex:
        async with Client(create_server(codex)) as client:
            yield client


async def by_mcp(url: str, settings: JsonObject) -> list[Told]:
    async with mcp_client(url, settings) as client:
        return [
            tool_told(await client.call_tool("generate_text", {"prompt": prompt}))
            for prompt in (NOW, AFTERWARDS)
        ]


def tool_told(result: CallToolResult) -> Told:
    raw = "\n".join(part.text for part in result.content if isinstance(part, TextContent))
    if not result.is_error:
        finish = (result.meta or {})["codexapi"]["finish_reason"]
        assert ("[The answer is incomplete" in raw) == (finish != "stop"), raw
        assert isinstance(result.content[0], TextContent)
        return Told(result.content[0].text, finish, raw=raw)
    assert result.structured_content is not None, raw
    error = result.structured_content["error"]
    assert raw.startswith(f"{error['code']}: "), raw
    partial = error["partial"] or ""
    assert partial in raw, "some clients show their model the text and nothing else"
    return Told(partial, code=error["code"], raw=f"{raw}\n{result.structured_content}")
