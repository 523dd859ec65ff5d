"""`codexapi setup`: what it writes, that a second run changes nothing, and that it is put back.

That the programs themselves take what is written is tested in `tests/clients/test_setup.py`.
"""

from __future__ import annotations

import json
import os
import shlex
import socket
import stat
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import pytest
import yaml
from tests.cli.shell import PATIENCE, run
from tests.ports import refusing_port
from tests.processes import server

from codexapi_cli.integrations.api_client import ModelInfo, ServerInfo
from codexapi_cli.integrations.edits import jsonc
from codexapi_cli.integrations.http_clients import CLIENTS
from codexapi_cli.integrations.system import System
from codexapi_cli.terminal.output import Problem
from codexapi_engine.simulator.backend import catalogue

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="its folders are those of Linux")

URL = "http://127.0.0.1:18080/v1"
POINT = ServerInfo(
    "http://127.0.0.1:1/v1", [ModelInfo("one", 1000), ModelInfo("two", 2000, images=False)]
)
READERS: Mapping[str, Callable[[str], Any]] = {
    "jsonc": jsonc.parse,
    "toml": tomllib.loads,
    "yaml": yaml.safe_load,
}

PLACES = {
    "codex": ".codex/codexapi.config.toml",
    "claude-code": ".claude/settings.json",
    "continue": ".continue/config.yaml",
    "aider": ".aider.conf.yml",
    "zed": ".config/zed/settings.json",
    "zed-ollama": ".config/zed/settings.json",
    "vscode": ".config/Code/User/chatLanguageModels.json",
    "librechat": "librechat.yaml",
    "opencode": ".config/opencode/opencode.json",
    "pi": ".pi/agent/models.json",
    "mistral-vibe": ".vibe/config.toml",
    "crush": ".config/crush/crush.json",
}
BEFORE = {
    "codex": '# mine\nsandbox_mode = "read-only"\n',
    "claude-code": '{\n  "model": "opus",\n  "env": {\n    "MINE": "1"\n  }\n}\n',
    "continue": "name: Mine\nversion: 2.0.0\nschema: v1\nmodels:\n  - name: other  # keep\n    provider: ollama\n",
    "aider": "# dark, please\ndark-mode: true\n",
    "zed": '// mine\n{\n    "theme": "One Dark", // keep\n}\n',
    "zed-ollama": '// mine\n{\n    "theme": "One Dark", // keep\n}\n',
    "vscode": '[\n  {\n    "name": "Other",\n    "vendor": "ollama"\n  }\n]\n',
    "librechat": "version: 1.0.0\n\nendpoints:\n  custom:\n    - name: Other\n      baseURL: http://x\n",
    "opencode": '{\n  // mine\n  "provider": {\n    "x": {\n      "name": "X"\n    }\n  }\n}\n',
    "pi": '{\n  "providers": {\n    "x": {\n      "baseUrl": "http://x"\n    }\n  }\n}\n',
    "mistral-vibe": (
        'active_model = "x"  # keep\n\n[[models]] # mine\nname = "x"\nprovider = "x"\n\n'
        '[[providers]] # mine\nname = "x"\napi_base = "http://x"\n\n[tools.bash]\npermission = "ask"\n'
    ),
    "crush": '{\n  "options": {\n    "debug": true\n  },\n  "providers": {\n    "x": {\n      "type": "openai"\n    }\n  }\n}\n',
}
"""Files of a user's own, with what an edit could lose."""

ANTHROPIC = ("anthropic", "claude-agent-sdk", "goose")
OLLAMA = (
    "ollama", "vscode-ollama", "jetbrains-ollama", "home-assistant", "raycast", "obsidian-copilot",
)  # fmt: skip
"""Those of Anthropic's API that are set up by variables: their address has no /v1."""

written = pytest.mark.parametrize("client", list(PLACES))
each_form = pytest.mark.parametrize(
    "client",
    ["codex", "claude-code", "aider", "zed", "vscode", "opencode", "pi", "mistral-vibe", "crush"],
)


