"""Editors' agents that speak MCP, unmodified, each given our server by `codexapi mcp install` in a
home of its own, and a scripted model that wants our tools. Behind ours, the simulated backend.

What is proven is the whole way: the model's call reaches our tool, and its result the model.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.codex_cli import NEWEST, official_client
from tests.contract.test_codex_cli import CONFIG, LITE, NOWHERE
from tests.downloads import had, node
from tests.faulty import Exchange, FaultyBackend, stream, whole
from tests.processes import codexapi, environment, server, simulator
from tests.suites import claude_code
from tests.suites.surroundings import node_packages

pytestmark = [pytest.mark.clients, pytest.mark.timeout(900)]  # the first run installs

JsonObject = dict[str, Any]
ASKED = {"prompt": "inner question"}
SAID = "You said: “inner question”"
DRAWN = {"prompt": "a red fox"}
APPROVED = ["-c", 'mcp_servers.codexapi.default_tools_approval_mode="approve"']
"""What a user says to Codex: it runs a tool that writes files only when asked, and `exec` asks
nobody. A tool that only reads needs no such word."""


@contextmanager
def registered(client: str, home: Path, **more: str) -> Iterator[dict[str, str]]:
    """The environment of a client that has our server in its settings."""
    with simulator(home / "login") as backend:
        env = environment(
            HOME=str(home), XDG_CONFIG_HOME=str(home / ".config"),
            HTTP_PROXY=NOWHERE, HTTPS_PROXY=NOWHERE, NO_PROXY="127.0.0.1", **more,
        )  # fmt: skip
        ours = {
            **backend.env,
            "PYTHONPATH": env["PYTHONPATH"],
            "CODEXAPI_IMAGE_DIR": str(home / "pictures"),
        }
        given = [f"--env={name}={value}" for name, value in ours.items()]
        subprocess.run(
            codexapi("mcp", "install", client, *given, *["--required"] * (client == "codex")),
            env=env, cwd=home, stdin=subprocess.DEVNULL, check=True,
        )  # fmt: skip
        yield env


def pictures(home: Path) -> list[Path]:
    return list((home / "pictures").glob("*.png"))


@pytest.mark.parametrize(
    ("tool", "arguments", "said"),
    [("generate_text", ASKED, SAID), ("generate_image", DRAWN, "a-red-fox-")],
)
def test_codex_calls_our_tools(tmp_path: Path, tool: str, arguments: JsonObject, said: str) -> None:
    codex = official_client(NEWEST)
    codex_home = tmp_path / "codex"
    codex_home.mkdir()
    approved = APPROVED if tool == "generate_image" else []
    call = f"text(JSON.stringify(await tools.mcp__codexapi__{tool}({json.dumps(arguments)})))"
    with simulator(tmp_path / "model") as model, server("--quiet", env=model.env) as door:
        (codex_home / "config.toml").write_text(CONFIG.format(model=LITE, url=door.url))
        with registered("codex", tmp_path, CODEX_HOME=str(codex_home)) as env:
            done = subprocess.run(
                [
                    codex, "exec", "--strict-config", "--skip-git-repo-check", *approved,
                    f"[[tool exec {call}]]",
                ],
                cwd=tmp_path, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                timeout=100, check=False,
            )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert f"codexapi/{tool} (completed)" in done.stderr
    assert said in done.stdout, done.stdout + done.stderr
    assert len(pictures(tmp_path)) == (tool == "generate_image")


Model = Callable[[JsonObject], Iterator[JsonObject]]
"""The events with which a scripted model answers a request."""


@asynccontextmanager
async def scripted(model: Model, *, named: bool) -> AsyncIterator[FaultyBackend]:
    """A server of a model: whatever is posted to it gets the model's events as an answer."""

    async def answer(exchange: Exchange) -> None:
        request = exchange.request
        if request.method != "POST" or "count" in request.target.lower():
            await exchange.send(whole(404))
            return
        events = (
            (f"event: {event['type']}\n" if named else "") + f"data: {json.dumps(event)}\n\n"
            for event in model(request.json)
        )
        await exchange.send(stream("".join(events).encode()))

    async with FaultyBackend(otherwise=[answer]) as backend:
        yield backend


