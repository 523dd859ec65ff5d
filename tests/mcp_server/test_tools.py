"""The MCP door, driven by the official client: in memory, and over stdio as editors do."""

from __future__ import annotations

import json
import signal
import subprocess

import pytest
from mcp import Client, StdioServerParameters
from mcp.types import CallToolResult, TextContent
from tests.processes import codexapi, environment

from codexapi_engine import Codex, Settings
from codexapi_mcp import create_server

MODES = ["auto", "legacy"]


def text(result: CallToolResult) -> str:
    assert isinstance(result.content[0], TextContent)
    return result.content[0].text


@pytest.mark.parametrize("mode", MODES)
async def test_generate_text_answers_in_both_protocol_eras(mode: str) -> None:
    async with Codex(Settings(demo=True)) as codex:
        async with Client(create_server(codex), mode=mode) as client:
            result = await client.call_tool("generate_text", {"prompt": "[[say Hello.]]"})
    assert not result.is_error
    assert text(result) == "Hello."
    assert result.structured_content is None


async def test_a_failure_names_its_code_and_what_to_do() -> None:
    async with Codex(Settings(demo=True)) as codex:
        async with Client(create_server(codex)) as client:
            result = await client.call_tool(
                "generate_text", {"prompt": "[[status usage_limit_reached]]"}
            )
    assert result.is_error
    assert "usage_limit_reached" in text(result)
    assert "resets in" in text(result)


async def test_without_a_login_the_model_is_told_what_the_user_must_run(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    settings = Settings(codex_home=tmp_path_factory.mktemp("empty"))
    async with Codex(settings) as codex, Client(create_server(codex)) as client:
        result = await client.call_tool("generate_text", {"prompt": "Hi", "model": "gpt-6.1-sol"})
    assert result.is_error
    assert "codex login" in text(result)


async def test_the_tool_that_asks_a_model_says_that_it_only_reads() -> None:
    async with Codex(Settings(demo=True)) as codex, Client(create_server(codex)) as client:
        (tool,) = [t for t in (await client.list_tools()).tools if t.name == "generate_text"]
    assert tool.annotations is not None
    assert tool.annotations.read_only_hint
    assert tool.output_schema is None


async def test_over_stdio() -> None:
    command, *arguments = codexapi("mcp", "serve", "--demo")
    parameters = StdioServerParameters(command=command, args=arguments, env=environment())
    async with Client(parameters) as client:
        result = await client.call_tool("generate_text", {"prompt": "[[say Hello.]]"})
    assert text(result) == "Hello."


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_and_stdout_had_nothing_but_json_rpc(number: signal.Signals) -> None:
    hello = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "test", "version": "1"},
        },
    }
    process = subprocess.Popen(
        codexapi("mcp", "serve", "--demo"), env=environment(), text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(hello) + "\n")
        process.stdin.flush()
        answer = json.loads(process.stdout.readline())
        process.send_signal(number)
        rest, _ = process.communicate()
    finally:
        process.kill()
        process.wait()
    assert answer["result"]["serverInfo"]["name"] == "codexapi"
    assert rest == ""
    assert process.returncode == 128 + number
