"""`codexapi mcp install`, `uninstall`, `list` and `doctor`, in a home of their own."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests import forks
from tests.cli.shell import run
from tests.processes import codexapi, environment

from codexapi_cli.integrations.edits import jsonc, yaml

FOLDERS = {
    "claude-desktop": ".config/Claude/claude_desktop_config.json",
    "codex": ".codex/config.toml",
    "cursor": ".cursor/mcp.json",
    "vscode": ".config/Code/User/mcp.json",
    "gemini": ".gemini/settings.json",
    "zed": ".config/zed/settings.json",
    "copilot": ".copilot/mcp-config.json",
    "windsurf": ".codeium/windsurf/mcp_config.json",
    "jetbrains": ".junie/mcp/mcp.json",
    "opencode": ".config/opencode/opencode.jsonc",
    "cline": ".cline/data/settings/cline_mcp_settings.json",
    "goose": ".config/goose/config.yaml",
    "amp": ".config/amp/settings.json",
    "kiro": ".kiro/settings/mcp.json",
    "qwen-code": ".qwen/settings.json",
    "warp": ".warp/.mcp.json",
    "lm-studio": ".lmstudio/mcp.json",
}
SETTINGS = '// mine\n{\n  "theme": "dark", // not light\n}\n'
LINES = "# mine\nGOOSE_MODEL: m  # good\n"
TABLES = '# mine\nmodel = "m"\n'


class Home:
    """A home in which programs have been, and codexapi as it is run there."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.env = {"HOME": str(path), "XDG_CONFIG_HOME": "", "PATH": "/usr/bin:/bin"}

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return run("mcp", *arguments, env=self.env)

    def here(self, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The same in a folder."""
        return forks.run(
            codexapi("mcp", *arguments), cwd=folder, env=environment(**self.env),
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip

    def json(self, *arguments: str) -> Any:
        return json.loads(self.run(*arguments, "--json").stdout)

    def has(self, name: str, text: str | None = None) -> Path:
        """Makes a client's folder, and its settings where they are given."""
        path = self.path / FOLDERS.get(name, ".config/Code - Insiders/User/mcp.json")
        path.parent.mkdir(parents=True, exist_ok=True)
        if text is not None:
            path.write_text(text)
        return path

    def program(self, name: str, text: str) -> Path:
        """Puts a program on PATH."""
        folder = self.path / "bin"
        folder.mkdir(exist_ok=True)
        path = folder / name
        path.write_text(f"#!{sys.executable}\n{text}")
        path.chmod(0o755)
        self.env["PATH"] = f"{folder}:/usr/bin:/bin"
        return path

    def files(self) -> set[str]:
        found = (path for path in self.path.rglob("*") if path.is_file())
        return {str(path.relative_to(self.path)) for path in found}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def ours(path: Path, *keys: str) -> Any:
    text = path.read_text()
    if path.suffix == ".toml":
        value: Any = tomllib.loads(text)
    else:
        value = yaml.parse(text) if path.suffix == ".yaml" else jsonc.parse(text)
    for key in keys:
        value = value[key]
    return value


KEYS = {
    "codex": "mcp_servers",
    "vscode": "servers",
    "vscode-insiders": "servers",
    "zed": "context_servers",
    "opencode": "mcp",
    "goose": "extensions",
    "amp": "amp.mcpServers",
}


def test_install_and_uninstall_leave_each_file_as_it_was(home: Home) -> None:
    before = {**dict.fromkeys(FOLDERS, SETTINGS), "codex": TABLES, "goose": LINES}
    paths = {name: home.has(name, text) for name, text in before.items()}
    done = home.run("install", *FOLDERS)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("Its settings as they were: ") == len(FOLDERS)
    for name, path in paths.items():
        assert str(path) in done.stdout
        entry = ours(path, KEYS.get(name, "mcpServers"), "codexapi")
        program = entry.get("command", entry.get("cmd"))
        words = program if isinstance(program, list) else [program, *entry["args"]]
        assert Path(words[0]).is_absolute()
        assert words[-2:] == ["mcp", "serve"]

    made = {name: path.read_text() for name, path in paths.items()}
    again = home.run("install", *FOLDERS)
    assert (again.returncode, again.stdout) == (0, "")
    assert again.stderr.count("nothing to do") == len(FOLDERS)
    assert {name: path.read_text() for name, path in paths.items()} == made

    assert home.run("uninstall", *FOLDERS).returncode == 0
    assert {name: path.read_text() for name, path in paths.items()} == before
    assert home.files() == set(FOLDERS.values())
    assert home.run("uninstall", *FOLDERS).stderr.count("nothing to do") == len(FOLDERS)


def test_install_in_all_that_are_there_and_in_no_others(home: Home) -> None:
    home.has("cursor")
    home.has("zed", SETTINGS)
    done = home.json("install", "--all-detected")
    assert {one["client"]: one["state"] for one in done} == {
        "cursor": "registered", "zed": "registered",
    }  # fmt: skip
    assert not (home.path / ".codex").exists()
    home.run("uninstall", "--all-detected")
    assert home.files() == {FOLDERS["zed"]}


def test_where_no_client_is_found_nothing_is_said_of_a_name(home: Home) -> None:
    done = home.run("install", "--all-detected")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "codexapi: none of the clients was found on this machine; --help lists all\n"
    )


