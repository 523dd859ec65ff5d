"""MCP over HTTP as the wire has it: who may come in, what a hang-up ends, and how it goes down."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp.types import CallToolResult
from tests.http_server import raw
from tests.http_server.raw import post
from tests.mcp_server.transports import (
    HELLO,
    MODES,
    Slow,
    answer,
    backend,
    failure,
    keyed,
    launched,
    served,
)
from tests.processes import codexapi, environment

from codexapi_engine.bounds import MAX_BODY_BYTES
from codexapi_engine.simulator import Simulator

pytestmark = pytest.mark.timeout(90)
both_eras = pytest.mark.parametrize("mode", MODES)

ACCEPT = "Accept: application/json, text/event-stream"
OLD = "MCP-Protocol-Version: 2025-06-18"


def call(prompt: str) -> dict[str, Any]:
    params = {"name": "generate_text", "arguments": {"prompt": prompt}}
    return {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": params}


async def session(port: int) -> str:
    """The header of a session of the older era."""
    async with raw.connect(port) as connection:
        await connection.send(post("/mcp", HELLO, ACCEPT))
        reply = await connection.reply()
    return f"Mcp-Session-Id: {reply.headers['mcp-session-id']}"


async def test_strangers_stay_outside(tmp_path: Path) -> None:
    simulator = Simulator()
    key_file = tmp_path / "key"
    key_file.write_text("sesame\n")
    key_file.chmod(0o600)
    key = "Authorization: Bearer sesame"
    async with backend(simulator, tmp_path) as env:
        async with served(env, "--api-key-file", str(key_file)) as server:

            async def status(*headers: str, body: Any = HELLO, host: str = "127.0.0.1") -> int:
                async with raw.connect(server.port) as connection:
                    await connection.send(post("/mcp", body, ACCEPT, *headers, host=host))
                    return (await connection.reply()).status

            assert await status(key) == 200
            assert await status() == 401
            assert await status("Authorization: Bearer wrong") == 401
            assert await status(key, host="evil.example") == 421
            assert await status(key, "Origin: https://evil.example") == 403
            assert await status(key, "Sec-Fetch-Site: cross-site") == 403
            async with keyed(server.url, "sesame", mode="legacy") as client:
                result = await client.call_tool("generate_text", {"prompt": "[[say In.]]"})
    assert answer(result) == "In."
    assert simulator.runs == 1


async def test_a_name_that_the_user_allows_is_let_in(tmp_path: Path) -> None:
    async with backend(Simulator(), tmp_path) as env:
        async with served(env, "--allow-host", "box.example") as server:
            async with raw.connect(server.port) as connection:
                await connection.send(post("/mcp", HELLO, ACCEPT, host="box.example:80"))
                assert (await connection.reply()).status == 200


async def test_a_web_page_that_the_user_lets_in_may_call(tmp_path: Path) -> None:
    page = "https://app.example"
    command = codexapi("serve", "--demo", "--mcp", "--port", "0", "--cors", page)
    async with served(environment(CODEX_HOME=str(tmp_path)), command=command) as server:
        for origin, status in ((page, 200), ("https://other.example", 403)):
            async with raw.connect(server.port) as connection:
                await connection.send(post("/mcp", HELLO, ACCEPT, f"Origin: {origin}"))
                assert (await connection.reply()).status == status


async def test_a_body_may_be_larger_than_the_sdk_would_have_it_and_not_endless(
    tmp_path: Path,
) -> None:
    async with backend(Simulator(), tmp_path) as env, served(env) as server:
        async with Client(server.url) as client:
            files = {"prompt": f"[[say Read.]] {'x' * 5_000_000}"}
            result = await client.call_tool("generate_text", files)
        async with raw.connect(server.port) as connection:
            head = raw.head(
                "POST /mcp", "Host: 127.0.0.1", raw.JSON_TYPE, ACCEPT,
                f"Content-Length: {MAX_BODY_BYTES + 1}",
            )  # fmt: skip
            await connection.send(head)
            refused = await connection.reply()
    assert answer(result) == "Read."
    assert refused.status == 413


async def test_a_hang_up_ends_a_text_in_the_older_era_too(tmp_path: Path) -> None:
    slow = Slow()
    async with backend(slow.simulator, tmp_path) as env, served(env) as server:
        mine = await session(server.port)
        async with raw.connect(server.port) as connection:
            await connection.send(post("/mcp", call("[[silence 60]] x"), ACCEPT, OLD, mine))
            await slow.waiting.wait()
            connection.leave()
            await slow.ended.wait()
    assert slow.simulator.cancelled == 1


@both_eras
async def test_a_call_is_told_that_the_server_goes_down(tmp_path: Path, mode: str) -> None:
    slow = Slow()
    async with backend(slow.simulator, tmp_path) as env:
        async with served(env, command=launched("http")) as server:
            ending: asyncio.Task[int] | None = None
            result: CallToolResult | None = None
            try:
                async with Client(server.url, mode=mode) as client:
                    asking = client.call_tool("generate_text", {"prompt": "[[silence 60]] x"})
                    calling = asyncio.create_task(asking)
                    await slow.waiting.wait()
                    ending = asyncio.create_task(server.stop(signal.SIGTERM))
                    result = await calling
            except* (OSError, RuntimeError):
                pass  # the client says goodbye to a server that is gone
            assert result is not None
            assert ending is not None
            assert await ending == 128 + signal.SIGTERM
    assert failure(result)["code"] == "shutting_down"
    assert slow.simulator.cancelled == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_clients_that_only_wait_for_news_do_not_hold_it(
    tmp_path: Path, number: signal.Signals
) -> None:
    """It would wait for an hour for anything else."""
    async with backend(Simulator(), tmp_path) as env:
        async with served(env, command=launched("http", drain=3600)) as server:
            mine = await session(server.port)
            async with raw.connect(server.port) as connection:
                listen = raw.get("/mcp", "Accept: text/event-stream", OLD, mine)
                await connection.send(listen)
                assert (await connection.head()).status == 200
                ending = asyncio.create_task(server.stop(number))
                pieces = [piece async for piece in connection.pieces()]
                assert await ending == 128 + number
    assert b"".join(pieces) == b""
    assert not [line for line in server.said if "Traceback" in line]


async def test_nothing_of_a_call_gets_into_the_log(tmp_path: Path) -> None:
    async with backend(Simulator(), tmp_path) as env, served(env) as server:
        async with Client(server.url) as client:
            for arguments in (
                {"prompt": "canary [[status usage_limit_reached]]"},
                {"prompt": ["canary"]},
                {"canary": "canary"},
                {"prompt": "canary [[cut 2]]"},
            ):
                assert (await client.call_tool("generate_text", arguments)).is_error
        async with raw.connect(server.port) as connection:
            await connection.send(post("/mcp", b'{"canary', ACCEPT))
            await connection.reply()
        await server.stop(signal.SIGTERM)
    assert "canary" not in json.dumps(server.said)
