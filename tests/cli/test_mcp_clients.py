"""Where each client keeps its servers, on each system, and what our entry looks like there.

`python -m tests.cli.test_mcp_clients` writes the golden files anew.
"""

from __future__ import annotations

import json
import re
import zipfile
from base64 import b64decode
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path, PurePosixPath, PureWindowsPath
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from codexapi_cli.commands import mcp_install
from codexapi_cli.integrations import itself, registration
from codexapi_cli.integrations.edits import Entry, Refused, snippet
from codexapi_cli.integrations.mcp_clients import CLIENTS, NAME, McpClient
from codexapi_cli.integrations.system import LINUX, MACOS, WINDOWS, Scope, System

GOLDEN = Path(__file__).parent / "golden" / "mcp"

SYSTEMS = [
    (System(LINUX, PurePosixPath("/home/ann"), {}), "/home/ann/.local/bin/codexapi"),
    (System(MACOS, PurePosixPath("/Users/ann"), {}), "/Users/ann/.local/bin/codexapi"),
    (
        System(WINDOWS, PureWindowsPath(r"C:\Users\ann"), {}),
        r"C:\Users\ann\.local\bin\codexapi.exe",
    ),
]


def golden(client: McpClient) -> str:
    return "\n".join(section(client, system, program) for system, program in SYSTEMS)


def section(client: McpClient, system: System, program: str) -> str:
    form = import_module(f"codexapi_cli.integrations.edits.{client.form}")
    value = client.registration([program, "mcp", "serve"], {})
    places = "".join(f"{place}\n" for place in client.places(system))
    text = snippet(form, [Entry((client.key, NAME), value)])
    link = client.link_to(value)
    return f"## {system.platform}\n{places}{text}" + (f"{link}\n" if link else "")


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
def test_paths_and_entries_are_as_the_golden_files_say(client: McpClient) -> None:
    assert golden(client) == (GOLDEN / f"{client.name}.txt").read_text(encoding="utf-8")


def test_a_link_holds_the_entry() -> None:
    entry = {"command": "/a b/codexapi+", "args": ["mcp", "serve"]}
    cursor, code = (urlsplit(client(name).link_to(entry)) for name in ("cursor", "vscode"))
    assert json.loads(b64decode(parse_qs(cursor.query)["config"][0])) == entry
    assert json.loads(unquote(code.query)) == {"name": "codexapi", **entry}
    assert client("zed").link_to(entry) == ""


def test_no_golden_file_is_left_over() -> None:
    names = {client.name for client in CLIENTS}
    assert {path.stem for path in GOLDEN.iterdir()} == names


def test_help_names_every_client() -> None:
    told = f"{mcp_install.WRITTEN}, {mcp_install.PASTED}".split(", ")
    written = [client.name for client in CLIENTS if client.written]
    pasted = [client.name for client in CLIENTS if not client.written]
    assert told == [*sorted(written), *sorted(pasted)]


def test_each_client_says_when_and_where_its_form_was_read() -> None:
    for one in CLIENTS:
        date, _, place = one.source.partition(", ")
        assert re.fullmatch(r"20\d\d-\d\d-\d\d", date), one.name
        assert "/" in place, one.name
    assert {
        "claude-code", "claude-desktop", "codex", "cursor", "vscode", "zed", "gemini", "copilot",
        "windsurf", "jetbrains", "cline", "roo", "continue", "opencode", "goose", "amp", "kiro",
        "qwen-code", "warp", "lm-studio", "crush",
    } <= {one.name for one in CLIENTS}  # fmt: skip


def test_of_two_files_in_a_folder_the_one_that_is_there_is_taken(tmp_path: Path) -> None:
    system = System(LINUX, tmp_path, {})
    folder = tmp_path / ".config" / "opencode"
    folder.mkdir(parents=True)
    assert registration.place(client("opencode"), Scope.USER, system).path.name == "opencode.jsonc"
    (folder / "opencode.json").write_text("{}")
    assert registration.place(client("opencode"), Scope.USER, system).path.name == "opencode.json"
    (folder / "opencode.jsonc").write_text("{}")
    assert registration.place(client("opencode"), Scope.USER, system).path.name == "opencode.jsonc"