def test_without_a_client_nothing_is_done(home: Home) -> None:
    home.has("cursor")
    done = home.run("install")
    assert done.returncode == 2
    assert "on this machine: cursor" in done.stderr
    assert home.run("install", "emacs").returncode == 2
    assert home.files() == set()


def test_a_client_that_is_not_there_gets_no_folder(home: Home) -> None:
    done = home.run("install", "cursor")
    assert done.returncode == 7
    assert "Cursor is not here" in done.stderr
    assert json.loads(done.stdout)["mcpServers"]["codexapi"]["args"][-1] == "serve"
    assert home.files() == set()


def test_dry_run_shows_a_diff_and_changes_nothing(home: Home) -> None:
    path = home.has("zed", SETTINGS)
    done = home.run("install", "zed", "--dry-run")
    assert done.returncode == 0
    assert done.stdout.startswith(f"--- {path}\n+++ {path}\n")
    assert '+  "context_servers": {\n' in done.stdout
    assert path.read_text() == SETTINGS
    home.run("install", "zed")
    made = path.read_text()
    assert '-  "context_servers": {\n' in home.run("uninstall", "zed", "--dry-run").stdout
    assert path.read_text() == made


def test_print_is_for_pasting_and_changes_nothing(home: Home) -> None:
    home.has("cursor")
    done = home.run("install", "cursor", "--print")
    assert done.returncode == 0
    assert str(home.path / FOLDERS["cursor"]) in done.stderr
    assert json.loads(done.stdout)["mcpServers"]["codexapi"]
    assert home.files() == set()


PASTED = ["roo", "continue", "crush"]


def test_what_we_do_not_write_is_printed(home: Home) -> None:
    printed = home.run("install", *PASTED, "--print")
    assert printed.returncode == 0
    assert printed.stdout.count('"serve"') == len(PASTED)
    done = home.run("install", *PASTED)
    assert (done.returncode, done.stdout) == (7, printed.stdout)
    assert done.stderr.count("paste") == len(PASTED)
    assert home.run("uninstall", *PASTED).returncode == 2
    assert home.files() == set()


def test_what_cannot_be_edited_safely_is_printed_instead(home: Home) -> None:
    path = home.has("zed", '{"theme": ')
    done = home.run("install", "zed")
    assert done.returncode == 7
    assert "cannot be edited safely: line 1" in done.stderr
    assert "context_servers" in done.stdout
    assert path.read_text() == '{"theme": '
    assert home.run("uninstall", "zed").returncode == 7


def test_one_clients_trouble_is_not_the_next_ones(home: Home) -> None:
    home.has("zed", "{")
    home.has("cursor")
    done = home.run("install", "zed", "cursor", "--json")
    assert done.returncode == 7
    zed, cursor = json.loads(done.stdout)
    assert (zed["state"], zed["error"]["type"]) == ("failed", "local_file_error")
    assert cursor["state"] == "registered"


THEIRS = '{"mcpServers": {"codexapi": {"command": "npx", "args": ["theirs"]}}}'