async def finished(command: list[str | Path], home: Path, env: dict[str, str]) -> str:
    """What a program says that ends well."""
    process = await asyncio.create_subprocess_exec(
        *command, cwd=home, env=env, stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        async with asyncio.timeout(200):
            said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, said.decode()
    return said.decode()


def claude(tool: str, arguments: JsonObject) -> Model:
    """A model of the Messages API that calls our tool once, and repeats what that said."""

    def answer(request: JsonObject) -> Iterator[JsonObject]:
        names = [each["name"] for each in request.get("tools", ())]
        content = request["messages"][-1]["content"]
        results = [
            part for part in content if isinstance(part, dict) and part["type"] == "tool_result"
        ]
        block: JsonObject = {"type": "text", "text": ""}
        delta: JsonObject = {"type": "text_delta", "text": str(names)}
        if results:
            delta["text"] = json.dumps(results[0]["content"], ensure_ascii=False)
        elif (name := f"mcp__codexapi__{tool}") in names:
            block = {"type": "tool_use", "id": "toolu_1", "name": name, "input": {}}
            delta = {"type": "input_json_delta", "partial_json": json.dumps(arguments)}
        usage = {"input_tokens": 1, "output_tokens": 1}
        reason = "tool_use" if block["type"] == "tool_use" else "end_turn"
        message = {
            "id": "msg_1", "type": "message", "role": "assistant", "model": request["model"],
            "content": [], "stop_reason": None, "stop_sequence": None, "usage": usage,
        }  # fmt: skip
        yield {"type": "message_start", "message": message}
        yield {"type": "content_block_start", "index": 0, "content_block": block}
        yield {"type": "content_block_delta", "index": 0, "delta": delta}
        yield {"type": "content_block_stop", "index": 0}
        yield {
            "type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None},
            "usage": usage,
        }  # fmt: skip
        yield {"type": "message_stop"}

    return answer


@pytest.mark.parametrize(
    ("tool", "arguments", "said"),
    [("generate_text", ASKED, SAID), ("generate_image", DRAWN, "a-red-fox-")],
)
async def test_claude_code_calls_our_tools(
    tmp_path: Path, tool: str, arguments: JsonObject, said: str
) -> None:
    program = claude_code.program(had("claude-code", lambda: node_packages("claude-code")))
    path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    with registered("claude-code", tmp_path, PATH=path) as env:
        async with scripted(claude(tool, arguments), named=True) as model:
            told = await finished(
                [
                    program, "-p", "ask", "--model", "sonnet",
                    "--allowedTools", f"mcp__codexapi__{tool}",
                ],
                tmp_path,
                {
                    **env, "ANTHROPIC_BASE_URL": model.url, "ANTHROPIC_API_KEY": "unused",
                    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "ENABLE_TOOL_SEARCH": "false",
                    "MCP_TIMEOUT": "60000",
                },
            )  # fmt: skip
    assert said in told
    assert len(pictures(tmp_path)) == (tool == "generate_image")


def gemini(tool: str, arguments: JsonObject) -> Model:
    """A model of the Gemini API, likewise."""

    def answer(request: JsonObject) -> Iterator[JsonObject]:
        offered = [
            each["name"]
            for tools in request.get("tools", ())
            for each in tools.get("functionDeclarations", ())
        ]
        name = next((each for each in offered if each.endswith(tool)), None)
        parts = request["contents"][-1]["parts"]
        results = [part["functionResponse"] for part in parts if "functionResponse" in part]
        part: JsonObject = {"text": str(offered)}
        if results:
            part = {"text": json.dumps(results[0]["response"], ensure_ascii=False)}
        elif name is not None:
            part = {"functionCall": {"name": name, "args": arguments}}
        yield {
            "candidates": [
                {"content": {"role": "model", "parts": [part]}, "finishReason": "STOP", "index": 0}
            ],
            "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 1},
        }

    return answer


KEYED = {"security": {"auth": {"selectedType": "gemini-api-key"}}}
"""What the CLI writes down when its user has chosen to use a key."""


@pytest.mark.parametrize(
    ("tool", "arguments", "said"),
    [("generate_text", ASKED, SAID), ("generate_image", DRAWN, "a-red-fox-")],
)
async def test_gemini_cli_calls_our_tools(
    tmp_path: Path, tool: str, arguments: JsonObject, said: str
) -> None:
    packages = had("gemini-cli", lambda: node_packages("gemini-cli")) / "node_modules"
    (tmp_path / ".gemini").mkdir()
    (tmp_path / ".gemini" / "settings.json").write_text(json.dumps(KEYED))
    with registered("gemini", tmp_path) as env:
        async with scripted(gemini(tool, arguments), named=False) as model:
            told = await finished(
                [
                    node(), packages / "@google/gemini-cli/bundle/gemini.js", "--prompt", "ask",
                    "--model", "gemini-2.5-flash", "--approval-mode", "yolo",
                ],
                tmp_path,
                {
                    **env, "GOOGLE_GEMINI_BASE_URL": model.url, "GEMINI_API_KEY": "unused",
                    "GEMINI_TELEMETRY_ENABLED": "false", "GEMINI_CLI_TRUST_WORKSPACE": "true",
                },
            )  # fmt: skip
    assert said in told
    assert len(pictures(tmp_path)) == (tool == "generate_image")
