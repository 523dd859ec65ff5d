"""The table of programs that can use our MCP server: their settings files and formats.

To add one, add a `Client` to `CLIENTS` and run `python -m tests.cli.test_mcp_clients`, which
writes its golden file. All else follows from the table.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from json import dumps
from pathlib import PurePath
from typing import Any, Final
from urllib.parse import quote

from codexapi_engine.bounds import MCP_CALL_TIMEOUT
from codexapi_engine.errors import JsonObject

from .system import LINUX, MACOS, WINDOWS, System

NAME: Final = "codexapi"
"""Our name among a client's servers. Gemini CLI wants one without an underscore."""

COMMAND, ARGUMENTS, WHOLE = "{command}", "{arguments}", "{command and arguments}"
"""What stands in an entry for the command that starts the server."""


CLAUDE = "Claude/claude_desktop_config.json"
STDIO: Final = {"command": COMMAND, "args": ARGUMENTS}


@dataclass(frozen=True, slots=True)
class McpClient:
    """One program.

    `files` are its settings of a user on each system ("" for all of them), as templates of
    `System.path`; where there are several, the first whose folder exists. `project` is its
    settings file in a project. `key` is the member of the file that holds the servers, `entry`
    ours. `env` is the member of an entry for environment variables. `add` and `remove` are the
    client's own commands for its user's file, where we leave that to them. `after` says what the
    user has to do then. `written` is False where we only print the entry, for the user to paste.
    `link` is an address that makes the client ask whether it shall take the entry. `source` says
    when and where the place and the form were read last.
    """

    name: str
    title: str
    files: Mapping[str, Sequence[str]]
    after: str
    key: str = "mcpServers"
    entry: JsonObject = field(default_factory=lambda: STDIO)
    env: str = "env"
    project: str | None = None
    form: str = "jsonc"
    add: Sequence[str] = ()
    remove: Sequence[str] = ()
    written: bool = True
    can_require: bool = False
    link: str = ""
    source: str = ""

    def places(self, system: System) -> list[PurePath]:
        """Where its user's settings may be on a system, the likeliest first."""
        templates = self.files.get(system.platform) or self.files.get("", ())
        return [system.path(template) for template in templates]

    def registration(
        self, command: Sequence[str], env: Mapping[str, str], *, required: bool = False
    ) -> JsonObject:
        """Our entry, for a command that starts the server."""
        made: JsonObject = _filled(self.entry, command)
        if env:
            made[self.env] = {**made.get(self.env, {}), **env}
        if required and self.can_require:
            made["required"] = True
        return made

    def link_to(self, entry: JsonObject) -> str:
        """The address for an entry; "" where the client has none."""
        encoded = b64encode(dumps(entry).encode()).decode()
        named = dumps({"name": NAME, **entry})
        return self.link.format(base64=quote(encoded, safe=""), json=quote(named, safe=""))


def _filled(value: Any, command: Sequence[str]) -> Any:
    if isinstance(value, dict):
        return {name: _filled(item, command) for name, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, command) for item in value]
    fillings = {COMMAND: command[0], ARGUMENTS: list(command[1:]), WHOLE: list(command)}
    return fillings[value] if isinstance(value, str) and value in fillings else value


def _vs_code(folder: str, path: str) -> dict[str, tuple[str]]:
    """Files of VS Code, which has the same folder in three places."""
    return {
        LINUX: (f"{{config}}/{folder}/User/{path}",),
        MACOS: (f"{{support}}/{folder}/User/{path}",),
        WINDOWS: (f"{{appdata}}/{folder}/User/{path}",),
    }