def test_another_entry_of_our_name_is_left_alone_unless_forced(home: Home) -> None:
    path = home.has("cursor", THEIRS)
    for command in ("install", "uninstall"):
        done = home.run(command, "cursor")
        assert done.returncode == 8
        assert "--force" in done.stderr
        assert path.read_text() == THEIRS
    assert "theirs" in home.run("install", "cursor").stderr  # what would go
    assert home.run("install", "cursor", "--force").returncode == 0
    assert home.run("uninstall", "cursor").returncode == 0
    assert path.read_text() == THEIRS
    assert home.run("uninstall", "cursor", "--force").returncode == 0
    assert "theirs" not in path.read_text()


def test_uninstall_goes_back_behind_an_entry_of_ours_that_was_replaced(home: Home) -> None:
    path = home.has("cursor", SETTINGS)
    home.run("install", "cursor")
    assert home.run("install", "cursor", "--env", "A=b").returncode == 8
    assert home.run("install", "cursor", "--env", "A=b", "--force").returncode == 0
    assert home.run("uninstall", "cursor").returncode == 0
    assert path.read_text() == SETTINGS


def test_an_entry_is_registered_with_fewer_tools_and_keeps_them(home: Home) -> None:
    path = home.has("cursor", SETTINGS)
    assert home.run("install", "cursor").returncode == 0
    for options, arguments in (
        (["--read-only"], ["--read-only"]),
        ([], ["--read-only"]),
        (["--tools", "status, text"], ["--tools", "text,status"]),
    ):
        done = home.run("install", "cursor", *options)
        assert (done.returncode, bool(done.stdout)) == (0, bool(options)), done.stderr
        words = ours(path, "mcpServers", "codexapi", "args")
        assert words[words.index("serve") + 1 :] == arguments
    other = path.read_text().replace('"serve",', '"serve", "--max-images", "3",')
    path.write_text(other)  # an edit by hand is the user's
    assert home.run("install", "cursor").stderr.count("nothing to do") == 1
    assert path.read_text() == other
    assert home.run("install", "cursor", "--read-only").returncode == 0
    words = ours(path, "mcpServers", "codexapi", "args")
    assert sorted(words[words.index("serve") + 1 :]) == ["--max-images", "--read-only", "3"]
    assert home.run("install", "cursor", "--tools", "nonsense").returncode == 2
    assert home.run("uninstall", "cursor").returncode == 0
    assert path.read_text() == SETTINGS


def test_another_servers_entry_is_not_replaced_for_fewer_tools(home: Home) -> None:
    path = home.has("cursor", THEIRS)
    assert home.run("install", "cursor", "--read-only").returncode == 8
    assert path.read_text() == THEIRS


def test_a_project_has_settings_of_its_own(home: Home) -> None:
    folder = home.path / "work"
    folder.mkdir()

    here = partial(home.here, folder)
    done = here("install", "claude-code", "vscode", "--scope", "project")
    assert done.returncode == 0, done.stderr
    assert home.files() == {"work/.mcp.json", "work/.vscode/mcp.json"}
    listed = {
        (one["client"], one["scope"]): one for one in json.loads(here("list", "--json").stdout)
    }
    assert listed["vscode", "project"]["state"] == "registered"
    assert listed["vscode", "user"]["state"] == "not found"
    refused = here("install", "claude-desktop", "--scope", "project")
    assert refused.returncode == 2
    assert here("uninstall", "claude-code", "vscode", "--scope", "project").returncode == 0
    assert home.files() == set()


def test_variables_go_into_the_entry(home: Home) -> None:
    path = home.has("cursor")
    home.env |= {"CODEX_HOME": "/logins/mine", "ONE": "1"}
    home.run("install", "cursor", "--env", "ONE", "--env", "TWO=2=2")
    entry = ours(path, "mcpServers", "codexapi")
    assert entry["env"] == {"CODEX_HOME": "/logins/mine", "ONE": "1", "TWO": "2=2"}
    assert home.run("install", "cursor", "--env", "NONE").returncode == 2


def test_codex_can_be_told_to_wait(home: Home) -> None:
    path = home.has("codex", TABLES)
    home.run("install", "codex", "--required")
    assert ours(path, "mcp_servers", "codexapi", "required") is True