def test_variables_say_where_a_folder_is() -> None:
    environ = {
        "XDG_CONFIG_HOME": "/x", "CODEX_HOME": "/c", "CLAUDE_CONFIG_DIR": "/l", "COPILOT_HOME": "/p",
    }  # fmt: skip
    system = System(LINUX, PurePosixPath("/home/ann"), environ)
    places = {client.name: str(client.places(system)[0]) for client in CLIENTS}
    assert places["zed"] == "/x/zed/settings.json"
    assert places["codex"] == "/c/config.toml"
    assert places["claude-code"] == "/l/.claude.json"
    assert places["copilot"] == "/p/mcp-config.json"


def client(name: str) -> McpClient:
    return registration.named([name])[0]


def windows(tmp_path: Path) -> System:
    environ = {"APPDATA": str(tmp_path / "roaming"), "LOCALAPPDATA": str(tmp_path / "local")}
    return System(WINDOWS, tmp_path, environ)


@pytest.mark.parametrize("package", ["Claude_pzs8sxrjxfjjc", None])
def test_claude_desktop_of_the_store_reads_another_file(
    tmp_path: Path, package: str | None
) -> None:
    usual = tmp_path / "roaming" / "Claude"
    usual.mkdir(parents=True)
    if package:
        usual = tmp_path / "local" / "Packages" / package / "LocalCache" / "Roaming" / "Claude"
        usual.mkdir(parents=True)
    where = registration.place(client("claude-desktop"), Scope.USER, windows(tmp_path))
    assert where.path == usual / "claude_desktop_config.json"
    assert where.is_here


def test_a_client_that_is_not_there_has_no_place(tmp_path: Path) -> None:
    where = registration.place(client("claude-desktop"), Scope.USER, windows(tmp_path))
    assert not where.is_here
    assert registration.look(where).state == registration.NOT_HERE


def test_variables_go_where_the_client_has_them() -> None:
    for one in CLIENTS:
        made = one.registration(["/c", "mcp", "serve"], {"A": "b"})
        assert made[one.env] == {"A": "b"}
    assert client("goose").env == "envs"
    assert client("opencode").env == "environment"


def test_only_codex_can_be_told_to_wait() -> None:
    made = {c.name: c.registration(["/c", "mcp", "serve"], {}, required=True) for c in CLIENTS}
    assert [name for name, entry in made.items() if entry.get("required")] == ["codex"]


def test_the_table_is_not_changed_by_its_use() -> None:
    zed = client("zed")
    zed.registration(["/c", "mcp", "serve"], {"A": "b"})
    assert zed.entry["env"] == {}


OURS = [
    ["/home/ann/.local/bin/codexapi", "mcp", "serve"],
    [r"C:\Users\ann\.local\bin\codexapi.exe", "mcp", "serve", "--demo"],
    ["codexapi-kit", "mcp", "serve"],
    ["/usr/bin/python3", "-m", "codexapi_cli", "mcp", "serve"],
    ["uvx", "--from", "codexapi-kit", "codexapi", "mcp", "serve"],
    ["pipx", "run", "codexapi-kit", "mcp", "serve"],
    [r"C:\Old Venv\Scripts\CODEXAPI.EXE", "mcp", "serve"],
    [r"C:\old\Scripts\codexapi.cmd", "mcp", "serve"],
    [r"C:\old\python.exe", "-m", "codexapi_cli", "mcp", "serve"],
    ["/old/venv/bin/python", "-m", "codexapi_mcp"],
    ["cmd", "/c", "codexapi", "mcp", "serve"],
    ["/usr/bin/env", "CODEX_HOME=/x", "/old/venv/bin/codexapi", "mcp", "serve"],
    ["/home/ann/.cache/uv/archive-v0/x/bin/codexapi", "mcp", "serve"],
    ["/home/ann/.local/pipx/venvs/codexapi-kit/bin/codexapi", "mcp", "serve"],
]
OTHERS = [
    ["uvx", "codexapi", "mcp", "serve"],
    ["/usr/bin/codexapi", "serve"],
    ["/usr/bin/codexapi-proxy", "mcp", "serve"],
    ["npx", "codex-mcp"],
    ["env", "codexapi", "serve"],
    ["cmd", "/c"],
    ["pipx", "run", "codexapi", "mcp", "serve"],
    [],
]


