"""`codexapi drift`, with a client that sends what a real one sent, or a made-up newer one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests import forks, unix
from tests.cli.shell import run
from tests.fake_codex import Client, put_client
from tests.logins import write_login
from tests.processes import codexapi, environment

NEWEST = Client().version
posix = pytest.mark.skipif(sys.platform == "win32", reason="it has no FIFOs")
CANARY = "canary-of-the-users-own"

JsonObject = dict[str, Any]


def drift(
    client: Path, *arguments: str, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return run("drift", "--codex", str(client), *arguments, env=env or {})


def report(client: Path, *arguments: str, env: dict[str, str] | None = None) -> JsonObject:
    done = drift(client, "--json", *arguments, env=env)
    assert done.stderr == ""
    told: JsonObject = json.loads(done.stdout)
    assert told["ok"] == (done.returncode == 0)
    assert done.returncode in (0, 1)
    return told


def to_look_at(told: JsonObject) -> set[tuple[str, str, str, str]]:
    return {
        (one["request"], one["part"], one["name"], one["change"])
        for one in told["differences"]
        if one["concern"] == "look"
    }


def test_the_recorded_client_differs_in_what_is_known_alone(tmp_path: Path) -> None:
    told = report(put_client(tmp_path))
    assert told["ok"]
    assert {one["concern"] for one in told["differences"]} == {"known"}
    assert told["picture"]["requests"].keys() == {
        "models", "responses", "search", "image", "upgrade", "message",
    }  # fmt: skip


def test_a_newer_client_with_another_header_and_field_is_caught(tmp_path: Path) -> None:
    client = put_client(
        tmp_path,
        version="0.199.0",
        header=["x-codex-novelty", "1"],
        rename=["prompt_cache_key", "cache_lane"],
        model={"slug": "gpt-7-sol", "a_new_field": True},
    )
    told = report(client)
    found = to_look_at(told)
    for request in ("models", "responses", "search", "image", "upgrade"):
        assert (request, "header", "x-codex-novelty", "new") in found
    for request in ("responses", "search", "image"):
        assert (request, "header", "x-codex-novelty", "not passed on") in found
    for request in ("responses", "message"):
        assert (request, "field", "cache_lane", "new") in found
        assert (request, "field", "prompt_cache_key", "missing") in found
    assert ("client", "catalogue", "a_new_field", "new") in found
    assert ("client", "default model", "gpt-7-sol, not gpt-6.2-sol", "different") in found
    harmless = [one["name"] for one in told["differences"] if one["concern"] == "harmless"]
    assert f"0.199.0, not {NEWEST}" in harmless
    assert "gpt-7-sol" in harmless


def test_a_person_reads_what_to_look_at_and_what_to_do(tmp_path: Path) -> None:
    done = drift(put_client(tmp_path, header=["x-codex-novelty", "1"]))
    assert done.returncode == 1
    first, *rows, last = done.stdout.splitlines()
    assert first.startswith(f"codex {NEWEST} ({tmp_path / 'codex'}): ")
    assert any(row.startswith("look      models header x-codex-novelty: new") for row in rows)
    assert not [row for row in rows if row.startswith(("known", "harmless"))]
    assert "open an issue" in last


def test_the_client_gets_a_home_of_its_own_and_nothing_of_the_users(tmp_path: Path) -> None:
    home, seen = tmp_path / "home", tmp_path / "seen"
    (home / ".codex").mkdir(parents=True)
    write_login(home / ".codex", json.dumps({"OPENAI_API_KEY": CANARY}).encode())
    (home / ".codex" / "config.toml").write_text(f'model = "{CANARY}"\n')
    before = {file: file.read_bytes() for file in (home / ".codex").iterdir()}
    env = {
        "HOME": str(home), "CODEX_HOME": str(home / ".codex"), "OPENAI_API_KEY": CANARY,
        "CODEX_ACCESS_TOKEN": CANARY, "CODEX_API_KEY": CANARY, "HTTPS_PROXY": f"http://{CANARY}",
    }  # fmt: skip
    assert report(put_client(tmp_path, report=str(seen)), env=env)["ok"]
    client = json.loads(seen.read_text())
    assert CANARY not in json.dumps(client)
    for name in ("HOME", "CODEX_HOME"):
        assert str(home) not in client["environ"][name]
        assert not Path(client["environ"][name]).exists()
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        assert client["environ"][name] == "http://127.0.0.1:9"
    assert "simulated" in next(text for name, text in client["files"].items() if "auth" in name)
    assert {file: file.read_bytes() for file in (home / ".codex").iterdir()} == before


def test_a_turn_that_fails_is_to_be_looked_at(tmp_path: Path) -> None:
    found = to_look_at(report(put_client(tmp_path, fault="fails")))
    assert {name for _, part, name, _ in found if part == "turn"} == {
        "plain", "tool", "search", "image", "compact",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        (
            {"version": "0.150.0"},
            7,
            "is 0.150.0, and too old to be compared; 0.163.0 is the oldest",
        ),
        ({"version": "new"}, 5, "does not say its version"),
        ({"fault": "ends"}, 5, "plain: it ended"),
        ({"fault": "refuses"}, 5, "thread/start: no such method"),
    ],
    ids=str,
)
def test_a_client_that_cannot_be_compared_is_named_with_the_reason(
    tmp_path: Path, changes: dict[str, str], code: int, words: str
) -> None:
    done = drift(put_client(tmp_path, **changes))
    assert (done.returncode, done.stdout) == (code, "")
    (line,) = done.stderr.splitlines()
    assert str(tmp_path / "codex") in line
    assert words in line
    assert "\x1b" not in line


def test_without_a_client_it_says_how_to_get_one(tmp_path: Path) -> None:
    done = run("drift", env={"PATH": str(tmp_path)})
    assert (done.returncode, done.stdout) == (7, "")
    assert "the official Codex client is not on PATH: npm install -g @openai/codex" in done.stderr
    done = drift(tmp_path / "absent")
    assert (done.returncode, done.stdout) == (7, "")
    assert "absent is not a program" in done.stderr


def test_a_client_that_hangs_is_ended_with_what_it_has_started(tmp_path: Path) -> None:
    processes = tmp_path / "processes"
    client = put_client(tmp_path, fault="hangs", report=str(processes))
    done = drift(client, "--timeout", "6")
    assert (done.returncode, done.stdout) == (5, "")
    assert "plain: no answer within 6 s" in done.stderr
    for number in json.loads(processes.read_text()):
        assert not is_running(number)


@posix
def test_ctrl_c_ends_the_client_too(tmp_path: Path) -> None:
    report = tmp_path / "report"
    unix.make_fifo(report)  # to read it waits for what is written
    client = put_client(tmp_path, fault="hangs", report=str(report))
    process = forks.Popen(
        codexapi("drift", "--codex", str(client)), env=environment(), text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        text = ""
        while len(documents := each_document(text)) < 2:  # one read may bring both
            text += report.read_text()
        processes = documents[1]
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
    finally:
        process.kill()
        process.communicate()
    assert (process.returncode, output) == (130, "")
    assert not any(map(is_running, processes))


def each_document(text: str) -> list[Any]:
    """JSON documents that stand one behind the other."""
    documents, at, decoder = [], 0, json.JSONDecoder()
    while at < len(text):
        document, at = decoder.raw_decode(text, at)
        documents.append(document)
    return documents


def is_running(number: int) -> bool:
    try:
        status = Path(f"/proc/{number}/stat").read_text()
    except OSError:
        try:
            os.kill(number, 0)
        except ProcessLookupError:
            return False
        return True
    return status.rpartition(")")[2].split()[0] != "Z"  # ended, and not collected by its parent