CLAUDE = """
import json, pathlib, sys
path = pathlib.Path.home() / ".claude.json"
data = json.loads(path.read_text()) if path.exists() else {}
servers = data.setdefault("mcpServers", {})
match sys.argv[1:]:
    case ["mcp", "add-json", "-s", "user", name, entry]:
        if "FAIL" in entry:
            sys.exit("no room")
        if name in servers:
            sys.exit(f"MCP server {name} already exists in user config")
        servers[name] = json.loads(entry)
    case ["mcp", "remove", name, "-s", "user"]:
        del servers[name]
    case other:
        sys.exit(f"unknown: {other}")
path.write_text(json.dumps(data))
"""


def test_claude_codes_own_command_changes_its_live_file(home: Home) -> None:
    home.program("claude", CLAUDE)
    path = home.path / ".claude.json"
    shown = home.run("install", "claude-code", "--dry-run")
    assert shown.stdout.startswith("claude mcp add-json -s user codexapi '{")
    assert not path.exists()
    assert home.run("install", "claude-code").returncode == 0
    assert ours(path, "mcpServers", "codexapi")["alwaysLoad"] is True
    assert "nothing to do" in home.run("install", "claude-code").stderr
    assert home.run("install", "claude-code", "--env", "A=b").returncode == 8
    assert home.run("install", "claude-code", "--env", "A=b", "--force").returncode == 0
    assert ours(path, "mcpServers", "codexapi")["env"] == {"A": "b"}
    assert home.run("uninstall", "claude-code").returncode == 0
    assert ours(path, "mcpServers") == {}


def test_a_replacement_that_fails_leaves_what_was_there(home: Home) -> None:
    home.program("claude", CLAUDE)
    home.run("install", "claude-code")
    before = ours(home.path / ".claude.json")
    done = home.run("install", "claude-code", "--force", "--env", "FAIL=1")
    assert done.returncode == 7
    assert "no room" in done.stderr
    assert ours(home.path / ".claude.json") == before


@pytest.mark.parametrize("said", ["sys.exit('no room')", "pass"])
def test_a_client_whose_command_does_nothing_is_no_success(home: Home, said: str) -> None:
    home.program("claude", f"import sys; {said}")
    done = home.run("install", "claude-code")
    assert done.returncode == 7
    assert "no room" in done.stderr or "has no entry of ours" in done.stderr
    assert json.loads(done.stdout)["mcpServers"]["codexapi"]


def test_without_its_command_claude_codes_file_is_not_touched(home: Home) -> None:
    (home.path / ".claude.json").write_text("{}")
    done = home.run("install", "claude-code")
    assert done.returncode == 7
    assert "claude is not on PATH" in done.stderr
    assert (home.path / ".claude.json").read_text() == "{}"


def test_list_tells_the_state_of_each_client(home: Home) -> None:
    home.has("cursor", THEIRS)
    home.has("zed", "{")
    home.has("gemini", SETTINGS)
    home.has("codex")
    home.run("install", "codex")
    states = {one["client"]: one["state"] for one in home.json("list")}
    assert {name: state for name, state in states.items() if state != "not found"} == {
        "codex": "registered", "cursor": "another server", "gemini": "not registered",
        "zed": "unreadable",
    }  # fmt: skip
    assert {"claude-code", "vscode", "kiro"} < states.keys()
    shown = home.run("list")
    assert "npx theirs" in shown.stdout
    assert "line 1" in shown.stdout
    assert len(shown.stdout.splitlines()) == 4
    assert "Not on this machine: Claude Code, " in shown.stderr


STALE = [
    ("/old/venv/bin/codexapi", ["mcp", "serve"]),
    ("/old/venv/bin/python", ["-m", "codexapi_cli", "mcp", "serve"]),
    (r"C:\\old\\Scripts\\codexapi.exe", ["mcp", "serve"]),
    ("nowhere-uvx", ["--from", "codexapi-kit", "codexapi", "mcp", "serve"]),
]


@pytest.mark.parametrize(("program", "arguments"), STALE, ids=lambda value: str(value))
def test_an_entry_whose_program_is_gone_is_renewed(
    home: Home, program: str, arguments: list[str]
) -> None:
    entry = {
        "command": program, "args": [*arguments, "--tools", "text"], "env": {"MINE": "1"},
        "disabled": True,
    }  # fmt: skip
    before = json.dumps({"mcpServers": {"codexapi": entry}})
    path = home.has("cursor", before)
    (seen,) = [one for one in home.json("list") if one["client"] == "cursor"]
    assert seen["state"] == "stale"
    assert program in seen["told"]
    assert "stale" in home.run("list").stdout
    (told,) = home.json("doctor")["registrations"]
    assert (told["health"], told["fix"]) == ("problem", "codexapi mcp install cursor")
    assert program in told["told"]
    assert home.run("install", "cursor", "--env", "MORE=2").returncode == 0
    made = ours(path, "mcpServers", "codexapi")
    assert made["env"] == {"MINE": "1", "MORE": "2"}
    assert made["disabled"] is True
    assert made["command"] != program
    assert made["args"][-4:] == ["mcp", "serve", "--tools", "text"]
    (seen,) = [one for one in home.json("list") if one["client"] == "cursor"]
    assert seen["state"] == "registered"


