"""`serve --detach`, `stop`, one server for a port, and `service print`."""

from __future__ import annotations

import json
import os
import plistlib
import shlex
import shutil
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from xml.etree import ElementTree

import pytest
from tests import unix
from tests.cli.shell import PATIENCE, run
from tests.processes import codexapi, environment, server

from codexapi_cli.commands.service import Service, ServiceManager, own_system, systemd
from codexapi_cli.servers.registry import PortLock, reachable, running

TASK = "{http://schemas.microsoft.com/windows/2004/02/mit/task}"


@pytest.fixture
def env(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A state folder of its own, and no server in it left behind."""
    state = {"CODEXAPI_STATE_DIR": str(tmp_path / "state"), "CODEX_HOME": str(tmp_path)}
    yield state
    run("stop", "--all", env=state)
    left = running(tmp_path / "state")
    for server_ in left:
        os.kill(server_.pid, unix.SIGKILL)
    assert not left


def state_of(env: dict[str, str]) -> Path:
    return Path(env["CODEXAPI_STATE_DIR"])


def detached(env: dict[str, str], *arguments: str) -> tuple[str, int]:
    """The URL and port of a server that was started in the background."""
    done = run("serve", "--detach", "--demo", "--port", "0", *arguments, env=env)
    assert done.returncode == 0, done.stderr
    url = done.stdout.removesuffix("\n")
    return url, int(url.removesuffix("/v1").rpartition(":")[2])


def healthy(port: int) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except ConnectionRefusedError:
        return False
    finally:
        connection.close()


def test_a_detached_server_answers_when_the_command_returns(env: dict[str, str]) -> None:
    done = run("serve", "--detach", "--demo", "--port", "0", env=env)
    assert done.returncode == 0
    (server,) = running(state_of(env))
    assert done.stdout == f"{server.url}/v1\n"
    assert healthy(server.port)
    simulated, where = done.stderr.splitlines()
    assert "answers are simulated" in simulated
    log = Path(where.rpartition(" ")[2])
    assert f"process {server.pid} " in where
    assert server.pid != os.getpid()
    run("stop", env=env)  # its log is written in a thread, and complete at its end
    assert "/healthz 200" in log.read_text()


@pytest.mark.skipif(sys.platform == "win32", reason="modes of files")
def test_what_a_server_leaves_on_the_disk_is_for_its_user_alone(env: dict[str, str]) -> None:
    detached(env)
    modes = {path.suffix: stat.S_IMODE(path.stat().st_mode) for path in state_of(env).rglob("*.*")}
    assert modes == {".json": 0o600, ".log": 0o600}
    assert stat.S_IMODE((state_of(env) / "servers").stat().st_mode) == 0o700


def test_stop_ends_the_only_server_and_waits_for_it(env: dict[str, str]) -> None:
    url, port = detached(env)
    done = run("stop", env=env)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == f"codexapi: stopped {url.removesuffix('/v1')}\n"
    assert not healthy(port)
    assert not list((state_of(env) / "servers").iterdir())
    again = run("stop", env=env)
    assert (again.returncode, again.stderr) == (0, "codexapi: no server runs\n")


def test_stop_wants_to_know_which_of_two(env: dict[str, str]) -> None:
    (_, one), (_, other) = detached(env), detached(env)
    done = run("stop", env=env)
    assert done.returncode == 2
    assert str(one) in done.stderr
    assert str(other) in done.stderr
    assert run("stop", "--port", str(one), env=env).returncode == 0
    assert (healthy(one), healthy(other)) == (False, True)
    assert run("stop", "--all", env=env).returncode == 0
    assert not healthy(other)


def test_a_server_in_a_terminal_is_stopped_too(env: dict[str, str]) -> None:
    with server("--demo", env=env) as running_:
        port = running_.url.removesuffix("/v1").rpartition(":")[2]
        assert run("stop", "--port", port, env=env).returncode == 0
        assert running_.process.wait(PATIENCE) == 143


@pytest.mark.parametrize("detach", [[], ["--detach"]], ids=["foreground", "detach"])
def test_a_port_has_one_server_and_a_second_says_who_has_it(
    detach: list[str], env: dict[str, str]
) -> None:
    _, port = detached(env)
    (first,) = running(state_of(env))
    logs = sorted(state_of(env).rglob("*.log"))
    done = run("serve", "--demo", "--port", str(port), *detach, env=env)
    assert (done.returncode, done.stdout) == (8, "")
    assert f"process {first.pid}" in done.stderr
    assert f"codexapi stop --port {port}" in done.stderr
    assert done.stderr.count("\n") == 1
    assert healthy(port)
    assert running(state_of(env)) == [first]
    assert sorted(state_of(env).rglob("*.log")) == logs


@pytest.mark.parametrize("detach", [[], ["--detach"]], ids=["foreground", "detach"])
def test_a_port_of_somebody_else_is_said_to_be_in_use(
    detach: list[str], env: dict[str, str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        port = stranger.getsockname()[1]
        done = run("serve", "--demo", "--port", str(port), *detach, env=env)
    assert (done.returncode, done.stdout) == (8, "")
    assert f"127.0.0.1:{port}: Address already in use" in done.stderr
    assert running(state_of(env)) == []


def test_a_server_that_was_killed_is_forgotten(env: dict[str, str]) -> None:
    with server("--demo", env=env) as running_:
        assert len(running(state_of(env))) == 1
        running_.process.kill()
        running_.process.wait()
        assert running(state_of(env)) == []
    assert not list((state_of(env) / "servers").iterdir())


def test_stop_sends_no_signal_to_a_process_that_got_an_old_number(env: dict[str, str]) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stranger:
        place = state_of(env) / "servers" / "18080.json"
        place.parent.mkdir(parents=True)
        told = {"port": 18080, "pid": stranger.pid, "host": socket.gethostname(), "since": 0.0}
        place.write_text(json.dumps(told))
        assert run("stop", "--port", "18080", env=env).returncode == 0
        assert stranger.poll() is None
        stranger.communicate(b"\n")
        assert stranger.returncode == 0


def test_stop_leaves_the_server_of_another_machine_alone(env: dict[str, str]) -> None:
    """A state folder may be on a disk that machines, or containers, share."""
    idle = [sys.executable, "-c", "input()"]
    with (
        subprocess.Popen(idle, stdin=subprocess.PIPE) as stranger,
        PortLock(state_of(env)) as place,
    ):
        place.take(18080)
        path = state_of(env) / "servers" / "18080.json"
        told = {**json.loads(path.read_bytes()), "host": "elsewhere", "pid": stranger.pid}
        path.write_text(json.dumps(told))
        done = run("stop", "--port", "18080", env=env)
        assert stranger.poll() is None
        stranger.communicate(b"\n")
    assert done.returncode == 1
    assert "elsewhere, not here" in done.stderr


def test_a_server_that_cannot_be_shown_serves_all_the_same(env: dict[str, str]) -> None:
    state_of(env).write_text("no folder")
    with server("--demo", "--quiet", env=env) as running_:
        assert healthy(int(running_.url.removesuffix("/v1").rpartition(":")[2]))
        assert running_.process.stderr is not None
        said = [running_.process.stderr.readline() for _ in range(2)]
        assert "`codexapi stop` will not find this server" in "".join(said)
        assert running_.stop(signal.SIGTERM) == 143


def test_detached_says_what_is_missing_and_what_is_wrong(env: dict[str, str]) -> None:
    done = run("serve", "--detach", "--port", "0", env=env)
    assert done.returncode == 0
    assert "codex login" in done.stderr
    done = run("serve", "--detach", "--port", "0", "--host", "0.0.0.0", env=env)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--api-key" in done.stderr


def test_detach_is_not_led_astray_by_the_folder_it_is_called_in(
    env: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "typer.py").write_text("raise SystemExit(99)")
    done = subprocess.run(
        [sys.executable, "-P", *codexapi("serve", "--detach", "--demo", "--port", "0")[1:]],
        cwd=tmp_path, env=environment(**env), capture_output=True, text=True, timeout=PATIENCE,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_status_shows_what_serves(env: dict[str, str]) -> None:
    url, port = detached(env)
    done = run("status", "--demo", env=env)
    assert done.stdout.startswith(
        f"serving on {url}: codexapi with the simulated backend (--demo), process "
    )
    (told,) = json.loads(run("status", "--demo", "--json", env=env).stdout)["servers"]
    assert (told["port"], f"{told['url']}/v1") == (port, url)
    done = run("status", env=env)  # no login
    assert done.returncode == 3
    assert done.stdout.startswith(f"serving on {url}")


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://0.0.0.0:1", "http://127.0.0.1:1"),
        ("http://[::]:1", "http://[::1]:1"),
        ("http://192.0.2.1:1", "http://192.0.2.1:1"),
    ],
)
def test_a_server_on_all_addresses_is_reached_by_loopback(url: str, told: str) -> None:
    assert reachable(url) == told


# The system's own services


def printed(*arguments: str, **env: str) -> tuple[str, str]:
    done = run("service", "print", *arguments, env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here")
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    state = str(tmp_path / 'a "b" $c %d')
    unit, _ = printed("--system", "systemd", "--state", state, "--port", "1234", CODEX_HOME=state)
    place = tmp_path / "codexapi.service"
    place.write_text(unit)
    done = subprocess.run(
        ["systemd-analyze", "--user", "verify", place], capture_output=True, text=True,
        env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here")
@pytest.mark.parametrize("name", ["$x", "a $HOME b", "%d", "it's", 'a"b', "back\\slash", "$$"])
def test_systemd_finds_the_program_in_any_folder(name: str, tmp_path: Path) -> None:
    program = tmp_path / name / "codexapi"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    place = tmp_path / "codexapi.service"
    place.write_text(systemd(Service([str(program), "serve", "$x"], {})))
    done = subprocess.run(
        ["systemd-analyze", "--user", "verify", place], capture_output=True, text=True,
        env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert ' serve "$$x"\n' in place.read_text()


def test_a_unit_runs_serve_with_its_options_and_our_environment() -> None:
    unit, said = printed(
        "--system", "systemd", "--port", "1234", "--state", "/a b$c%d", "--strict",
        CODEX_HOME="/my home", CODEXAPI_MODEL="some-model",
    )  # fmt: skip
    (command,) = [line for line in unit.splitlines() if line.startswith("ExecStart=")]
    assert command.endswith(' serve --port 1234 --state "/a b$$c%%d" --strict')
    assert Path(command.removeprefix("ExecStart=").split()[0]).is_absolute()
    assert 'Environment="CODEX_HOME=/my home"\nEnvironment=CODEXAPI_MODEL=some-model\n' in unit
    assert "RestartPreventExitStatus=2 7 8\nSuccessExitStatus=143\n" in unit
    assert "systemctl --user enable --now codexapi" in said
    assert "'/a b$c%d'" in said


def test_an_agent_of_launchd_is_a_property_list() -> None:
    agent = plistlib.loads(
        printed("--system", "launchd", "--strict", CODEX_HOME="/a<b>")[0].encode()
    )
    assert agent["Label"] == "codexapi"
    assert agent["ProgramArguments"][-2:] == ["serve", "--strict"]
    assert agent["EnvironmentVariables"]["CODEX_HOME"] == "/a<b>"
    assert agent["KeepAlive"] == {"Crashed": True}
    assert agent["RunAtLoad"] is True


def test_a_task_of_windows_is_xml_of_its_schema() -> None:
    task, said = printed(
        "--system", "windows", "--model-alias", "a b=c & d", CODEX_HOME="C:\\x", USERDOMAIN="<PC>"
    )
    root = ElementTree.fromstring(task)
    assert (root.tag, root.get("version")) == (f"{TASK}Task", "1.2")
    assert [part.tag.removeprefix(TASK) for part in root] == [
        "RegistrationInfo", "Triggers", "Principals", "Settings", "Actions",
    ]  # fmt: skip
    arguments = root.find(f".//{TASK}Arguments")
    assert arguments is not None
    assert arguments.text is not None
    assert arguments.text.endswith('serve --model-alias "a b=c & d" --detach')
    users = {user.text for user in root.iter(f"{TASK}UserId")}
    assert len(users) == 1
    assert str(users.pop()).startswith("<PC>\\")
    assert "set CODEX_HOME" in said
    assert "'a b=c & d' | Out-String" in said


@pytest.mark.parametrize("system", list(ServiceManager))
def test_no_secret_gets_into_a_service(system: ServiceManager) -> None:
    told = printed(
        "--system", system,
        CODEXAPI_API_KEY="canary", HTTPS_PROXY="http://me:canary@proxy:1", NO_PROXY="a.org",
    )  # fmt: skip
    assert "canary" not in "".join(told)
    assert "CODEXAPI_API_KEY holds a secret" in told[1]
    assert "HTTPS_PROXY holds a secret" in told[1]


@pytest.mark.skipif(sys.platform == "win32", reason="runs a shell")
@pytest.mark.parametrize("system", ["systemd", "launchd"])
def test_the_command_that_installs_a_service_writes_what_was_printed(
    system: str, tmp_path: Path
) -> None:
    arguments = ["--system", system, "--state", "/it's here"]
    unit, said = printed(*arguments)
    line = next(line for line in said.splitlines() if " > " in line)
    stand_in = f'codexapi() {{ {shlex.join(codexapi())} "$@"; }}\n'
    quiet = "systemctl() { :; }\nlaunchctl() { :; }\n"
    (tmp_path / "Library/LaunchAgents").mkdir(parents=True)
    env = environment(HOME=str(tmp_path))
    # An agent names its user's own folder of logs.
    unit = unit.replace(str(Path.home()), str(tmp_path)) if system == "launchd" else unit
    subprocess.run(
        ["sh", "-e", "-c", stand_in + quiet + line], env=env, check=True, capture_output=True,
        timeout=PATIENCE,
    )  # fmt: skip
    (written,) = [path for path in tmp_path.rglob("codexapi.*") if path.is_file()]
    assert written.read_text() == unit


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--api-key", "x"], "--api-key-file"),
        (["--api-key=x"], "--api-key-file"),
        (["--detach"], "the system"),
        (["--state", "here"], "whole path"),
        (["--api-key-file", "here"], "whole path"),
        (["--nonsense"], "--nonsense: there is no such option; `codexapi serve --help` lists them"),
        (["--port", "many"], "--port: many is not a whole number between 0 and 65535"),
        (["--state", "/a\nb"], "control character"),
    ],
)
def test_what_cannot_be_served_so_is_refused(arguments: list[str], why: str) -> None:
    done = run("service", "print", "--system", "systemd", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert why in done.stderr


@pytest.mark.parametrize(
    ("platform", "system"),
    [("linux", "systemd"), ("darwin", "launchd"), ("win32", "windows"), ("freebsd14", "systemd")],
)
def test_each_system_has_its_own(platform: str, system: str) -> None:
    assert own_system(platform) == system
