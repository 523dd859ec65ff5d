"""What goes in and how it ends, over all commands: stdin, closed pipes, Ctrl-C, exit codes, JSON."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests import forks
from tests.cli.shell import PATIENCE, exit_code, pipe_without_reader, run, shown, terminal
from tests.cli.test_chat import NEVER
from tests.faulty import HOLD, FaultyBackend, chunk, head, whole
from tests.logins import auth_json, write_login
from tests.processes import codexapi, environment

from codexapi_engine.protocol import sse

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX terminals and shells")

DRY = ("chat", "--dry-run", "-m", "m")


def asked(stdout: str) -> str:
    text: str = json.loads(stdout)["body"]["input"][-1]["content"][0]["text"]
    return text


def dry(*words: str, stdin: Any) -> subprocess.CompletedProcess[str]:
    return forks.run(
        codexapi(*DRY, *words), env=environment(), stdin=stdin, capture_output=True, text=True,
        check=False, timeout=PATIENCE,
    )  # fmt: skip


# stdin


def test_an_empty_pipe_alone_asks_nothing() -> None:
    done = run("chat", "--demo", stdin=b"")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("codexapi: there is nothing to ask")


def test_a_file_beside_a_question(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a line\n")
    with (tmp_path / "file").open() as file:
        assert asked(dry("why", stdin=file).stdout) == "why\n\n<stdin>\na line\n</stdin>"


@posix
def test_a_closed_stdin_is_none() -> None:
    words = " ".join(f"'{word}'" for word in codexapi(*DRY, "why"))
    done = subprocess.run(
        ["sh", "-c", f"{words} <&-"], env=environment(), capture_output=True, text=True,
        check=False, timeout=PATIENCE,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert asked(done.stdout) == "why"


@posix
def test_a_socket_that_nobody_closes_is_not_waited_for() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        done = dry("why", stdin=theirs)
    assert done.returncode == 0
    assert "is not read; `-` reads it" in done.stderr
    assert asked(done.stdout) == "why"


def test_an_idle_pipe_beside_a_question_is_told_of_and_waited_for() -> None:
    with forks.Popen(
        codexapi("chat", "--demo", "[[say Yes.]]"), env=environment(), text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stderr is not None
        assert "--no-stdin" in process.stderr.readline()
        answer, rest = process.communicate("", timeout=PATIENCE)
    assert (process.returncode, answer, rest) == (0, "Yes.\n", "")


def test_an_idle_pipe_that_is_not_wanted_is_not_waited_for() -> None:
    with forks.Popen(
        codexapi("chat", "--demo", "--no-stdin", "[[say Yes.]]"), env=environment(), text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read() == "Yes.\n"
        assert process.stderr.read() == ""
        assert process.wait(PATIENCE) == 0


@posix
def test_a_terminal_is_not_waited_for_where_there_is_a_question() -> None:
    assert shown("chat", "--demo", "--raw", "[[say Yes.]]")[1].endswith("Yes.\n")


# Closed pipes


@posix
@pytest.mark.parametrize(
    "command",
    [
        "chat --demo --raw hello", "chat --demo --json hello", "chat --dry-run -m m hello",
        "models --demo", "usage --demo", "config", "history path",
        "setup", "service print", "sh --demo [[say ls]]",
    ],
)  # fmt: skip
def test_a_closed_pipe_ends_every_command_quietly(command: str) -> None:
    with pipe_without_reader() as stdout:
        done = forks.run(
            codexapi(*command.split()), env=environment(), stdin=subprocess.DEVNULL,
            stdout=stdout, stderr=subprocess.PIPE, timeout=PATIENCE,
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (141, b"")


# Ctrl-C


@posix
async def test_ctrl_c_typed_on_a_terminal_cancels_the_backend(tmp_path: Path) -> None:
    write_login(tmp_path, auth_json(exp=NEVER))
    began = chunk(sse.encode({"type": "response.created", "response": {"id": "resp_1"}}))
    delta = {
        "type": "response.output_text.delta", "output_index": 0, "content_index": 0,
        "delta": "Partly",
    }  # fmt: skip
    async with FaultyBackend([head(), began, chunk(sse.encode(delta)), HOLD]) as backend:
        env = {"CODEX_HOME": str(tmp_path), "CODEXAPI_BASE_URL": backend.url}

        def at_the_terminal() -> tuple[int, str]:
            with terminal("chat", "-m", "m", "--raw", "hi", env=env) as child:
                child.expect("Partly")
                child.sendintr()
                said: str = child.read()
                return exit_code(child), said

        code, rest = await asyncio.to_thread(at_the_terminal)
        await backend.until(lambda: not backend.open)
    assert code == 130
    assert rest.replace("^C", "") == "\r\n"


# Refusals, and answers that are cut short

ANSWERS = [
    # command, what stdout is after a refusal, and after half an answer
    ("chat --demo", "No.\n", "Half a simulated ans\n"),
    ("chat --demo --raw", "No.\n", "Half a simulated ans\n"),
    ("chat --demo -x", "", "Half a simulated ans\n"),
    ("chat --demo --schema name", "", "Half a simulated ans\n"),
    ("chat --demo -o out", "", "Half a simulated ans\n"),
    ("chat --demo -x -o out", "", "Half a simulated ans\n"),
    ("sh --demo", "", ""),
    ("sh --demo -y", "", ""),
]


@pytest.mark.parametrize(("command", "refusal", "half"), ANSWERS)
def test_a_refusal_and_half_an_answer_have_a_code_and_a_note(
    command: str, refusal: str, half: str, tmp_path: Path
) -> None:
    (tmp_path / "out").write_text("old")

    def ask(script: str) -> tuple[int, str, str]:
        done = forks.run(
            codexapi(*command.split(), script), env=environment(), cwd=tmp_path, text=True,
            stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=PATIENCE,
        )  # fmt: skip
        return done.returncode, done.stdout, done.stderr

    code, answer, said = ask("[[refuse No.]]")
    assert (code, answer) == (1, refusal)
    assert "the model refused" in said
    for reason in ("max_output_tokens", "content_filter"):
        code, answer, said = ask(f"[[incomplete {reason}]]")
        assert (code, answer) == (9, half)
        assert f"the answer is incomplete ({reason})" in said
    assert (tmp_path / "out").read_text() == "old"


@pytest.mark.parametrize(("more", "answer"), [("-x", "ls\n"), ("--json", None)])
def test_a_file_takes_what_was_extracted_and_json(
    more: str, answer: str | None, tmp_path: Path
) -> None:
    path = tmp_path / "out"
    done = run("chat", "--demo", more, "-o", str(path), "[[say So:\n```\nls\n```]]")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    told = path.read_text()
    assert told == answer if answer else json.loads(told)["text"].startswith("So:")


@pytest.mark.parametrize("form", ["--json", "--stream-json", "--json --schema name"])
def test_json_tells_a_refusal_and_half_an_answer(form: str) -> None:
    def ask(script: str) -> tuple[int, Any]:
        done = run("chat", "--demo", *form.split(), script)
        lines = done.stdout.splitlines()
        return done.returncode, json.loads(lines[-1] if "stream" in form else done.stdout)

    code, told = ask("[[refuse No.]]")
    assert (code, told["refusal"], told["finish_reason"]) == (1, "No.", "stop")
    code, told = ask("[[incomplete]]")
    assert (code, told["refusal"], told["finish_reason"]) == (9, None, "length")
    code, told = ask("[[incomplete content_filter]]")
    assert (code, told["finish_reason"]) == (9, "content_filter")


# Errors


@pytest.mark.parametrize("command", ["chat", "image"])
async def test_what_the_backend_says_does_nothing_to_a_terminal(
    command: str, tmp_path: Path
) -> None:
    write_login(tmp_path, auth_json(exp=NEVER))
    answer = whole(400, {"detail": "Bad\x1b]0;title\x07\x1b[2J\r\nnews"})
    async with FaultyBackend([answer]) as backend:
        env = {"CODEX_HOME": str(tmp_path), "CODEXAPI_BASE_URL": backend.url}
        more = ["-o", str(tmp_path / "x.png")] if command == "image" else []
        done = await asyncio.to_thread(run, command, "-m", "m", *more, "hi", env=env)
    assert done.returncode == 6
    assert done.stderr.count("\n") == 1
    assert done.stderr.rstrip("\n").isprintable()
    assert "news" in done.stderr


@pytest.mark.parametrize("command", ["status", "usage"])
async def test_an_error_without_a_code_is_told_by_its_type(command: str, tmp_path: Path) -> None:
    write_login(tmp_path, auth_json(exp=NEVER))
    async with FaultyBackend([whole(404, {"detail": "Not Found"})]) as backend:
        env = {"CODEX_HOME": str(tmp_path), "CODEXAPI_BASE_URL": backend.url}
        done = await asyncio.to_thread(run, command, env=env)
    assert done.returncode == 6
    assert "Not Found" in done.stderr
    assert "None" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("chat", "--json", "-f", "none", "hi"), 7),
        (("chat", "--json", "-x", "hi"), 2),
        (("image", "--json", "-o", "none/out.png", "hi"), 7),
        (("image", "--json", "--format", "bmp", "hi"), 2),
        (("image", "--json", "-o", "out.png", "[[blocked]]"), 1),
        (("image", "--json", "-o", "out.png", "[[status usage_limit_reached]]"), 4),
        (("transcribe", "--json", "none.wav"), 7),
        (("usage", "--json", "--watch", "--every", "0"), 2),
        (("history", "show", "none", "--json"), 2),
    ],
)
def test_with_json_every_error_is_one_object_on_stderr(
    arguments: tuple[str, ...], code: int, tmp_path: Path
) -> None:
    done = forks.run(
        codexapi(*arguments, "--demo"), env=environment(CODEXAPI_STATE_DIR=str(tmp_path)),
        cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        timeout=PATIENCE,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (code, "")
    error = json.loads(done.stderr)["error"]
    assert {"message", "type", "param", "code"} <= set(error)


@pytest.mark.parametrize(
    ("arguments", "keys"),
    [
        (("chat", "hi"), {"id", "text", "model", "finish_reason", "usage", "citations", "cid"}),
        (("chat", "--schema", "name", "hi"), {"text", "parsed"}),
        (("image", "fox", "-o", "fox.png"), {"images", "model", "usage"}),
        (("status",), {"logged_in", "plan", "base_url", "simulated", "limits", "servers"}),
        (("usage",), {"plan", "limit_reached", "primary", "secondary"}),
        (("models",), {"id", "object", "created", "owned_by"}),
        (("history",), {"cid", "title", "model", "created_at", "updated_at", "turns"}),
        (("history", "show"), {"cid", "title", "items"}),
    ],
)
def test_json_has_its_shape(arguments: tuple[str, ...], keys: set[str], tmp_path: Path) -> None:
    env = {"CODEXAPI_STATE_DIR": str(tmp_path / "state"), "CODEXAPI_NO_LOG": ""}
    if arguments[0] == "history":
        assert run("chat", "--demo", "hi", env=env).returncode == 0
    done = forks.run(
        codexapi(*arguments, "--json", "--demo"), env=environment(**env), cwd=tmp_path,
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=PATIENCE,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert keys <= set(told[0] if isinstance(told, list) else told)


@posix
def test_a_picture_is_not_written_to_a_terminal() -> None:
    code, said = shown("image", "--demo", "fox", "-o", "-")
    assert code == 2
    assert "a terminal is no place for a picture" in said