def test_a_stale_entry_in_a_table_and_one_of_claude_code_are_renewed(home: Home) -> None:
    home.program("claude", CLAUDE)
    old = {"command": "/old/codexapi", "args": ["mcp", "serve"], "env": {"A": "b"}}
    (home.path / ".claude.json").write_text(json.dumps({"mcpServers": {"codexapi": old}}))
    table = '[mcp_servers.codexapi]\ncommand = "/old/codexapi"\nargs = ["mcp", "serve"]\n'
    codex = home.has("codex", f'{TABLES}\n{table}\n[mcp_servers.codexapi.env]\nA = "b"\n')
    assert home.run("install", "claude-code", "codex").returncode == 0
    for entry in (
        ours(home.path / ".claude.json", "mcpServers", "codexapi"),
        ours(codex, "mcp_servers", "codexapi"),
    ):
        assert entry["env"] == {"A": "b"}
        assert entry["command"] != "/old/codexapi"
    assert home.run("install", "claude-code", "codex").stderr.count("nothing to do") == 2


def test_zed_may_take_out_what_it_does_not_keep(home: Home) -> None:
    path = home.has("zed", SETTINGS)
    assert home.run("install", "zed").returncode == 0
    assert "source" not in ours(path, "context_servers", "codexapi")
    made = path.read_text()
    path.write_text(made.replace('"command":', '"source": "custom",\n      "command":'))
    again = home.run("install", "--all-detected")
    assert (again.returncode, again.stdout) == (0, "")
    assert "nothing to do" in again.stderr


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("cursor", '{"mcpServers": null}'), ("cursor", "// nothing yet\n"), ("cursor", ""),
        ("zed", "// Zed settings\n//\n"), ("vscode", '{"servers": null, "inputs": []}'),
        ("codex", "# nothing yet\n"),
    ],
)  # fmt: skip
def test_a_file_in_which_nothing_stands_is_taken(home: Home, name: str, text: str) -> None:
    path = home.has(name, text)
    assert {one["client"]: one["state"] for one in home.json("list")}[name] == "not registered"
    assert home.run("install", name).returncode == 0
    assert ours(path, KEYS.get(name, "mcpServers"), "codexapi")
    assert home.run("uninstall", name).returncode == 0
    assert path.read_text() == text


def test_what_stands_in_settings_does_nothing_to_a_terminal(home: Home) -> None:
    evil = {"command": "/x\n\x1b]0;title\x07\x1b[2J/codexapi", "args": ["mcp", "serve", "y" * 5000]}
    home.has("cursor", json.dumps({"mcpServers": {"codexapi": evil}}))
    for command in ("list", "doctor"):
        shown = home.run(command).stdout
        assert "\x1b" not in shown
        assert max(map(len, shown.splitlines())) < 1000
        (line,) = [line for line in shown.splitlines() if "/codexapi" in line]
        assert "cursor" in line


STRANGER = """
from mcp.server.mcpserver import MCPServer
server = MCPServer("codexapi")

@server.tool()
def weather() -> str:
    return "fine"

server.run("stdio")
"""