class Home:
    """A home folder with the folders that the clients make."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.env = {
            "HOME": str(path), "XDG_CONFIG_HOME": "", "XDG_STATE_HOME": str(path / "state"),
            "CODEX_HOME": str(path / ".codex"),
        }  # fmt: skip
        for place in PLACES.values():
            (path / place).parent.mkdir(parents=True, exist_ok=True)

    def place(self, client: str) -> Path:
        return self.path / PLACES[client]

    def setup(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        at = ["--file", str(self.place("librechat"))] if arguments[0] == "librechat" else []
        return run("setup", *arguments, *at, env={**self.env, **env})


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_every_client_that_is_asked_for_is_there() -> None:
    done = run("setup")
    assert done.returncode == 0
    assert [line.split()[0] for line in done.stdout.splitlines()] == [c.name for c in CLIENTS]
    assert {
        "open-webui", "continue", "cline", "zed", "vscode", "librechat", "cursor", "jetbrains",
        "n8n", "aider", "langchain", "codex", "shell", "opencode", "pi", "mistral-vibe",
        "qwen-code", "claude-code", "crush", "anthropic", "claude-agent-sdk", "goose",
        "ollama", "zed-ollama", "vscode-ollama", "jetbrains-ollama",
        "home-assistant", "raycast", "obsidian-copilot",
    } <= {client.name for client in CLIENTS}  # fmt: skip


def test_the_list_says_which_clients_are_set_up(home: Home) -> None:
    def marked() -> list[str]:
        done = run("setup", env=home.env)
        assert done.returncode == 0, done.stderr
        return [line.split()[0] for line in done.stdout.splitlines() if "(set up: " in line]

    home.place("aider").write_text(BEFORE["aider"])
    home.place("pi").write_text("no JSON")  # what cannot be read is not ours
    assert marked() == []
    for client in ("aider", "claude-code", "vscode"):
        assert home.setup(client, "-m", "some-model").returncode == 0
    assert sorted(marked()) == ["aider", "claude-code", "vscode"]
    assert str(home.place("aider")) in run("setup", env=home.env).stdout
    assert home.setup("aider", "--undo").returncode == 0
    assert sorted(marked()) == ["claude-code", "vscode"]


@written
def test_a_new_file_is_written_once_and_undone(client: str, home: Home) -> None:
    untouched = files_in(home.path)
    done = home.setup(client, "-m", "some-model")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    first = home.place(client).read_text()
    assert "some-model" in first
    assert URL.removesuffix("/v1") in first
    assert f"wrote {home.place(client)}" in done.stderr
    again = home.setup(client, "-m", "some-model")
    assert (again.returncode, again.stdout) == (0, "")
    assert "is set up already" in again.stderr
    assert home.place(client).read_text() == first
    done = home.setup(client, "--undo")
    assert (done.returncode, done.stdout) == (0, "")
    assert files_in(home.path) == untouched
    again = home.setup(client, "--undo")
    assert again.returncode == 0
    assert "nothing of ours" in again.stderr


@written
def test_a_file_of_the_user_keeps_all_else_and_comes_back_byte_for_byte(
    client: str, home: Home
) -> None:
    place = home.place(client)
    place.write_text(BEFORE[client])
    untouched = files_in(home.path)
    shown = home.setup(client, "-m", "some-model", "--dry-run")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert files_in(home.path) == untouched, "a dry run changes nothing"
    added = Counter(line[1:] for line in shown.stdout.splitlines()[2:] if line.startswith("+"))
    done = home.setup(client, "-m", "some-model")
    assert done.returncode == 0, done.stderr
    after = place.read_text()
    lines = after.splitlines()
    bare = [line.rstrip(",") for line in lines]
    assert added <= Counter(lines), "what the dry run had shown"
    kept = [line.rstrip(",") for line in BEFORE[client].splitlines() if line.strip(" {}[],")]
    assert [line for line in bare if line in kept] == kept
    assert home.setup(client, "-m", "some-model").returncode == 0
    assert place.read_text() == after, "a second run changes nothing"
    undoing = home.setup(client, "--undo", "--dry-run")
    taken = Counter(line[1:] for line in undoing.stdout.splitlines()[2:] if line.startswith("-"))
    assert taken == added
    assert place.read_text() == after
    assert home.setup(client, "--undo").returncode == 0
    assert files_in(home.path) == untouched


@written
def test_a_file_of_comments_alone_comes_back_byte_for_byte(client: str, home: Home) -> None:
    place = home.place(client)
    opening, closing = "[]" if client == "vscode" else "{}"
    json_text = f"{opening}\n  // nothing yet\n{closing}\n"
    place.write_text(json_text if place.suffix == ".json" else "# nothing yet\n")
    untouched = files_in(home.path)
    done = home.setup(client, "-m", "some-model")
    assert done.returncode == 0, done.stderr
    assert "some-model" in place.read_text()
    assert place.read_text().count("nothing yet\n") == 1
    assert home.setup(client, "--undo").returncode == 0
    assert files_in(home.path) == untouched


@each_form
def test_what_a_user_wrote_since_is_kept_when_it_is_undone(client: str, home: Home) -> None:
    place = home.place(client)
    place.write_text(BEFORE[client])
    assert home.setup(client, "-m", "some-model").returncode == 0
    mark = "//" if place.suffix == ".json" else "#"
    place.write_text(f"{mark} written since\n{place.read_text()}")
    done = home.setup(client, "--undo")
    assert done.returncode == 0, done.stderr
    assert place.read_text() == f"{mark} written since\n{BEFORE[client]}"


@each_form
def test_another_setting_of_the_same_name_is_replaced_only_by_force(
    client: str, home: Home
) -> None:
    place = home.place(client)
    place.write_text(BEFORE[client])
    assert home.setup(client, "-m", "before").returncode == 0
    before = place.read_text()
    done = home.setup(client, "-m", "after")
    assert (done.returncode, done.stdout) == (8, "")
    assert "--force" in done.stderr
    assert "after" in done.stderr, "with what would change"
    assert place.read_text() == before
    assert home.setup(client, "-m", "after", "--force").returncode == 0
    assert "after" in place.read_text()
    assert "before" not in place.read_text()


@pytest.mark.parametrize(
    ("client", "program"), [("claude-code", "claude"), ("vscode", "code"), ("pi", "pi")]
)
def test_a_client_that_is_installed_and_was_never_started_gets_its_folder(
    client: str, program: str, tmp_path: Path
) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / program).write_text("#!/bin/sh\n")
    (programs / program).chmod(0o755)
    env = {
        "HOME": str(tmp_path), "XDG_CONFIG_HOME": "", "XDG_STATE_HOME": str(tmp_path / "state"),
        "CODEX_HOME": str(tmp_path / "none"), "PATH": f"{programs}:/usr/bin:/bin",
    }  # fmt: skip
    place = tmp_path / PLACES[client]
    shown = run("setup", client, "-m", "some-model", "--dry-run", env=env)
    assert (shown.returncode, "some-model" in shown.stdout) == (0, True), shown.stderr
    assert not place.parent.exists()
    assert run("setup", client, "-m", "some-model", env=env).returncode == 0
    assert "some-model" in place.read_text()
    assert stat.S_IMODE(place.parent.stat().st_mode) == 0o700
    elsewhere = tmp_path / "typo" / "file"
    assert run("setup", client, "-m", "x", "--file", str(elsewhere), env=env).returncode == 7


@pytest.mark.parametrize("client", ["continue", "vscode", "librechat"])
def test_a_client_that_is_not_here_gets_no_folder(client: str, tmp_path: Path) -> None:
    env = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": "", "CODEX_HOME": str(tmp_path / "none")}
    place = ["--file", str(tmp_path / "none" / "librechat.yaml")] if client == "librechat" else []
    done = run("setup", client, "-m", "some-model", *place, env=env)
    assert done.returncode == 7
    assert "there is no folder" in done.stderr
    assert "some-model" in done.stdout, "what the user may enter"
    assert not list(tmp_path.iterdir())


@each_form
def test_a_file_that_cannot_be_edited_safely_is_left_alone(client: str, home: Home) -> None:
    place = home.place(client)
    place.write_text('"half of {a thing\n  - [')
    before = files_in(home.path)
    done = home.setup(client, "-m", "some-model")
    assert done.returncode == 7
    assert "cannot be edited safely" in done.stderr
    assert "some-model" in done.stdout
    assert files_in(home.path) == before


def test_undo_takes_out_no_setting_of_somebody_else(home: Home) -> None:
    home.place("aider").write_text("model: openai/gpt\nopenai-api-base: https://example.org/v1\n")
    before = files_in(home.path)
    done = home.setup("aider", "--undo")
    assert done.returncode == 8
    assert "not of ours" in done.stderr
    assert files_in(home.path) == before


@each_form
def test_print_shows_what_would_be_entered_and_writes_nothing(client: str, home: Home) -> None:
    before = files_in(home.path)
    done = home.setup(client, "-m", "some-model", "--print")
    assert (done.returncode, done.stderr) == (0, "")
    form = next(c.form for c in CLIENTS if c.name == client)
    assert "some-model" in json.dumps(READERS[form](done.stdout))
    assert files_in(home.path) == before


def test_a_key_is_written_for_the_user_alone(home: Home) -> None:
    done = home.setup("aider", "-m", "some-model", CODEXAPI_API_KEY="canary")
    assert done.returncode == 0
    assert "canary" not in done.stdout + done.stderr
    assert 'openai-api-key: "canary"' in home.place("aider").read_text()
    assert stat.S_IMODE(home.place("aider").stat().st_mode) == 0o600
    done = home.setup("codex", "-m", "some-model", CODEXAPI_API_KEY="canary")
    assert "canary" not in home.place("codex").read_text()
    assert 'env_key = "CODEXAPI_API_KEY"' in home.place("codex").read_text()


def test_the_models_are_those_of_the_account_the_default_first(home: Home) -> None:
    assert home.setup("zed", "--demo").returncode == 0
    told = jsonc.parse(home.place("zed").read_text())
    models = told["language_models"]["openai_compatible"]["codexapi"]["available_models"]
    assert models[0]["name"] == catalogue()[0]["slug"]
    assert len(models) > 5
    assert all(model["max_tokens"] > 100_000 for model in models)
    home.place("zed").unlink()
    assert home.setup("zed", "--demo", CODEXAPI_MODEL="gpt-6-luna").returncode == 0
    assert home.place("zed").read_text().index("gpt-6-luna") < home.place("zed").read_text().index(
        "gpt-6.1-sol"
    )


def test_without_a_login_a_model_has_to_be_named(home: Home) -> None:
    done = home.setup("aider")
    assert (done.returncode, done.stdout) == (3, "")
    assert "--model" in done.stderr
    assert not home.place("aider").exists()


@pytest.mark.parametrize(
    ("arguments", "address"),
    [
        ((), "http://127.0.0.1:18080/v1"),
        (("--url", "http://host.docker.internal:1/v1/"), "http://host.docker.internal:1/v1"),
    ],
)
def test_the_address_is_the_default_one_or_the_one_given(
    arguments: tuple[str, ...], address: str, home: Home
) -> None:
    done = home.setup("shell", *arguments)
    assert done.stdout == f"export OPENAI_BASE_URL={address}\nexport OPENAI_API_KEY=unused\n"


def test_the_address_is_that_of_the_server_that_runs(home: Home) -> None:
    with server("--demo", env=home.env) as running:
        assert f"OPENAI_BASE_URL={running.url}\n" in home.setup("shell").stdout
    assert f"OPENAI_BASE_URL={URL}\n" in home.setup("shell").stdout


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("zde",), 2, "did you mean zed?"),
        (("xyzzy",), 2, "there are codex"),
        (("shell", "--url", "ftp://x"), 2, "--url"),
        (("zed", "--undo", "--print"), 2, "do not go together"),
        (("cline", "-m", "m", "--run"), 2, "is no program"),
        (("n8n", "--undo"), 2, "take back what you entered"),
        (("shell", "--run", "--url", "http://127.0.0.1:1/v1"), 5, "codexapi serve --detach"),
    ],
)
def test_what_cannot_be_set_up_is_said(
    arguments: tuple[str, ...], code: int, said: str, home: Home
) -> None:
    done = home.setup(*arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("client", [c for c in CLIENTS if c.entries is None], ids=lambda c: c.name)
def test_the_others_are_told_in_words(client: Any, home: Home) -> None:
    done = home.setup(client.name, "-m", "some-model")
    assert (done.returncode, done.stderr) == (0, "")
    under_v1 = client.name not in (*ANTHROPIC, *OLLAMA)
    assert ("127.0.0.1:18080/v1" in done.stdout) == under_v1
    assert "127.0.0.1:18080" in done.stdout
    if client.models:
        assert "some-model" in done.stdout


def test_programs_that_look_for_ollama_get_the_address_without_v1() -> None:
    names = (
        "ollama",
        "vscode-ollama",
        "jetbrains-ollama",
        "home-assistant",
        "raycast",
        "obsidian-copilot",
    )
    for client in CLIENTS:
        if client.name in names:
            assert client.words is not None
            words = client.words(POINT)
            assert "127.0.0.1:1" in words
            assert "/v1" not in words
    zed = next(c for c in CLIENTS if c.name == "zed-ollama").entries
    assert zed is not None
    address, models = zed(POINT)
    assert address.value == "http://127.0.0.1:1"
    assert [model["supports_images"] for model in models.value] == [True, False]


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/v1", "http://x/it's;$(touch here)/v1"])
def test_a_shell_is_set_up_and_back(url: str, tmp_path: Path) -> None:
    told, taken = run("setup", "shell", "--url", url), run("setup", "shell", "--undo")
    script = f'{told.stdout}\necho "$OPENAI_BASE_URL"\n{taken.stdout}\necho "$OPENAI_BASE_URL"\n'
    done = subprocess.run(
        ["sh", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE,
        check=True,
    )  # fmt: skip
    assert done.stdout == f"{url}\n\n"
    assert not list(tmp_path.iterdir())


def test_run_starts_a_program_with_its_settings(home: Home, tmp_path: Path) -> None:
    """And is replaced by it: its exit code, its Ctrl-C."""
    program = tmp_path / "bin" / "codex"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\necho "$@" "$OPENAI_BASE_URL" "$CODEXAPI_API_KEY"; exit 9\n')
    program.chmod(0o755)
    (tmp_path / "bin" / "mysh").write_text('#!/bin/sh\necho "$OPENAI_BASE_URL"\n')
    (tmp_path / "bin" / "mysh").chmod(0o755)
    path = f"{program.parent}:{os.environ['PATH']}"
    with server("--demo", "--api-key", "canary", env=home.env) as running:
        env = {"PATH": path, "CODEXAPI_API_KEY": "canary", "SHELL": str(tmp_path / "bin" / "mysh")}
        done = home.setup("codex", "-m", "m", "--run", "--", "exec", "--json", **env)
        shell = home.setup("shell", "--run", **env)
    assert (done.returncode, done.stdout) == (9, "--profile codexapi exec --json  canary\n")
    assert home.place("codex").exists()
    assert (shell.returncode, shell.stdout) == (0, f"{running.url}\n")


def test_run_says_what_program_is_missing(home: Home, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "aider").write_text("#!/nowhere/python\n")
    (tmp_path / "bin" / "aider").chmod(0o755)
    with server("--demo", env=home.env):
        for client, why in (("zed", "there is no zed on PATH"), ("aider", "No such file")):
            done = home.setup(client, "-m", "m", "--run", "-q", PATH=str(tmp_path / "bin"))
            assert done.returncode == 7
            assert why in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("platform", "client", "place"),
    [
        ("darwin", "zed", "/home/.config/zed/settings.json"),
        ("win32", "zed", "C:\\home\\AppData\\Roaming\\Zed\\settings.json"),
        ("linux", "zed", "/home/.config/zed/settings.json"),
        ("darwin", "vscode", "/home/Library/Application Support/Code/User/chatLanguageModels.json"),
        ("win32", "vscode", "C:\\home\\AppData\\Roaming\\Code\\User\\chatLanguageModels.json"),
        ("win32", "codex", "C:\\home\\.codex\\codexapi.config.toml"),
        ("darwin", "continue", "/home/.continue/config.yaml"),
        ("win32", "aider", "C:\\home\\.aider.conf.yml"),
    ],
)
def test_files_are_where_each_system_has_them(platform: str, client: str, place: str) -> None:
    home = PureWindowsPath("C:\\home") if platform == "win32" else PurePosixPath("/home")
    (one,) = [c for c in CLIENTS if c.name == client]
    assert str(one.place(System(platform, home, {}))) == place


@pytest.mark.parametrize(
    ("client", "environ", "place"),
    [
        ("claude-code", {"CLAUDE_CONFIG_DIR": "/c"}, "/c/settings.json"),
        ("opencode", {"XDG_CONFIG_HOME": "/c"}, "/c/opencode/opencode.json"),
        ("pi", {"PI_CODING_AGENT_DIR": "/p"}, "/p/models.json"),
        ("mistral-vibe", {"VIBE_HOME": "/v"}, "/v/config.toml"),
    ],
)
def test_a_client_is_found_where_its_own_variable_says(
    client: str, environ: dict[str, str], place: str
) -> None:
    (one,) = [c for c in CLIENTS if c.name == client]
    assert str(one.place(System("linux", PurePosixPath("/home"), environ))) == place


def test_claude_code_knows_the_window_and_the_user_what_auto_mode_does(home: Home) -> None:
    done = home.setup("claude-code", "--demo", CODEXAPI_API_KEY="canary")
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stderr.splitlines() if "uto mode" in line]
    assert "CLAUDE_CODE_AUTO_MODE_SERVER=0" in line
    variables = json.loads(home.place("claude-code").read_text())["env"]
    first = min(catalogue(), key=lambda model: model["priority"])
    assert variables["ANTHROPIC_BASE_URL"] == URL.removesuffix("/v1")
    assert variables["ANTHROPIC_AUTH_TOKEN"] == "canary"
    assert variables["ANTHROPIC_MODEL"] == first["slug"]
    assert variables["CLAUDE_CODE_MAX_CONTEXT_TOKENS"] == str(first["context_window"])


def test_crush_has_anthropics_api_and_no_key_in_its_file(home: Home) -> None:
    assert home.setup("crush", "--demo", CODEXAPI_API_KEY="a$canary").returncode == 0
    assert "canary" not in home.place("crush").read_text()
    provider = json.loads(home.place("crush").read_text())["providers"]["codexapi"]
    assert (provider["type"], provider["base_url"]) == ("anthropic", URL.removesuffix("/v1"))
    assert provider["api_key"] == "$CODEXAPI_API_KEY"
    first = min(catalogue(), key=lambda model: model["priority"])
    assert provider["models"][0]["id"] == first["slug"]
    assert provider["models"][0]["context_window"] == first["context_window"]


def test_programs_of_anthropics_api_have_its_variables(home: Home) -> None:
    told = home.setup("anthropic", CODEXAPI_API_KEY="canary").stdout
    assert told == (
        "export ANTHROPIC_BASE_URL=http://127.0.0.1:18080\nexport ANTHROPIC_API_KEY=canary\n"
    )
    told = home.setup("goose", "-m", "some-model").stdout
    assert "export GOOSE_PROVIDER=anthropic\nexport GOOSE_MODEL=some-model\n" in told
    assert "export ANTHROPIC_HOST=http://127.0.0.1:18080\n" in told
    agents, written_ = (
        home.setup("claude-agent-sdk", "-m", "m"),
        home.setup("claude-code", "-m", "m", "--print"),
    )
    variables = json.loads(written_.stdout)["env"]
    assert agents.stdout == "".join(f"export {name}={value}\n" for name, value in variables.items())


@pytest.mark.parametrize(("model", "window"), [("gpt-6.1-terra", None), ("some-model", "272000")])
def test_a_model_by_name_has_its_own_window(model: str, window: str | None, home: Home) -> None:
    done = home.setup("claude-code", "--demo", "-m", model, "--print")
    assert done.returncode == 0, done.stderr
    listed = {each["slug"]: str(each["context_window"]) for each in catalogue()}
    variables = json.loads(done.stdout)["env"]
    assert variables["CLAUDE_CODE_MAX_CONTEXT_TOKENS"] == listed.get(model, window)


def test_the_codex_cli_may_search(home: Home) -> None:
    assert home.setup("codex", "-m", "some-model").returncode == 0
    told = tomllib.loads(home.place("codex").read_text())
    assert told["model_providers"]["codexapi"]["supports_standalone_web_search"] is True


@pytest.mark.parametrize(
    ("key", "literal"), [("plain", "plain"), ("a$b", "a$$b"), ("!a$", "$!a$$"), ("a!", "a!")]
)
def test_pi_takes_a_key_for_what_it_is(key: str, literal: str) -> None:
    pi = next(c for c in CLIENTS if c.name == "pi").entries
    assert pi is not None
    assert pi(ServerInfo("http://x/v1", [ModelInfo("one")], key))[0].value["apiKey"] == literal


def test_cline_is_given_a_command_that_a_shell_can_run() -> None:
    cline = next(c for c in CLIENTS if c.name == "cline").words
    assert cline is not None
    command = cline(ServerInfo("http://x/v1", [ModelInfo("one")], "a 'key'")).splitlines()[1]
    assert shlex.split(command) == [
        "cline", "auth", "--provider", "openai", "--apikey", "a 'key'", "--modelid", "one",
        "--baseurl", "http://x/v1",
    ]  # fmt: skip


def test_what_a_model_can_do_is_told() -> None:
    zed = next(c for c in CLIENTS if c.name == "zed").entries
    assert zed is not None
    one, two = zed(POINT)[0].value["available_models"]
    assert (one["max_tokens"], two["max_tokens"]) == (1000, 2000)
    assert (one["capabilities"]["images"], two["capabilities"]["images"]) == (True, False)


@pytest.mark.parametrize(
    ("shell", "told"),
    [
        ("shell", "unset OPENAI_BASE_URL\nunset OPENAI_API_KEY\n"),
        ("fish", "set -e OPENAI_BASE_URL\nset -e OPENAI_API_KEY\n"),
        ("powershell", "Remove-Item Env:OPENAI_BASE_URL\nRemove-Item Env:OPENAI_API_KEY\n"),
    ],
)
def test_a_shell_forgets(shell: str, told: str) -> None:
    assert run("setup", shell, "--undo").stdout == told


def test_other_shells_have_ways_of_their_own() -> None:
    fish, powershell = (
        next(c for c in CLIENTS if c.name == name).words for name in ("fish", "powershell")
    )
    assert fish is not None
    assert powershell is not None
    point = ServerInfo("http://x/it's\\", [])
    assert fish(point).splitlines()[0] == "set -gx OPENAI_BASE_URL 'http://x/it\\'s\\\\'"
    assert powershell(point).splitlines()[0] == "$env:OPENAI_BASE_URL = 'http://x/it''s\\'"


@pytest.mark.parametrize(
    "name", ["gpt\x85x", "gpt\x9bx", "gpt\x07", "gpt\u202ex", "a\nb", "\udcff"]
)
def test_no_client_is_set_up_with_a_name_that_no_file_can_hold(name: str) -> None:
    for url, model in ((URL, name), (name, "m")):
        with pytest.raises(Problem, match="control characters"):
            ServerInfo(url, [ModelInfo(model)])
    with pytest.raises(Problem, match="the API key") as caught:
        ServerInfo(URL, [ModelInfo("m")], name)
    assert name not in str(caught.value)


@pytest.mark.parametrize("client", ["aider", "codex", "langchain"])
def test_such_a_model_is_refused_in_one_line(client: str, home: Home) -> None:
    before = files_in(home.path)
    done = home.setup(client, "-m", "gpt\x85x")
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert "'gpt\\x85x' has letters" in done.stderr
    assert files_in(home.path) == before


def test_that_no_server_runs_is_said_with_what_starts_one(home: Home) -> None:
    with refusing_port() as port:
        told = f"no server runs at http://127.0.0.1:{port}/v1 yet: `codexapi serve --demo --port {port}`"
        for _ in range(2):  # it is written, and then it is there already
            done = home.setup("aider", "--demo", CODEXAPI_PORT=str(port))
            assert done.returncode == 0
            assert told in done.stderr
        for silent in ("--dry-run", "--quiet", "--print"):
            done = home.setup("aider", "--demo", silent, CODEXAPI_PORT=str(port))
            assert "no server" not in done.stderr


def test_of_a_server_that_runs_or_that_only_a_container_sees_nothing_is_said(home: Home) -> None:
    with server("--demo", env=home.env):
        assert "runs at" not in home.setup("aider", "--demo").stderr
    url = "http://host.docker.internal:18080/v1"
    done = home.setup("aider", "--demo", "--force", "--url", url)
    assert done.returncode == 0
    assert "no server" not in done.stderr


def test_another_program_at_the_address_is_named(home: Home) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"http://127.0.0.1:{other.getsockname()[1]}/v1"
        done = home.setup("aider", "--demo", "--url", address)
    assert f"answers at {address}, and it is not codexapi" in done.stderr


def test_run_without_a_server_says_that_nothing_listens(home: Home) -> None:
    with refusing_port() as port:
        address = f"127.0.0.1:{port}"
        run = ("shell", "--run", "--url", f"http://{address}/v1")
        done, demo = home.setup(*run), home.setup(*run, "--demo")
    assert (done.returncode, demo.returncode) == (5, 5)
    silence = f"no server answers at http://{address}/v1: nothing listens at {address}; "
    assert f"{silence}`codexapi serve --detach` starts one" in done.stderr
    assert f"{silence}`codexapi serve --demo --detach` starts one" in demo.stderr
