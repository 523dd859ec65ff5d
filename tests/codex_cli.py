"""The official client as npm installs it, in each version that is pinned."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

from tests.downloads import PINS, Unavailable, cached, npm_ci

NEWEST = "0.171.0"
PINNED = {
    NEWEST: "codex-cli",
    "0.169.0": "codex-cli-0.169.0",
    "0.163.0": "codex-cli-0.163.0",
}


def official_client(version: str) -> Path:
    """The program itself, without the launcher that needs Node. Skips where it cannot be had."""
    return program(cached(f"codex-cli-{version}", partial(install, version=version)))


def install(folder: Path, version: str = NEWEST) -> None:
    npm_ci(PINS / PINNED[version], folder)
    program(folder)


def program(folder: Path) -> Path:
    name = "codex.exe" if sys.platform == "win32" else "codex"
    found = next(folder.glob(f"node_modules/@openai/codex-*/vendor/*/bin/{name}"), None)
    if found is None:
        raise Unavailable("npm installed no Codex CLI for this machine")
    return found