CLIENTS: Final = (
    McpClient(
        "claude-code",
        "Claude Code",
        {"": ("{claude}/.claude.json",)},
        "It is there in the next session; /mcp shows it.",
        entry={"type": "stdio", **STDIO, "env": {}, "timeout": MCP_CALL_TIMEOUT * 1000, "alwaysLoad": True},
        project=".mcp.json",
        # The file is large, and written by every session that runs.
        add=("claude", "mcp", "add-json", "-s", "user", "{name}", "{entry}"),
        remove=("claude", "mcp", "remove", "{name}", "-s", "user"),
        source="2026-11-28, code.claude.com/docs/en/mcp, as quoted by "
        "developersdigest.tech/mcp-servers/clients/claude-code",
    ),
    McpClient(
        "claude-desktop",
        "Claude Desktop",
        {
            LINUX: (f"{{config}}/{CLAUDE}",),
            MACOS: (f"{{support}}/{CLAUDE}",),
            # Where it comes from the Store it reads the first one alone, and says nothing.
            WINDOWS: (
                f"{{localappdata}}/Packages/*Claude*/LocalCache/Roaming/{CLAUDE}",
                f"{{appdata}}/{CLAUDE}",
            ),
        },
        "Quit it fully, from the menu or the tray, and start it again.",
        entry={**STDIO, "env": {}},
        source="2026-11-28, modelcontextprotocol.io/docs/develop/connect-local-servers, as quoted by "
        "confluentinc/mcp-confluent docs/configuring-claude-desktop.md",
    ),
    McpClient(
        "codex",
        "Codex",
        {"": ("{codex}/config.toml",)},
        "It is there in the next session; codex mcp list shows it.",
        key="mcp_servers",
        entry={**STDIO, "startup_timeout_sec": 20, "tool_timeout_sec": MCP_CALL_TIMEOUT},
        project=".codex/config.toml",
        form="toml",
        can_require=True,
        source="2026-11-28, developers.openai.com/codex/config-reference, as quoted by "
        "mcpbundles.com/guides/codex",
    ),
    McpClient(
        "cursor",
        "Cursor",
        {"": ("{home}/.cursor/mcp.json",)},
        "Switch it on under Settings > MCP, if it is not.",
        link=f"cursor://anysphere.cursor-deeplink/mcp/install?name={NAME}&config={{base64}}",
        project=".cursor/mcp.json",
        source="2026-11-28, cursor.com/docs/mcp, as quoted by "
        "confluentinc/mcp-confluent docs/configuring-cursor.md",
    ),
    McpClient(
        "vscode",
        "VS Code",
        _vs_code("Code", "mcp.json"),
        "Start it with `MCP: List Servers`, and trust it.",
        link="vscode:mcp/install?{json}",
        key="servers",
        entry={"type": "stdio", **STDIO},
        project=".vscode/mcp.json",
        source="2026-11-28, code.visualstudio.com/docs/agents/reference/mcp-configuration",
    ),
    McpClient(
        "vscode-insiders",
        "VS Code Insiders",
        _vs_code("Code - Insiders", "mcp.json"),
        "Start it with `MCP: List Servers`, and trust it.",
        link="vscode-insiders:mcp/install?{json}",
        key="servers",
        entry={"type": "stdio", **STDIO},
        source="2026-11-28, code.visualstudio.com/docs/agents/reference/mcp-configuration",
    ),
    McpClient(
        "gemini",
        "Gemini CLI",
        {"": ("{home}/.gemini/settings.json",)},
        "It is there in the next session; /mcp shows it. It is off in folders you do not trust.",
        entry={**STDIO, "timeout": MCP_CALL_TIMEOUT * 1000},
        project=".gemini/settings.json",
        source="2026-11-28, google-gemini/gemini-cli docs/tools/mcp-server.md",
    ),
    McpClient(
        "zed",
        "Zed",
        {
            LINUX: ("{config}/zed/settings.json",),
            MACOS: ("{home}/.config/zed/settings.json",),
            WINDOWS: ("{appdata}/Zed/settings.json",),
        },
        "It starts at once; the agent panel's settings show it.",
        key="context_servers",
        entry={**STDIO, "env": {}},
        project=".zed/settings.json",
        source="2026-11-28, zed-industries/zed crates/migrator/src/migrations/m_2025_11_25/settings.rs",
    ),
    McpClient(
        "copilot",
        "Copilot CLI",
        {"": ("{copilot}/mcp-config.json",)},
        "/mcp show tells whether it is there.",
        entry={"type": "local", **STDIO, "tools": ["*"]},
        source="2026-11-28, code.visualstudio.com/docs/agents/reference/mcp-configuration; "
        "docs.github.com/copilot/how-tos/copilot-cli/customize-copilot/add-mcp-servers",
    ),
    McpClient(
        "windsurf",
        "Windsurf",
        {"": ("{home}/.codeium/windsurf/mcp_config.json",)},
        "Refresh the servers in Cascade's panel.",
        source="2026-11-28, docs.windsurf.com/windsurf/cascade/mcp, as quoted by "
        "confluentinc/mcp-confluent docs/configuring-windsurf.md",
    ),
    McpClient(
        "jetbrains",
        "JetBrains (Junie, AI Assistant)",
        {"": ("{home}/.junie/mcp/mcp.json",)},
        "AI Assistant takes the same under Settings > Tools > AI Assistant > MCP.",
        project=".junie/mcp/mcp.json",
        source="2026-11-28, jetbrains.com/help/junie/model-context-protocol-mcp.html; "
        "vaadin.com/docs/next/agentic-development/mcp/supported-tools/junie",
    ),
    McpClient(
        "opencode",
        "OpenCode",
        {"": ("{config}/opencode/opencode.jsonc", "{config}/opencode/opencode.json")},
        "It is there in the next session.",
        key="mcp",
        entry={"type": "local", "command": WHOLE, "enabled": True},
        env="environment",
        project="opencode.json",
        source="2026-11-28, anomalyco/opencode packages/web/src/content/docs/mcp-servers.mdx",
    ),
    McpClient(
        "goose",
        "Goose",
        {
            "": ("{config}/goose/config.yaml",),
            WINDOWS: ("{appdata}/Block/goose/config/config.yaml",),
        },
        "It is there in the next session.",
        key="extensions",
        entry={
            "name": NAME, "type": "stdio", "enabled": True, "cmd": COMMAND, "args": ARGUMENTS,
            "timeout": MCP_CALL_TIMEOUT,
        },
        env="envs",
        form="yaml",
        source="2026-11-28, aaif-goose/goose documentation/docs/guides/config-files.md",
    ),
    McpClient(
        "cline",
        "Cline",
        {
            system: ("{home}/.cline/data/settings/cline_mcp_settings.json", before)
            for system, (before,) in _vs_code(
                "Code", "globalStorage/saoudrizwan.claude-dev/settings/cline_mcp_settings.json"
            ).items()
        },
        "Its MCP Servers > Configure shows it.",
        entry={**STDIO, "timeout": MCP_CALL_TIMEOUT, "disabled": False},
        source="2026-11-28, docs.cline.bot/getting-started/config (before 4.0 in VS Code's folder); "
        "cline/cline docs/mcp/adding-and-configuring-servers.mdx",
    ),
    McpClient(
        "roo",
        "Roo Code",
        _vs_code("Code", "globalStorage/rooveterinaryinc.roo-cline/settings/mcp_settings.json"),
        "Its MCP settings > Edit Global MCP opens the file.",
        entry={**STDIO, "timeout": MCP_CALL_TIMEOUT, "disabled": False},
        project=".roo/mcp.json",
        written=False,  # no page documents the folder of the user's file
        source="2026-11-28, docs.roocode.com/features/mcp/using-mcp-in-roo",
    ),
    McpClient(
        "continue",
        "Continue",
        {"": ("{home}/.continue/mcpServers/codexapi.json",)},
        "It takes the files of this folder in a project too.",
        project=".continue/mcpServers/codexapi.json",
        written=False,  # its own file has a list of servers
        source="2026-11-28, docs.continue.dev/customize/deep-dives/mcp",
    ),
    McpClient(
        "amp",
        "Amp",
        {"": ("{config}/amp/settings.json",), WINDOWS: ("{appdata}/amp/settings.json",)},
        "It is there in the next session; amp mcp list shows it.",
        key="amp.mcpServers",  # one name, with a dot
        project=".amp/settings.json",
        source="2026-11-28, ampcode.com/manual",
    ),
    McpClient(
        "kiro",
        "Kiro",
        {"": ("{home}/.kiro/settings/mcp.json",)},
        "It starts when the file is saved; the MCP panel, or /mcp, shows it.",
        entry={**STDIO, "disabled": False},
        project=".kiro/settings/mcp.json",
        source="2026-11-28, kiro.dev/docs/mcp/configuration and kiro.dev/docs/cli/mcp/configuration",
    ),
    McpClient(
        "qwen-code",
        "Qwen Code",
        {"": ("{home}/.qwen/settings.json",)},
        "It is there in the next session; /mcp shows it.",
        entry={**STDIO, "timeout": MCP_CALL_TIMEOUT * 1000},
        project=".qwen/settings.json",
        source="2026-11-28, QwenLM/qwen-code docs/users/features/mcp.md",
    ),
    McpClient(
        "warp",
        "Warp",
        {"": ("{home}/.warp/.mcp.json",)},
        "Settings > Agents > MCP servers shows it.",
        project=".warp/.mcp.json",
        source="2026-11-28, docs.warp.dev/agents/capabilities/mcp; warpdotdev/warp, its skill "
        "agent-add-mcp",
    ),
    McpClient(
        "lm-studio",
        "LM Studio",
        {"": ("{home}/.lmstudio/mcp.json",)},
        "Program > Install > Edit mcp.json shows it.",
        source="2026-11-28, lmstudio-ai/docs 0_app/2_mcp/index.mdx",
    ),
    McpClient(
        "crush",
        "Crush",
        {"": ("{config}/crush/crush.json",)},
        "It warns where crushrc is in the same folder: its documentation tells how to move it there.",
        key="mcp",
        entry={"type": "stdio", **STDIO, "timeout": MCP_CALL_TIMEOUT},
        project="crush.json",
        written=False,  # JSON is read, and no longer the form that it wants
        source="2026-11-28, charmbracelet/crush docs/config/README.md",
    ),
)  # fmt: skip
