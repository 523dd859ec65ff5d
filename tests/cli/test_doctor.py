"""`codexapi doctor`: what it finds, what it advises, and the exit code."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests import forks, unix
from tests.cli.shell import run
from tests.engine.test_login_mounts import can_mount
from tests.faulty import FaultyBackend, Script, by_path, stream, whole
from tests.logins import access_token, auth_json, write_login
from tests.ports import refusing_port, refusing_url
from tests.processes import Running, environment, server, simulator
from tests.wire_files import table

from codexapi_cli.checks import clock
from codexapi_cli.online import shareable
from codexapi_engine.bounds import MAX_CLOCK_SKEW
from codexapi_engine.check import Check
from codexapi_engine.login.file_store import CodexFile
from codexapi_engine.login.login_hint import MAKE_WRITABLE
from codexapi_engine.protocol.models import parse
from codexapi_engine.protocol.secret import Secret
from codexapi_engine.protocol.sse import encode
from codexapi_engine.settings import Settings
from codexapi_engine.simulator.backend import catalogue

HIDDEN = "canary-access-first"
OFFERED = parse({"models": catalogue()})
REFRESH = Secret("canary-refresh-first")
SHOWN = sum(model.listed for model in OFFERED)


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with simulator(tmp_path_factory.mktemp("login")) as running:
        yield running


def doctor(*arguments: str, env: dict[str, str]) -> tuple[int, dict[str, dict[str, Any]]]:
    """The exit code, and the findings by name."""
    with refusing_port() as port:
        given = {"CODEXAPI_PORT": str(port), "CODEXAPI_STATE_DIR": "/nowhere", **env}
        done = run("doctor", "--json", *arguments, env=given)
    assert done.stderr == ""
    told = json.loads(done.stdout)
    assert told["ok"] == (done.returncode == 0)
    assert all(set(found) == {"name", "state", "told", "fix"} for found in told["findings"])
    return done.returncode, {found["name"]: found for found in told["findings"]}


def test_with_a_login_and_a_backend_nothing_is_a_problem(simulated: Running) -> None:
    code, found = doctor(env=simulated.env)
    assert code == 0
    for name in (
        "program", "backend address", "proxy", "state folder", "port", "round trip",
        "login file", "lock", "renewal", "login", "serve", "backend", "clock", "model", "plan",
    ):  # fmt: skip
        assert found[name]["state"] == "ok", found[name]
    assert "plan plus" in found["login"]["told"]
    assert f"{SHOWN} models, first {OFFERED[0].slug}" in found["backend"]["told"]
    assert found["plan"]["told"] == "12 % of the 5-hour window used, 3 % of the 7-day window used"


def test_a_login_that_must_not_be_renewed_again_is_a_problem(
    simulated: Running, tmp_path: Path
) -> None:
    """As `chat` says it, and no process of ours sends the refresh token."""
    state = tmp_path / "state"
    write_login(tmp_path, auth_json(exp=1, issued=None))
    CodexFile(tmp_path, state_dir=state).mark_consumed(REFRESH, "refresh_token_reused")
    home = {"CODEX_HOME": str(tmp_path), "CODEXAPI_STATE_DIR": str(state)}
    for arguments in ([], ["--offline"]):
        code, found = doctor(*arguments, env={**simulated.env, **home})
        assert (code, found["login"]["state"]) == (1, "problem")
        assert "codex login" in found["login"]["told"]
        assert found["backend"]["state"] == "unknown"
    assert (tmp_path / "auth.json").read_bytes() == auth_json(exp=1, issued=None)


def test_a_server_is_started_asked_and_ended(simulated: Running, tmp_path: Path) -> None:
    """With the user's own key, and without a trace in the user's state."""
    state = tmp_path / "state"
    env = {**simulated.env, "CODEXAPI_API_KEY": HIDDEN, "CODEXAPI_STATE_DIR": str(state)}
    code, found = doctor(env=env)
    assert (code, found["serve"]["state"]) == (0, "ok")
    assert found["serve"]["told"].endswith(f"and lists {SHOWN} models")
    assert not state.exists()
    assert HIDDEN not in json.dumps(found)


def test_without_a_login_a_server_is_started_and_not_asked(tmp_path: Path) -> None:
    _, found = doctor(env={"CODEX_HOME": str(tmp_path)})
    assert found["serve"]["state"] == "ok"
    assert "models" not in found["serve"]["told"]


def test_a_server_that_does_not_start_is_a_problem(simulated: Running, tmp_path: Path) -> None:
    (tmp_path / "uvicorn.py").write_text('raise ImportError("a broken installation")\n')
    path = os.pathsep.join([str(tmp_path), environment()["PYTHONPATH"]])
    code, found = doctor(env={**simulated.env, "PYTHONPATH": path})
    assert (code, found["serve"]["state"]) == (1, "problem")
    assert "it does not start: ImportError: a broken installation" in found["serve"]["told"]
    assert found["backend"]["state"] == "ok"


def test_the_demo_needs_no_login() -> None:
    code, found = doctor("--demo", env={"CODEX_HOME": "/nowhere"})
    assert code == 0
    assert found["login"]["state"] == found["backend"]["state"] == "ok"
    assert "lock" not in found


def test_a_person_reads_a_line_for_each_and_the_fix_below(tmp_path: Path) -> None:
    with refusing_port() as port:
        done = run("doctor", env={"CODEX_HOME": str(tmp_path), "CODEXAPI_PORT": str(port)})
    lines = done.stdout.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("problem  login "))
    assert "not logged in" in lines[at]
    assert "--demo" in lines[at]
    assert lines[at + 1].strip() == "fix: codexapi login"
    assert lines[-1].startswith("unknown  backend")
    assert (done.returncode, done.stderr) == (1, "")


def test_offline_asks_the_backend_nothing(simulated: Running) -> None:
    code, found = doctor("--offline", env=simulated.env)
    assert code == 0
    assert found["backend"] == {
        "name": "backend", "state": "unknown", "told": "not asked: --offline", "fix": None,
    }  # fmt: skip


def test_a_backend_that_is_not_there_is_a_problem(simulated: Running) -> None:
    with refusing_url() as url:
        code, found = doctor(env={**simulated.env, "CODEXAPI_BASE_URL": f"{url}/x"})
    assert code == 1
    assert found["backend"]["state"] == "problem"
    assert "network" in found["backend"]["fix"]
    assert found["serve"]["state"] == "problem"
    assert "502" in found["serve"]["told"]
    assert "network" in found["serve"]["fix"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_a_login_that_others_may_read_is_a_warning(simulated: Running, tmp_path: Path) -> None:
    path = write_login(tmp_path, auth_json(exp=4e9))
    path.chmod(0o644)
    code, found = doctor("--offline", env={**simulated.env, "CODEX_HOME": str(tmp_path)})
    assert (code, found["login file"]["state"]) == (0, "warning")
    assert found["login file"]["fix"] == f"chmod 600 {path}"


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (auth_json(exp=1.0, refresh=None), "expired"),
        (b"{", "auth.json"),
        (auth_json(auth_mode="apikey"), "API key"),
    ],
)
def test_a_login_that_is_none_is_a_problem(data: bytes, told: str, tmp_path: Path) -> None:
    write_login(tmp_path, data)
    code, found = doctor(env={"CODEX_HOME": str(tmp_path)})
    assert (code, found["login"]["state"]) == (1, "problem")
    assert told in found["login"]["told"]
    assert found["login"]["fix"] == "codexapi login"


@pytest.mark.skipif(sys.platform == "win32", reason="takes the lock as Unix does")
def test_a_lock_that_another_program_holds_is_a_warning(simulated: Running, tmp_path: Path) -> None:
    write_login(tmp_path, auth_json(exp=4e9))
    with (tmp_path / "auth.lock").open("w") as lock:
        unix.lock(lock)
        code, found = doctor("--offline", env={**simulated.env, "CODEX_HOME": str(tmp_path)})
    assert (code, found["lock"]["state"]) == (0, "warning")
    assert str(tmp_path / "auth.lock") in found["lock"]["told"]


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_our_own_server_on_the_port_is_told(host: str) -> None:
    with server("--demo") as running:
        port = str(urlsplit(running.url).port)
        _, found = doctor("--demo", env={"CODEXAPI_PORT": port, "CODEXAPI_HOST": host})
    assert found["port"]["state"] == "ok"
    assert "is serving on" in found["port"]["told"]


def test_a_stranger_on_the_port_is_a_warning(simulated: Running) -> None:
    port = str(urlsplit(simulated.url).port)
    code, found = doctor("--demo", env={"CODEXAPI_PORT": port})
    assert (code, found["port"]["state"]) == (0, "warning")
    assert "--port" in found["port"]["fix"]


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-ins are scripts")
def test_a_stranger_of_our_name_on_the_path_is_a_problem(tmp_path: Path) -> None:
    stranger = tmp_path / "codexapi"
    stranger.write_text("#!/usr/bin/python3\nfrom codexapi.cli import main\nmain()\n")
    stranger.chmod(0o755)
    code, found = doctor("--demo", env={"PATH": str(tmp_path)})
    assert (code, found["path"]["state"]) == (1, "problem")
    fix = found["path"]["fix"]
    assert "in the folder of your copy: uv tool install --force .; or call this one as" in fix
    stranger.write_text("#!/usr/bin/python3\nfrom codexapi_cli.__main__ import main\nmain()\n")
    code, found = doctor("--demo", env={"PATH": str(tmp_path)})
    assert (code, found["path"]["told"]) == (0, str(stranger))


def test_an_editor_is_advised_where_there_is_one(tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path), "PATH": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "none")}
    _, found = doctor("--demo", env=home)
    assert (found["mcp"]["state"], found["mcp"]["fix"]) == ("ok", None)
    (tmp_path / ".cursor").mkdir()
    _, found = doctor("--demo", env=home)
    assert (found["mcp"]["state"], found["mcp"]["fix"]) == (
        "ok", "codexapi mcp install --all-detected",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("config", "state", "told"),
    [
        ("", "ok", "file, in "),
        ('cli_auth_credentials_store = "keyring"', "problem", "says keyring"),
        ('cli_auth_credentials_store = "auto"', "warning", "says auto"),
        ('cli_auth_credentials_store = "foo"', "warning", "not known here: auth.json is read"),
        ("cli_auth_credentials_store = 5", "warning", "not known here: auth.json is read"),
        ('cli_auth_credentials_store = ["keyring"]', "warning", "not known here"),
    ],
)
def test_the_place_of_the_login_is_told(config: str, state: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(config)
    # A package of that name that cannot be found stands for an extra that is not installed.
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['keyring'] = None\n")
    path = os.pathsep.join([str(tmp_path), environment()["PYTHONPATH"]])
    _, found = doctor("--offline", env={"CODEX_HOME": str(tmp_path), "PYTHONPATH": path})
    assert found["login store"]["state"] == state
    assert told in found["login store"]["told"]
    assert found["login store"]["fix"] in (
        None,
        "in the folder of your copy: pip install '.[keyring]'",
    )


def test_without_any_codexapi_on_the_path_one_is_told_how(tmp_path: Path) -> None:
    _, found = doctor("--demo", env={"PATH": str(tmp_path)})
    assert found["path"]["state"] == "warning"
    assert "in the folder of your copy: uv tool install --force .;" in found["path"]["fix"]


@pytest.mark.parametrize(
    ("env", "name", "state", "told"),
    [
        ({"CODEXAPI_MODEL": "gpt-0"}, "model", "warning", "gpt-0 is not in your account's list"),
        ({"CODEXAPI_MODEL": "gpt-6.1-sol:high"}, "model", "ok", "gpt-6.1-sol:high"),
        ({"SSL_CERT_FILE": "/nowhere.pem"}, "certificates", "problem", "/nowhere.pem cannot be read"),
        (
            {"HTTPS_PROXY": f"http://me:{HIDDEN}@127.0.0.1:9", "NO_PROXY": "127.0.0.1"},
            "proxy", "ok", "http://(login left out)@127.0.0.1:9 is not used for it",
        ),
    ],
)  # fmt: skip
def test_a_setting_is_looked_at(
    env: dict[str, str], name: str, state: str, told: str, simulated: Running
) -> None:
    _, found = doctor(env={**simulated.env, **env})
    assert (found[name]["state"], found[name]["told"].endswith(told) or told in found[name]["told"]) == (
        state, True,
    )  # fmt: skip
    assert HIDDEN not in json.dumps(found)


def test_the_config_is_told_by_what_sets_it(tmp_path: Path) -> None:
    code, found = doctor("--offline", env={"CODEX_HOME": str(tmp_path), "CODEXAPI_MODEL": "m"})
    assert found["config"]["state"] == "ok"
    assert {"CODEXAPI_MODEL", "CODEXAPI_PORT", "CODEX_HOME"} <= set(
        found["config"]["told"].removeprefix("settings from ").split(", ")
    )
    (tmp_path / "config.toml").write_text("model = ")
    code, found = doctor("--offline", env={"CODEX_HOME": str(tmp_path)})
    assert found["config"]["state"] == "warning"
    assert str(tmp_path / "config.toml") in found["config"]["told"]
    assert code == 1, "for there is no login"


def test_a_base_url_that_is_not_openais_is_a_warning(tmp_path: Path) -> None:
    write_login(tmp_path, auth_json(exp=4e9))
    env = {"CODEX_HOME": str(tmp_path), "CODEXAPI_BASE_URL": "https://example.org"}
    _, found = doctor("--offline", env=env)
    assert found["backend address"]["state"] == "warning"
    assert HIDDEN not in json.dumps(found)


async def test_a_plan_that_is_used_up_is_a_warning_with_the_time(tmp_path: Path) -> None:
    write_login(tmp_path, auth_json(exp=4e9))
    plan = table("usage")
    plan["rate_limit"]["limit_reached"] = True
    paths: dict[str, list[Script]] = {
        "/x/models": [[whole(200, table("models"))]],
        "/api/codex/usage": [[whole(200, plan)]],
    }
    async with FaultyBackend(otherwise=[by_path(paths)]) as backend:
        env = {"CODEX_HOME": str(tmp_path), "CODEXAPI_BASE_URL": f"{backend.url}/x"}
        code, found = await asyncio.to_thread(doctor, env=env)
    assert (code, found["plan"]["state"]) == (0, "warning"), found
    assert "limit is reached" in found["plan"]["told"]
    assert found["plan"]["fix"].startswith("wait until ")


# What the backend really says.


def test_one_small_request_tells_what_of_the_picture_holds(simulated: Running) -> None:
    with refusing_port() as port:
        done = run("doctor", "--online", env={**simulated.env, "CODEXAPI_PORT": str(port)})
    assert done.returncode == 0
    assert done.stderr.startswith("codexapi: one small request is sent now")
    told = {line.split()[1]: line for line in done.stdout.splitlines() if line[0] != " "}
    for name in ("catalogue", "usage", "answer", "headers", "events", "fields"):
        assert told[name].startswith("ok "), told[name]
    assert f"{len(OFFERED)} models, default {OFFERED[0].slug}" in told["catalogue"]
    assert "response.created, response.in_progress, " in told["events"]
    assert told["untried"].startswith("unknown  untried")
    assert "transcription, which nobody has tried" in told["untried"]
    assert "this is" not in done.stdout, "what the model said"


def test_to_spend_nothing_and_something_is_a_usage_error() -> None:
    done = run("doctor", "--online", "--offline")
    assert (done.returncode, done.stdout) == (2, "")


def test_without_a_login_nothing_is_sent(tmp_path: Path) -> None:
    done = run("doctor", "--online", env={"CODEX_HOME": str(tmp_path)})
    assert (done.returncode, done.stderr) == (1, "")
    assert "catalogue" not in done.stdout


SECRET = "canary-secret"
LINE = {"type": "message", "id": SECRET, "role": "assistant"}
PART = {"type": "output_text", "text": SECRET, "annotations": []}
STREAM: list[dict[str, Any]] = [
    {"type": "response.created", "response": {"id": SECRET, "instructions": SECRET}},
    {"type": "response.news", "text": SECRET},
    {"type": f"response.{SECRET}-1234567", "text": SECRET},
    {"type": "response.output_item.added", "output_index": 0, "item": LINE, "more_news": SECRET},
    {"type": "response.output_item.done", "output_index": 0, "item": {**LINE, "content": [PART]}},
    {"type": "response.completed", "response": {"id": SECRET, f"user-{SECRET}-99999": SECRET}},
]
"""A stream with an unknown event and an unknown field, and with secrets wherever there is room."""


def planted(value: Any) -> Any:
    """The same with a secret in place of every text."""
    if isinstance(value, dict):
        return {name: planted(inside) for name, inside in value.items()}
    if isinstance(value, list):
        return [planted(inside) for inside in value]
    return SECRET if isinstance(value, str) else value


def changed_backend() -> FaultyBackend:
    """A backend whose every page has something new in it, and secrets."""
    listing, plan = planted(table("models")), planted(table("usage"))
    for model, shown in zip(listing["models"], table("models")["models"], strict=True):
        model.update(visibility="list", slug=shown["slug"], key_of_tomorrow=SECRET)
    plan["page_of_tomorrow"] = {f"acct-{SECRET}-777777": SECRET}
    headers = dict.fromkeys(table("headers"), SECRET)
    headers |= {
        "content-type": "text/event-stream",
        "x-codex-tomorrow": SECRET,
        "x-" + "9" * 9: "x",
    }
    data = b"".join(encode(event, event["type"]) for event in STREAM)
    paths: dict[str, list[Script]] = {
        "/x/models": [[whole(200, listing, x_secret=SECRET)]],
        "/api/codex/usage": [[whole(200, plan, x_secret=SECRET)]],
        "/x/responses": [[stream(data, **headers)]],
    }
    return FaultyBackend(otherwise=[by_path(paths)])


def refusing_backend() -> FaultyBackend:
    error = {"error": {"code": SECRET, "type": SECRET, "message": SECRET, "param": SECRET}}
    return FaultyBackend(otherwise=[whole(400, {**error, "detail": SECRET}, x_secret=SECRET)])


def secret_login(folder: Path) -> dict[str, str]:
    """A home of somebody whose every claim is a secret."""
    write_login(folder, auth_json(exp=4e9, account=SECRET, mark=SECRET, chatgpt_plan_type=SECRET))
    return {"CODEX_HOME": str(folder), "HOME": str(folder)}


@pytest.mark.parametrize("options", [(), ("--json",)])
async def test_what_is_new_is_named_and_no_secret_is_told(
    options: tuple[str, ...], tmp_path: Path
) -> None:
    home = tmp_path / SECRET
    home.mkdir()
    async with changed_backend() as backend:
        env = {**secret_login(home), "CODEXAPI_BASE_URL": f"{backend.url}/x"}
        done = await asyncio.to_thread(run, "doctor", "--online", *options, env=env)
    for name in (
        "key_of_tomorrow", "page_of_tomorrow", "x-codex-tomorrow", "response.news",
        "response.output_item.added: more_news", "(a name of another form)",
    ):  # fmt: skip
        assert name in done.stdout
    assert "issue" in done.stdout
    assert SECRET not in done.stdout + done.stderr
    assert done.returncode == 0


async def test_a_backend_that_refuses_is_told_without_its_words(tmp_path: Path) -> None:
    async with refusing_backend() as backend:
        env = {**secret_login(tmp_path), "CODEXAPI_BASE_URL": f"{backend.url}/x"}
        done = await asyncio.to_thread(run, "doctor", "--online", "--json", env=env)
    told = {found["name"]: found for found in json.loads(done.stdout)["findings"]}
    assert done.returncode == 1
    for name in ("catalogue", "usage page", "answer"):
        assert (told[name]["state"], told[name]["told"][:4]) == ("problem", "400,")
    assert told["serve"]["state"] == "problem"
    assert SECRET not in done.stdout + done.stderr


def test_a_report_tells_nothing_of_the_machine() -> None:
    chosen = Settings(
        codex_home=Path("/data/ann/codex"), state_dir=Path("/data/ann/state"),
        base_url="https://box.ann.example/x", proxy="http://proxy.ann.example:1",
        ca_file=Path("/data/ann/ca.pem"),
    )  # fmt: skip
    texts = [
        str(chosen.codex_home / "auth.json"), str(chosen.state_dir), chosen.base_url,
        str(chosen.proxy), str(chosen.ca_file), str(Path.home() / "x"),
    ]  # fmt: skip
    finding = shareable(Check("name", "ok", " ".join(texts), f"chmod 600 {texts[0]}"), chosen)
    shown = f"{finding.text} {finding.fix}"
    assert "ann" not in shown
    assert str(Path.home()) not in shown
    assert "chmod 600 $CODEX_HOME/auth.json" in shown


@pytest.mark.parametrize("home", [".", "/", "/v1/mod"])
def test_a_report_keeps_its_words_whatever_the_folders_are(home: str) -> None:
    told = "codexapi 0.1.0, Python 3.11.2: None of /v1/models / all ..."
    assert shareable(Check("name", "ok", told), Settings(codex_home=Path(home))).text == told


@pytest.mark.parametrize(
    ("ahead", "state", "told"),
    [
        (None, "unknown", "no time"),
        (0.0, "ok", "agrees"),
        (-MAX_CLOCK_SKEW, "ok", "agrees"),
        (MAX_CLOCK_SKEW + 1, "warning", "ahead"),
        (-3600.0, "warning", "1 h 0 min behind"),
    ],
)
def test_a_clock_that_is_wrong_is_a_warning(ahead: float | None, state: str, told: str) -> None:
    found = clock(ahead)
    assert found.state == state
    assert told in found.text
    assert (found.fix is not None) == (state == "warning")


def test_a_wrong_setting_is_a_usage_error() -> None:
    done = run("doctor", env={"CODEXAPI_PORT": "many"})
    assert (done.returncode, done.stdout) == (2, "")
    assert "CODEXAPI_PORT" in done.stderr


def test_its_help_loads_nothing_heavy() -> None:
    seen = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "codexapi_cli", "doctor", "--help"],
        capture_output=True, text=True, check=True, env=None,
    ).stderr  # fmt: skip
    loaded = {line.rpartition("|")[2].strip() for line in seen.splitlines()}
    assert not loaded & {"httpx", "asyncio", "pydantic", "rich", "ssl"}


@pytest.mark.skipif(not can_mount(), reason="only root may mount")
@pytest.mark.parametrize(
    ("login", "problems"),
    [
        (auth_json(exp=4e9), {"serve", "backend"}),  # a token that the backend refuses
        (auth_json(exp=1.0), {"login"}),
    ],
)
def test_a_login_that_could_not_be_renewed_here_is_told(
    login: bytes, problems: set[str], simulated: Running, tmp_path: Path
) -> None:
    """As in a container that mounts it read-only. A new login could not be saved there either."""
    write_login(tmp_path, login)
    remount = f"mount --bind {tmp_path} {tmp_path} && mount -o remount,bind,ro {tmp_path}"
    state = tmp_path.with_name("state")
    state.touch()  # nor does our own folder take anything
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", f'{remount} && exec "$@"', "sh",
         *forks.for_shells("doctor", "--json")],
        env=environment(
            **{**simulated.env, "CODEX_HOME": str(tmp_path), "CODEXAPI_STATE_DIR": str(state)}
        ),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    found = {one["name"]: one for one in json.loads(done.stdout)["findings"]}
    assert found["renewal"]["state"] == "warning"
    assert {name for name in found if found[name]["fix"] == MAKE_WRITABLE} == {"renewal", *problems}
    assert all(found[name]["state"] == "problem" for name in problems)
    assert not any(one["fix"] == "codexapi login" for one in found.values())


def test_a_token_of_the_environment_is_not_mended_by_a_login(tmp_path: Path) -> None:
    token = access_token(exp=1.0)
    code, found = doctor(env={"CODEX_HOME": str(tmp_path), "CODEX_ACCESS_TOKEN": token})
    assert (code, found["login"]["state"]) == (1, "problem")
    assert "unset it and run codexapi login" in found["login"]["fix"]


def test_a_keyring_that_cannot_be_read_is_not_mended_by_a_login_alone(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('cli_auth_credentials_store = "keyring"\n')
    code, found = doctor(env={"CODEX_HOME": str(tmp_path)})
    assert (code, found["login"]["state"]) == (1, "problem")
    assert found["login"]["fix"].startswith('set cli_auth_credentials_store = "file"')


def test_what_is_well_has_nothing_to_fix() -> None:
    well = Check("mcp", "ok", "not registered with an editor", "codexapi mcp install")
    wrong = Check("mcp", "problem", "it does not start", "codexapi mcp install --force")
    assert well.advice == "to do so: codexapi mcp install"
    assert wrong.advice == "fix: codexapi mcp install --force"


def test_settings_are_said_to_come_from_where_they_do() -> None:
    done = run("doctor", "--demo", "--offline", env={"CODEXAPI_TIMEOUT": "60"})
    assert re.search(r"(?m)^ok +config +settings from .*CODEXAPI_TIMEOUT", done.stdout)
    assert not re.search(r"(?m)^ok .*\n +fix: ", done.stdout)
