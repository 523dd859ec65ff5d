"""Standard streams that are full, closed, sockets, or of a narrow encoding; and words with dashes."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from tests import forks
from tests.cli.shell import PATIENCE, exit_code, run, terminal
from tests.cli.test_matrix import asked, dry
from tests.processes import codexapi, environment

from codexapi_engine.bounds import MAX_FILE_BYTES

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX descriptors")


def by_shell(redirection: str, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """A command whose streams a shell opens or closes."""
    return subprocess.run(
        ["sh", "-c", f'exec "$@" {redirection}', "sh", *codexapi(*arguments)],
        env=environment(**env), stdin=subprocess.DEVNULL, capture_output=True, text=True,
        check=False, timeout=PATIENCE,
    )  # fmt: skip


def onto_full_device(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """A command whose stdout takes nothing."""
    with open("/dev/full", "w") as full:
        return forks.run(
            codexapi(*arguments), env=environment(**env), stdin=subprocess.DEVNULL, stdout=full,
            stderr=subprocess.PIPE, text=True, timeout=PATIENCE,
        )  # fmt: skip


def keeping(folder: Path) -> dict[str, str]:
    return {"CODEXAPI_NO_LOG": "", "CODEXAPI_STATE_DIR": str(folder / "state")}


# stdout and stderr

WRITERS = [
    "chat --demo hello", "chat --demo --json hello", "chat --demo --stream-json hello",
    "chat --demo -x hello", "chat --dry-run -m m hello", "image --demo -o - fox", "models --demo",
    "models --demo --json", "usage --demo", "status --demo", "config", "config --json",
    "history path", "history --demo --json", "mcp list", "setup", "service print",
    "sh --demo [[say ls]]", "completion bash", "simulate --list", "--version", "--help",
    "chat --help",
]  # fmt: skip


@posix
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="has no full device")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("command", WRITERS)
def test_a_full_stdout_is_one_line_and_a_code_of_its_own(
    command: str, unbuffered: str, tmp_path: Path
) -> None:
    (tmp_path / ".cursor").mkdir()  # a client for `mcp list`
    home = str(tmp_path)
    done = onto_full_device(*command.split(), PYTHONUNBUFFERED=unbuffered, HOME=home)
    assert done.returncode == 7
    assert [line for line in done.stderr.splitlines() if "No space left on device" in line]
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


@posix
@pytest.mark.parametrize("command", ["chat --demo hello", "models --demo", "--version", "--help"])
def test_a_closed_stdout_is_one_line(command: str) -> None:
    done = by_shell(">&-", *command.split())
    assert (done.returncode, done.stderr.count("\n")) == (7, 1)
    assert done.stderr.startswith("codexapi: stdout: ")


@posix
@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full"])
@pytest.mark.parametrize(
    ("command", "code"), [("chat --demo --show-reasoning [[say Hi.]]", 0), ("chat --demo -f no", 7)]
)
def test_a_stderr_that_takes_nothing_changes_nothing(
    command: str, code: int, redirection: str
) -> None:
    done = by_shell(redirection, *command.split())
    assert (done.returncode, done.stderr) == (code, "")
    assert done.stdout == ("Hi.\n" if code == 0 else "")


@posix
def test_no_file_takes_the_place_of_a_closed_stream(tmp_path: Path) -> None:
    """What is printed would be written into it."""
    done = by_shell("<&- >&- 2>&-", "chat", "--demo", "[[say Hi.]]", **keeping(tmp_path))
    assert done.returncode == 7
    kept = run("history", "--demo", "--json", env=keeping(tmp_path))
    assert [head["title"] for head in json.loads(kept.stdout)] == ["[[say Hi.]]"]


@posix
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="has no full device")
@pytest.mark.parametrize("more", [(), ("--json",), ("--stream-json",), ("-x",), ("--raw",)])
def test_an_answer_that_stdout_does_not_take_is_kept(more: tuple[str, ...], tmp_path: Path) -> None:
    done = onto_full_device("chat", "--demo", *more, "[[long 50]]", **keeping(tmp_path))
    assert done.returncode == 7
    command = re.search(r"the answer is kept: codexapi ([a-z0-9 -]+)", done.stderr)
    assert command
    shown = run(*command[1].split(), env=keeping(tmp_path))
    assert shown.stdout.endswith(" 49 50\n")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-16"])
@pytest.mark.parametrize(
    "command", ["chat --help", "chat --demo [[say 日本]]", "usage --demo", "models --demo", "nö"]
)
def test_a_narrow_encoding_breaks_nothing(command: str, encoding: str) -> None:
    done = forks.run(
        codexapi(*command.split()), env=environment(PYTHONIOENCODING=encoding), stdin=subprocess.DEVNULL,
        capture_output=True, check=False, timeout=PATIENCE,
    )  # fmt: skip
    assert b"Traceback" not in done.stderr
    assert done.returncode == (2 if command == "nö" else 0)
    if "日本" in command:
        assert done.stdout.decode() == "日本\n"


@posix
@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "utf-8"])
@pytest.mark.parametrize("name", ["日本.png", os.fsdecode(b"\xff\x9b.png")])
def test_the_name_of_a_picture_is_told_byte_for_byte(
    name: str, encoding: str, tmp_path: Path
) -> None:
    done = forks.run(
        codexapi("image", "--demo", "fox", "-o", name), cwd=tmp_path, capture_output=True,
        env=environment(PYTHONIOENCODING=encoding), stdin=subprocess.DEVNULL, check=False,
        timeout=PATIENCE,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    assert Path(os.fsdecode(done.stdout.removesuffix(b"\n"))).stat().st_size


@posix
def test_a_prompt_that_the_encoding_lacks_ends_no_talk() -> None:
    with terminal("chat", "--demo", "-i", "--raw", env={"PYTHONIOENCODING": "ascii"}) as child:
        child.expect("> ")
        child.sendline("[[say \\")
        child.sendline("two lines]]")
        child.expect(r"two lines\r\n.*> ")
        child.sendline("/bye")
        child.read()
        assert exit_code(child) == 0


# stdin


@posix
@pytest.mark.parametrize("words", [("count",), ("count", "-"), ("-",), (), ("-a", "-", "count")])
def test_a_socket_that_has_something_is_read(words: tuple[str, ...]) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(b"alpha beta\n")
        ours.shutdown(socket.SHUT_WR)
        done = dry(*words, stdin=theirs)
    assert (done.returncode, done.stderr) == (0, "")
    assert "alpha beta" in asked(done.stdout)


@posix
def test_a_socket_is_waited_for_where_it_is_named() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        process = forks.Popen(
            codexapi("chat", "--dry-run", "-m", "m", "-"), env=environment(), text=True,
            stdin=theirs.fileno(), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        assert process.stderr is not None
        assert "waiting for stdin" in process.stderr.readline()
        ours.sendall(b"late")
        ours.shutdown(socket.SHUT_WR)
        answer, _ = process.communicate(timeout=PATIENCE)
    assert asked(answer) == "late"


def test_a_dash_between_words_is_a_word() -> None:
    assert asked(dry("5", "-", "3", stdin=subprocess.DEVNULL).stdout) == "5 - 3"


@posix
@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node")
@pytest.mark.parametrize("command", ["chat --dry-run -m m count", "chat --dry-run -m m -"])
def test_what_node_pipes_in_is_read(command: str) -> None:
    script = (
        "const [program, ...words] = JSON.parse(process.argv[1]);"
        "const r = require('child_process').spawnSync(program, words, {input: 'alpha beta\\n'});"
        "process.stdout.write(r.stdout)"
    )
    done = subprocess.run(
        ["node", "-e", script, json.dumps(forks.for_shells(*command.split()))], env=environment(),
        capture_output=True, text=True, check=True, timeout=PATIENCE,
    )  # fmt: skip
    assert "alpha beta" in asked(done.stdout)


@posix
def test_a_terminal_is_read_to_its_end_where_it_is_named() -> None:
    with terminal("chat", "--demo", "--raw", "-") as child:
        child.sendline("[[say From here.]]")
        child.sendeof()
        assert "From here." in child.read().replace("[[say From here.]]", "")
        assert exit_code(child) == 0


@pytest.mark.parametrize("words", [("chat", "-"), ("chat",), ("sh",)])
@pytest.mark.parametrize("stdin", [b"", b" \n", None])
def test_nothing_to_ask_is_one_line_for_a_script(
    words: tuple[str, ...], stdin: bytes | None
) -> None:
    done = run(*words, "--demo", stdin=stdin)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("command", ["chat --demo x", "chat --demo -", "image --demo -o x.png -"])
def test_stdin_has_the_bound_of_files(command: str, tmp_path: Path) -> None:
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    with large.open("rb") as file:
        done = forks.run(
            codexapi(*command.split()), env=environment(), cwd=tmp_path, stdin=file,
            capture_output=True, text=True, check=False, timeout=PATIENCE,
        )  # fmt: skip
    assert (done.returncode, done.stdout) == (7, "")
    assert done.stderr == f"codexapi: stdin: it has more than {MAX_FILE_BYTES >> 20} MiB\n"


@posix
@pytest.mark.parametrize("command", ["chat --dry-run -m m count", "chat --dry-run -m m -"])
def test_a_pipe_that_does_not_block_is_read_to_its_end(command: str) -> None:
    """As some programs leave the pipes of their children."""
    if sys.platform == "win32":
        pytest.skip("Windows has none of this")
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    process = forks.Popen(
        codexapi(*command.split()), env=environment(), text=True, stdin=reader,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    os.close(reader)
    assert process.stderr is not None
    os.write(writer, b"alpha")
    if command.endswith("-"):
        assert "stdin has not ended" in process.stderr.readline()
    os.write(writer, b" beta\n")
    os.close(writer)
    answer, _ = process.communicate(timeout=PATIENCE)
    assert "alpha beta" in asked(answer)


@posix
@pytest.mark.parametrize("command", ["chat --demo hi", "sh --demo hi", "chat --dry-run -m m -"])
def test_whoever_waits_for_stdin_says_so(command: str) -> None:
    with forks.Popen(
        codexapi(*command.split()), env=environment(), text=True, stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdin is not None
        assert process.stderr is not None
        told = process.stderr.readline()
        process.stdin.write("x")
        process.stdin.close()
    assert process.returncode == 0
    without = "" if command.endswith("-") else "; --no-stdin does without"
    assert told == f"codexapi: waiting for stdin{without}\n"


def test_a_command_leaves_stdin_alone_where_it_is_told_to() -> None:
    with forks.Popen(
        codexapi("sh", "--demo", "--no-stdin", "[[say ls]]"), env=environment(), text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.read() == "ls\n"


# Words

DASHED = ["- summarise these", "-5 + 3 = ?", "--answer briefly, please", "-x is what?", "-\nx"]


@pytest.mark.parametrize("word", DASHED)
@pytest.mark.parametrize("before", [(), ("-s", "- be brief"), ("--effort=low",)])
def test_a_word_with_a_dash_and_a_blank_is_a_question(word: str, before: tuple[str, ...]) -> None:
    done = dry(*before, word, "please", stdin=subprocess.DEVNULL)
    assert (done.returncode, done.stderr) == (0, "")
    assert asked(done.stdout) == f"{word} please"
    if "-s" in before:
        assert json.loads(done.stdout)["body"]["instructions"] == "- be brief"


@pytest.mark.parametrize("word", DASHED)
def test_such_a_question_needs_no_command(word: str) -> None:
    done = run("-q", "--color", "never", word, "--demo")
    assert (done.returncode, done.stderr) == (0, "")
    assert word in done.stdout


@pytest.mark.parametrize("word", DASHED)
def test_so_it_is_with_pictures_and_commands(word: str, tmp_path: Path) -> None:
    picture = tmp_path / "x.png"
    assert run("image", "--demo", word, "-o", str(picture)).returncode == 0
    assert "refused" in run("sh", "--demo", word, "[[refuse no]]").stderr


@pytest.mark.parametrize("value", ["-sbe brief", "--system=be brief"])
def test_an_option_with_its_value_in_one_word_stays_one(value: str) -> None:
    done = dry(value, "x", stdin=subprocess.DEVNULL)
    assert json.loads(done.stdout)["body"]["instructions"] == "be brief"
    assert asked(done.stdout) == "x"


@pytest.mark.parametrize("command", ["chat", "sh", "image"])
def test_an_unknown_option_shows_how_to_ask_such_words(command: str) -> None:
    done = run(command, "--demo", "--nonsense")
    assert done.returncode == 2
    assert f'codexapi {command} -- "--nonsense' in done.stderr


def words_in(encoding: str, *words: bytes) -> dict[str, str]:
    """What is asked by these bytes, where the system has this encoding."""
    utf8 = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"} if encoding == "C" else {}
    done = subprocess.run(
        [*map(os.fsencode, codexapi("chat", "--dry-run", "-m", "m", "--no-stdin")), *words],
        env=environment(LC_ALL=encoding, **utf8), capture_output=True, check=True,
        stdin=subprocess.DEVNULL, timeout=PATIENCE,
    )  # fmt: skip
    body: dict[str, str] = json.loads(done.stdout)["body"]
    return {**body, "text": asked(done.stdout.decode())}


@posix
@pytest.mark.parametrize("encoding", ["C", "C.UTF-8"])
def test_words_are_utf_8_whatever_the_encoding_of_the_system(encoding: str) -> None:
    assert words_in(encoding, "日本 é".encode())["text"] == "日本 é"
    assert words_in(encoding, b"bad \xff byte")["text"] == "bad \ufffd byte"
    assert words_in(encoding, b"-s", "sei höflich".encode(), b"x")["instructions"] == "sei höflich"


@posix
@pytest.mark.parametrize("name", ["日本.md".encode(), b"\xff\x9b.md"])
@pytest.mark.parametrize("encoding", ["C", "C.UTF-8"])
def test_files_are_found_by_any_name(encoding: str, name: bytes, tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/" + name
    with open(path, "w") as file:
        file.write("inside")
    assert "inside" in words_in(encoding, b"-f", path, b"x")["text"]
    assert "inside" in words_in(encoding, b"-a", path, b"x")["text"]


def test_after_two_dashes_all_is_a_question() -> None:
    assert asked(dry("--", "--json", "- x", stdin=subprocess.DEVNULL).stdout) == "--json - x"
