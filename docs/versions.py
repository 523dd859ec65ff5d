"""Which programs were run with the settings that `setup` and `mcp install` write: mostly in the
versions that the tests pin.
"""

from __future__ import annotations

import json
import re

from tests.downloads import PINS

from codexapi_cli.integrations.api_client import ModelInfo, ServerInfo
from codexapi_cli.integrations.mcp_clients import McpClient

SERVER = ServerInfo("http://127.0.0.1:18080/v1", [ModelInfo("MODEL")])
DAY = "2026-11-28"
"""When the versions that the tests pin were run last, and the settings of all others read."""

NOT_RUN = f"not run; its documents, {DAY}"

_CODEX = ("codex-cli", "@openai/codex")
_CLAUDE_CODE = ("claude-code", "@anthropic-ai/claude-code")
_PINS = {
    "codex": _CODEX,
    "claude-code": _CLAUDE_CODE,
    "continue": ("continue-cli", "@continuedev/cli"),
    "aider": ("aider.txt", "aider-chat"),
    "opencode": ("agents", "opencode-linux-x64"),
    "pi": ("agents", "@earendil-works/pi-coding-agent"),
    "open-webui": ("open-webui.txt", "open-webui"),
    "langchain": ("clients.txt", "langchain-openai"),
    "shell": ("openai-python.txt", "openai"),
    "anthropic": ("anthropic-python.txt", "anthropic"),
    "ollama": ("ollama-js", "ollama"),
}
_LIBRARIES = {"shell", "anthropic", "ollama", "langchain"}
"""Where a library stands for all programs of its API."""

_PARTLY = {
    "librechat": ("librechat", "librechat-data-provider"),
}
"""Where the program's own reader of its settings was run, and not the program."""

_BY_HAND = {"qwen-code": "0.15.10", "cline": "its command line, 3.0.65"}
"""Run once on DAY with what `setup` said, without a network, and pinned by no test."""

_EDITORS = {
    "codex": _CODEX,
    "claude-code": _CLAUDE_CODE,
    "gemini": ("gemini-cli", "@google/gemini-cli"),
}


def of(client: str) -> str:
    """What an API client was tried with."""
    if client in _PARTLY:
        return f"its reader of settings, {_version(*_PARTLY[client])}, {DAY}"
    if client in _BY_HAND:
        return f"{_BY_HAND[client]}, {DAY}"
    if client not in _PINS:
        return NOT_RUN
    library = f"{_PINS[client][1]} " if client in _LIBRARIES else ""
    return f"{library}{_version(*_PINS[client])}, {DAY}"


def of_editor(client: McpClient) -> str:
    """What an MCP client was tried with, or where its form was read."""
    if client.name in _EDITORS:
        return f"tried: {_version(*_EDITORS[client.name])}, {DAY}"
    return f"read: {client.source}"


def _version(file: str, package: str) -> str:
    if file.endswith(".txt"):
        found = re.search(rf"^{package}==(\S+)", (PINS / file).read_text("utf-8"), re.MULTILINE)
        assert found, f"{package} is not pinned in {file}"
        return found[1]
    pins = json.loads((PINS / file / "package.json").read_text("utf-8"))
    return str(pins["dependencies"][package])