@pytest.mark.parametrize("command", OURS + OTHERS, ids=" ".join)
def test_our_commands_are_told_from_others(command: list[str]) -> None:
    assert itself.looks_like_ours(command) == (command in OURS)


def test_a_command_that_cannot_start_any_more_is_told(tmp_path: Path) -> None:
    def fault(*tokens: object) -> str:
        return itself.fault_of([str(token) for token in tokens]) or ""

    program = script(tmp_path / "bin" / "codexapi", f"#!{tmp_path}/bin/python\n{OURSELVES}")
    assert fault(program, "mcp", "serve") == f"{program} needs {tmp_path}/bin/python, which is gone"
    (tmp_path / "bin" / "python").symlink_to("/bin/sh")
    assert fault(program, "mcp", "serve") == ""
    (tmp_path / "bin" / "python").unlink()
    (tmp_path / "bin" / "python").symlink_to(tmp_path / "gone")  # of a Python that was removed
    assert "which is gone" in fault(program)
    assert fault(tmp_path / "bin" / "python", "-m") == f"there is no program {tmp_path}/bin/python"
    cached = tmp_path / "archive-v0" / "codexapi"
    assert "is in a cache" in fault(script(cached, OURSELVES))
    assert fault(r"C:\old\codexapi.exe") == r"there is no program C:\old\codexapi.exe"
    assert fault("sh", "-c") == ""


OURSELVES, STRANGER = "from codexapi_cli.__main__ import main\n", "from codexapi.cli import main\n"


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def test_an_installed_script_is_what_others_start(tmp_path: Path) -> None:
    python, programs = tmp_path / "tool" / "python", tmp_path / "bin"

    def command() -> list[str]:
        return itself.command(str(python), str(programs))

    assert command() == [str(python), "-m", "codexapi_cli"]
    ours = script(python.with_name("codexapi"), OURSELVES)
    assert command() == [str(ours)]
    other = script(programs / "codexapi", OURSELVES)  # of another installation
    assert command() == [str(ours)]
    other.unlink()
    other.symlink_to(ours)  # where an installer puts it
    assert command() == [str(other)]
    script(ours, STRANGER)  # it was installed over ours
    assert command() == [str(python), "-m", "codexapi_cli"]
    kit = script(python.with_name("codexapi-kit"), OURSELVES)
    assert command() == [str(kit)]


def test_an_environment_for_one_run_is_not_registered() -> None:
    with pytest.raises(Refused, match=r"folder of your copy: uv tool install --force \., then run"):
        itself.command("/home/ann/.cache/uv/archive-v0/x/bin/python")


def scripts(tmp_path: Path) -> Iterator[tuple[Path, bool]]:
    launcher = tmp_path / "ours.exe"
    with zipfile.ZipFile(launcher, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("__main__.py", OURSELVES)
    yield script(tmp_path / "ours", OURSELVES), True
    yield script(tmp_path / "stranger", STRANGER), False
    yield from [(launcher, True), (tmp_path / "none", False)]


def test_our_scripts_are_told_from_a_strangers(tmp_path: Path) -> None:
    for path, ours in scripts(tmp_path):
        assert itself.is_ours(path) is ours, path


def main() -> None:
    GOLDEN.mkdir(parents=True, exist_ok=True)
    for one in CLIENTS:
        (GOLDEN / f"{one.name}.txt").write_text(golden(one), encoding="utf-8")


if __name__ == "__main__":
    main()
