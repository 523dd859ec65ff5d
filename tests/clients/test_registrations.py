"""Real clients read what `codexapi mcp install` wrote, and start the server from it.

Codex, Claude Code and Gemini CLI, each in a home of its own. None asks a model, and none reaches
another host. Those that need Node or much room are marked `clients`.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from tests.codex_cli import NEWEST, official_client
from tests.contract.test_codex_cli import NOWHERE
from tests.downloads import had, node
from tests.processes import codexapi, environment
from tests.suites import claude_code
from tests.suites.surroundings import node_packages

SETTINGS = {
    "codex": '# mine\nmodel = "m"  # the good one\n\n[mcp_servers.other]\ncommand = "true"\n',
    # A folder that Gemini does not trust has no servers, not even the user's.
    "gemini": '{\n  // mine\n  "security": {"folderTrust": {"enabled": false}}\n}\n',
}
PATHS = {"codex": ".codex/config.toml", "gemini": ".gemini/settings.json"}

pytestmark = pytest.mark.timeout(600)  # the first run downloads


class Home:
    """A home, a folder to work in, and programs on its PATH."""

    def __init__(self, path: Path) -> None:
        self.path, self.folder, programs = path, path / "work", path / "bin"
        self.folder.mkdir()
        programs.mkdir()
        self.programs = programs
        self.env = environment(
            HOME=str(path), PATH=f"{programs}{os.pathsep}{os.environ['PATH']}",
            XDG_CONFIG_HOME="", HTTP_PROXY=NOWHERE, HTTPS_PROXY=NOWHERE, NO_PROXY="127.0.0.1",
        )  # fmt: skip

    def run(self, *command: str) -> str:
        done = subprocess.run(
            command, cwd=self.folder, env=self.env, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=100, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def mcp(self, command: str, client: str, *options: str) -> str:
        return self.run(*codexapi("mcp", command, client, *options))

    def settings(self, client: str) -> Path:
        path = self.path / PATHS[client]
        path.parent.mkdir()
        path.write_text(SETTINGS[client])
        return path


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def test_codex_reads_its_entry(home: Home) -> None:
    codex = str(official_client(NEWEST))
    path = home.settings("codex")
    home.mcp("install", "codex", "--required", "--env", "PYTHONPATH")
    told = home.run(codex, "mcp", "get", "codexapi", "--json")
    entry = json.loads(told[told.index("{") : told.rindex("}") + 1])
    assert entry["enabled"] is True
    assert Path(entry["transport"]["command"]).is_file()
    assert entry["transport"]["args"][-2:] == ["mcp", "serve"]
    assert entry["transport"]["env"].keys() == {"PYTHONPATH"}
    assert (entry["startup_timeout_sec"], entry["tool_timeout_sec"]) == (20, 900)
    assert "other" in home.run(codex, "mcp", "list")
    home.mcp("uninstall", "codex")
    assert path.read_text() == SETTINGS["codex"]


@pytest.mark.clients
def test_claude_code_starts_the_server(home: Home) -> None:
    packages = had("claude-code", lambda: node_packages("claude-code"))
    (home.programs / "claude").symlink_to(claude_code.program(packages))
    home.mcp("install", "claude-code", "--env", "PYTHONPATH")
    assert "Connected" in home.run("claude", "mcp", "list")
    assert "nothing to do" in home.mcp("install", "claude-code", "--env", "PYTHONPATH")
    home.mcp("install", "claude-code", "--force")
    home.mcp("uninstall", "claude-code")
    assert "codexapi" not in (home.path / ".claude.json").read_text()


@pytest.mark.clients
def test_gemini_cli_starts_the_server(home: Home) -> None:
    packages = had("gemini-cli", lambda: node_packages("gemini-cli"))
    script = packages / "node_modules" / "@google" / "gemini-cli" / "bundle" / "gemini.js"
    path = home.settings("gemini")
    home.mcp("install", "gemini", "--env", "PYTHONPATH")
    told = home.run(str(had("node", node)), str(script), "mcp", "list")
    assert "codexapi" in told
    assert "Connected" in told
    home.mcp("uninstall", "gemini")
    assert path.read_text() == SETTINGS["gemini"]