def test_doctor_starts_what_is_registered(home: Home) -> None:
    """Ours, one that is gone, one that dies, a stranger's program, and a stranger's server."""
    home.has("cursor")
    home.env |= {"PYTHONPATH": environment()["PYTHONPATH"]}
    home.run("install", "cursor", "--env", "PYTHONPATH")
    dying = home.program("codexapi-kit", "# codexapi_cli\nraise SystemExit('no')")
    stranger = home.program("codexapi", "print('hello')")
    broken = home.path / "codexapi"
    broken.write_text("codexapi_cli, and no program")
    broken.chmod(0o755)
    server = home.path / "server.py"
    server.write_text(STRANGER)
    commands = {
        "zed": ["/nowhere/codexapi", "mcp", "serve"],
        "gemini": [str(dying), "mcp", "serve"],
        "vscode-insiders": [str(broken), "mcp", "serve"],
        "vscode": [str(stranger), "mcp", "serve"],
        "claude-desktop": [sys.executable, str(server), "codexapi-kit", "mcp", "serve"],
    }
    for name, (program, *arguments) in commands.items():
        entry = {"codexapi": {"command": program, "args": arguments}}
        home.has(name, json.dumps({KEYS.get(name, "mcpServers"): entry}))
    done = home.run("doctor", "--json")
    assert done.returncode == 1, done.stderr
    told = {one["client"]: one for one in json.loads(done.stdout)["registrations"]}
    assert told["cursor"]["health"] == "ok", told["cursor"]
    assert "tools" in told["cursor"]["told"]
    wrong = {name: one["told"] for name, one in told.items() if one["health"] == "problem"}
    assert wrong.keys() == commands.keys()
    assert wrong["zed"] == "there is no program /nowhere/codexapi"
    assert "does not speak MCP" in wrong["gemini"]
    assert "does not speak MCP" in wrong["vscode-insiders"]
    assert "a stranger's program" in wrong["vscode"]
    assert "a stranger's server" in wrong["claude-desktop"]
    assert all(one["fix"] for one in told.values() if one["health"] == "problem")


@pytest.mark.parametrize(
    ("options", "health"),
    [
        (["--tools", "status"], "ok"),
        (["--tools", "audio"], "ok"),
        (["--tools", "image", "--read-only"], "warning"),  # which leaves none
    ],
)
def test_doctor_knows_ours_by_any_of_its_tools(home: Home, options: list[str], health: str) -> None:
    home.has("cursor")
    home.env |= {"PYTHONPATH": environment()["PYTHONPATH"]}
    home.run("install", "cursor", *options, "--env", "PYTHONPATH")
    done = home.run("doctor", "--json")
    (told,) = json.loads(done.stdout)["registrations"]
    assert (done.returncode, told["health"]) == (0, health), told


def test_doctor_runs_no_program_that_a_folder_names(home: Home) -> None:
    mark = home.path / "ran"
    text = f"# codexapi_cli\nopen({str(mark)!r}, 'w')"
    program = home.program("codexapi", text)
    entry = {"command": str(program), "args": ["mcp", "serve"]}
    (home.path / ".mcp.json").write_text(json.dumps({"mcpServers": {"codexapi": entry}}))
    done = home.here(home.path, "doctor", "--json")
    (told,) = json.loads(done.stdout)["registrations"]
    assert (told["scope"], told["health"]) == ("project", "unknown")
    assert not mark.exists()


def test_in_the_home_folder_a_file_is_listed_once(home: Home) -> None:
    home.has("cursor", THEIRS)
    listed = json.loads(home.here(home.path, "list", "--json").stdout)
    assert [one["scope"] for one in listed if one["client"] == "cursor"] == ["user"]


def test_doctor_mends_the_settings_that_it_looked_at(home: Home) -> None:
    entry = {"command": "another", "args": []}
    (home.path / ".mcp.json").write_text(json.dumps({"mcpServers": {"codexapi": entry}}))
    done = home.here(home.path, "doctor", "--json")
    (told,) = json.loads(done.stdout)["registrations"]
    assert told["fix"] == "codexapi mcp install --force --scope project claude-code"


def test_doctor_with_nothing_to_look_at_says_what_to_run(home: Home) -> None:
    done = home.run("doctor")
    assert done.returncode == 0
    assert "codexapi mcp install" in done.stdout


HEAVY = {"httpx", "asyncio", "pydantic", "rich", "mcp", "tomlkit", "yaml", "tomllib"}


def test_help_loads_nothing_heavy() -> None:
    for arguments in (["mcp", "--help"], ["mcp", "install", "--help"]):
        done = subprocess.run(
            [sys.executable, "-X", "importtime", "-m", "codexapi_cli", *arguments],
            env=environment(), capture_output=True, text=True, check=True,
        )  # fmt: skip
        loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
        assert not loaded & HEAVY
        assert "codexapi_cli.integrations.registration" not in loaded
