"""What stands in place of our own files, and times that no calendar holds: a sentence, no hang and
no traceback."""

from __future__ import annotations

import base64
import json
import os
import socket
import sys
from pathlib import Path

import pytest
from tests import unix
from tests.cli.shell import run, terminal
from tests.logins import auth_json, jwt, write_login
from tests.odd_files import KINDS, put_odd_file

from codexapi_cli.servers import registry
from codexapi_cli.servers.registry import Server
from codexapi_cli.terminal.plan import local
from codexapi_engine.files import NO_WAIT

NOWHERE = "http://127.0.0.1:1/x"
ODD_MOMENTS = ["1e999", "-1e999", "1e18", "-1e18", "1" + "0" * 30, "1" + "0" * 400, '"x"', "true"]

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has none of these")


def environment_of(home: Path) -> dict[str, str]:
    return {
        "CODEX_HOME": str(home),
        "CODEXAPI_BASE_URL": NOWHERE,
        "CODEXAPI_STATE_DIR": str(home / "state"),
        "CODEXAPI_ALLOW_FOREIGN_BASE_URL": "1",
    }


def refuse_constant(name: str) -> None:
    raise AssertionError(f"{name} is not JSON")


@pytest.mark.parametrize("moment", ODD_MOMENTS)
def test_a_token_that_expires_at_no_time_is_no_traceback(moment: str, tmp_path: Path) -> None:
    head, _, tail = jwt({}).split(".")
    body = base64.urlsafe_b64encode(f'{{"exp": {moment}}}'.encode()).rstrip(b"=").decode()
    write_login(tmp_path, auth_json(access=f"{head}.{body}.{tail}", refresh=None))
    for command in (["status"], ["status", "--json"], ["doctor", "--json"], ["models", "--json"]):
        done = run(*command, env=environment_of(tmp_path))
        assert "Traceback" not in done.stdout + done.stderr, command
        if "--json" in command:
            json.loads(done.stdout or "{}", parse_constant=refuse_constant)


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00", "9999-12-31T23:59:59", "x", "1e999"])
def test_a_login_renewed_at_no_time_is_no_traceback(moment: str, tmp_path: Path) -> None:
    write_login(tmp_path, auth_json(exp=4e9, issued=None, last_refresh=moment))
    for command in ("status", "doctor"):
        done = run(command, env=environment_of(tmp_path))
        assert "Traceback" not in done.stdout + done.stderr, command


@pytest.mark.parametrize("moment", [1e300, -1e300, float("inf"), float("nan"), 1e18])
def test_a_time_that_no_calendar_has_is_said_so(moment: float) -> None:
    assert local(moment) == "a time that no calendar has"


@posix
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["config.toml", "auth.json"])
def test_no_command_hangs_at_what_is_no_file_of_codex(name: str, kind: str, tmp_path: Path) -> None:
    if name != "auth.json":
        write_login(tmp_path, auth_json(exp=4e9))
    put_odd_file(tmp_path / name, kind)
    for command in ("status", "doctor", "config", "chat --dry-run hi"):
        done = run(*command.split(), env=environment_of(tmp_path))
        assert "Traceback" not in done.stdout + done.stderr, command


def test_a_config_that_is_nested_too_deep_is_told(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("cli_auth_credentials_store = " + "[" * 50_000)
    done = run("doctor", "--offline", env=environment_of(tmp_path))
    assert "config.toml cannot be read" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


@posix
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("locked", [True, False])
def test_what_is_no_file_is_no_server(kind: str, locked: bool, tmp_path: Path) -> None:
    folder = tmp_path / "servers"
    folder.mkdir()
    path = folder / "1.json"
    put_odd_file(path, kind)
    holder = -1
    if locked and kind in ("fifo", "device"):
        holder = os.open(path, os.O_RDWR | NO_WAIT)
        unix.lock(holder)
    try:
        assert registry.running(tmp_path) == []
    finally:
        if holder >= 0:
            os.close(holder)


@posix
@pytest.mark.parametrize("kind", ["fifo", "folder", "dangling", "loop"])
def test_a_server_whose_file_cannot_be_says_why(kind: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    folder = tmp_path / "state" / "servers"
    folder.mkdir(parents=True)
    put_odd_file(folder / f"{port}.json", kind)
    with registry.PortLock(tmp_path / "state") as place, pytest.raises(OSError, match=str(port)):
        place.take(port)


@posix
@pytest.mark.parametrize(
    "text",
    ["1", "[]", '{"port": "1"}', '{"port": [], "pid": {}, "host": 1, "since": 1e999}',
     '{"port": 1, "pid": "x", "host": "h", "since": "y"}',
     '{"port": 1, "pid": 1, "host": [], "since": 1, "url": 1}', "[" * 100_000],
)  # fmt: skip
def test_a_file_of_another_shape_is_no_server(text: str, tmp_path: Path) -> None:
    folder = tmp_path / "servers"
    folder.mkdir()
    paths = [folder / "1.json", folder / "2.json"]
    paths[0].write_text(text)
    paths[1].write_text('{"port": 2, "pid": 1, "host": "h", "since": 1e300}')
    holders = [os.open(path, os.O_RDWR) for path in paths]
    try:
        for holder in holders:
            unix.lock(holder)
        (found,) = registry.running(tmp_path)
        assert found == Server(2, 1, "h", 1e300)
        assert "no calendar" in str(found)
    finally:
        for holder in holders:
            os.close(holder)


@posix
def test_a_chat_on_a_terminal_does_not_hang_at_its_lines(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    unix.make_fifo(state / "history-demo.db")
    env = {"CODEXAPI_STATE_DIR": str(state), "CODEXAPI_NO_LOG": ""}
    with terminal("chat", "-i", "--demo", env=env) as child:
        child.expect("Ctrl-D leaves")
        child.sendeof()
        child.read()
