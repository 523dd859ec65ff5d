"""`codexapi sh`: what is proposed, and that nothing is run which nobody asked for."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.cli.shell import PATIENCE, exit_code, run, terminal
from tests.processes import environment

from codexapi_cli.commands.sh import CHOICE, one_command
from codexapi_cli.shell.read_only import changes_nothing
from codexapi_cli.terminal.output import FAILED, Problem
from codexapi_engine.simulator import commands

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="runs a POSIX shell")

SHELL = {"SHELL": "/bin/sh"}

UNSEEN = (
    "\u200b\u200c\u200d\u200e\u200f\u2060\u2063\u202e\u2066\u00ad\ufeff\u180e\u115f\u3164\u034f\ufe0f\u2028"
    "\U000e0041\U000e0101\u00a0"
)


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("ls -l", "ls -l"),
        ("  ls -l\n", "ls -l"),
        ("```sh\nls -l\n```", "ls -l"),
        ("Here:\n\n```\nls\n```\n\nIt lists.", "ls"),
        ("`ls`", "ls"),
        ("$ ls", "ls"),
        ("echo `date`", "echo `date`"),
        ("echo naïve", "echo naïve"),
        ("for f in *; do\n  echo $f\ndone", "for f in *; do\n  echo $f\ndone"),
        ("```sh\n# all of it\nls \\\r\n  -l |\nwc\n```", "# all of it\nls \\\n  -l |\nwc"),
        ("cat <<E\nSome words of a text\nE", "cat <<E\nSome words of a text\nE"),
        ("cd ..", "cd .."),
        ("docker compose up", "docker compose up"),
    ],
)
def test_one_command_is_found_in_an_answer(text: str, command: str) -> None:
    assert one_command(text) == command


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ls\npwd",
        "```\nls\npwd\n```",
        "ls\x00",
        "ls\x1b[2J",
        "ls\rrm",
        "echo \u202eabc",
        *(f"ls {letter}x" for letter in UNSEEN),
        "I can't help with that.",
        "Sure! Run ls to list the files.",
        "Hello there, my friend",
        "Sorry.",
        "I can't.",
        "you can use ls -l here",
        "Désolé, je ne peux pas.",
        "申し訳ありませんが、できません。",
        "ls -l\n\nThis lists the files.",
        "ls -l\nThis lists the files",
        "$ ls\n$ pwd",
        "```\nls\n\npwd\n```",
    ],
)
def test_what_is_not_one_plain_line_is_no_command(text: str) -> None:
    with pytest.raises(Problem, match="no single command") as caught:
        one_command(text)
    assert caught.value.exit_code == FAILED


def test_in_a_pipe_it_is_printed_and_not_run(tmp_path: Path) -> None:
    made = tmp_path / "made"
    done = run("sh", "--demo", f"[[say touch {made}]]", env=SHELL)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"touch {made}\n", "")
    assert not made.exists()


def test_no_words_are_no_request_even_with_something_piped_in() -> None:
    done = run("sh", "--demo", stdin=b"[[say ls]]")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)


def test_more_than_one_line_is_a_failure_and_shown_whole() -> None:
    lines = "\n".join(f"echo {n} {'x' * 40}" for n in range(10))
    done = run("sh", "--demo", f"[[say {lines}]]")
    assert (done.returncode, done.stdout) == (1, "")
    assert f"no single command, but: {lines}\n" in done.stderr


@pytest.mark.parametrize(
    "script",
    ["[[refuse I will not.]]", "[[say ``]]", "[[say I cannot do that.]]", "[[incomplete]]"],
)
@pytest.mark.parametrize("more", [(), ("-y",), ("--describe",)])
def test_what_is_no_command_leaves_nothing_for_the_command_line(
    script: str, more: tuple[str, ...]
) -> None:
    done = run("sh", "--demo", *more, script)
    assert (done.returncode, done.stdout) == (9 if "incomplete" in script else 1, "")
    assert done.stderr


def test_run_runs_and_has_the_exit_code_of_the_command() -> None:
    done = run("sh", "--demo", "-y", "[[say echo out; exit 9]]", env=SHELL)
    assert (done.returncode, done.stdout, done.stderr) == (9, "out\n", "echo out; exit 9\n")


def test_run_does_not_run_what_is_dangerous_without_a_person(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.touch()
    done = run("sh", "--demo", "-y", f"[[say rm -f {kept}]]", env=SHELL)
    assert (done.returncode, done.stdout) == (1, "")
    assert "it deletes files" in done.stderr
    assert kept.exists()


def test_run_does_not_run_what_is_unknown_without_a_person(tmp_path: Path) -> None:
    made = tmp_path / "made"
    done = run("sh", "--demo", "-y", f"[[say touch {made}]]", env=SHELL)
    assert (done.returncode, done.stdout) == (1, "")
    assert "not known to be harmless" in done.stderr
    assert not made.exists()


def test_run_asks_about_what_is_unknown(tmp_path: Path) -> None:
    made = tmp_path / "made"
    with asked(f"touch {made}", "-y") as child:
        assert not made.exists()
        child.sendline("run")
        child.read()
        assert exit_code(child) == 0
    assert made.exists()


@pytest.mark.parametrize("shell", ["/opt/nowhere/bin/bash", "/opt/nowhere/bin/noshell"])
def test_a_shell_that_is_elsewhere_is_found_and_one_that_is_nowhere_is_named(shell: str) -> None:
    with asked("echo ran", SHELL=shell) as child:
        child.sendline("r")
        said = child.read()
        code = exit_code(child)
    assert "Traceback" not in said
    found = shell.endswith("/bash")
    assert found == ("SHELL is /opt/nowhere/bin/bash, which is not there" in said)
    assert code == (0 if found else 7)
    assert ("\r\nran\r\n" if found else "there is no noshell to run it") in said


@contextmanager
def asked(command: str, *options: str, **env: str) -> Iterator[Any]:
    """A terminal on which this command has been proposed, and the question asked."""
    with terminal("sh", "--demo", *options, f"[[say {command}]]", env={**SHELL, **env}) as child:
        child.expect("bort: ")
        yield child


@pytest.mark.parametrize(
    "answer", ["", "a", "abort", "x\ra", "remove it\ra", "reject\rno", "rm\rq", "rr\r", "\x04"]
)
def test_abort_is_the_default(answer: str, tmp_path: Path) -> None:
    made = tmp_path / "made"
    with asked(f"touch {made}") as child:
        child.send(answer if answer == "\x04" else f"{answer}\r")
        child.read()
        assert exit_code(child) == 0
    assert not made.exists()


def test_ctrl_c_runs_nothing(tmp_path: Path) -> None:
    made = tmp_path / "made"
    with asked(f"touch {made}") as child:
        child.sendintr()
        child.read()
        assert exit_code(child) == 130
    assert not made.exists()


def test_it_is_run_when_the_person_says_so() -> None:
    with asked("echo $((40 + 2)); exit 9") as child:
        child.sendline("r")
        child.expect("42\r\n")
        child.read()
        assert exit_code(child) == 9


@pytest.mark.parametrize(("word", "gone"), [("yes", True), ("y", False), ("", False)])
@pytest.mark.parametrize("at_once", [True, False])
def test_what_is_dangerous_needs_a_typed_yes(
    word: str, gone: bool, at_once: bool, tmp_path: Path
) -> None:
    victim = tmp_path / "victim"
    victim.touch()
    options = ("-y",) if at_once else ()
    with terminal("sh", "--demo", *options, f"[[say rm -f {victim}]]", env=SHELL) as child:
        if not at_once:
            child.expect("bort: ")
            child.sendline("r")
        child.expect("Careful: it deletes files. Type yes to run it: ")
        child.sendline(word)
        if not gone:
            child.expect("bort: ")
            child.sendline("a")
        child.read()
        assert exit_code(child) == 0
    assert victim.exists() is not gone


def test_it_can_be_edited_before_it_is_run() -> None:
    with asked("echo one") as child:
        child.sendline("e")
        child.expect("> echo one")
        child.sendline("two")
        child.expect("echo onetwo\r\n.*bort: ")
        child.sendline("r")
        child.expect("\nonetwo\r\n")
        child.read()
        assert exit_code(child) == 0


def test_the_model_revises_it_after_a_word_on_what_should_change() -> None:
    with asked("echo one") as child:
        child.sendline("d")
        child.expect("abort: ")
        child.sendline("v")
        child.expect("change[?] ")
        child.sendline("[[say no such thing as that.]]")
        child.expect("no single command")
        child.expect("abort: ")
        child.sendline("v")
        child.expect("change[?] ")
        child.sendline("[[say echo two]]")
        child.expect("abort: ")
        child.sendline("r")
        child.expect("\ntwo\r\n")
        child.read()
        assert exit_code(child) == 0


def test_it_can_be_described() -> None:
    with asked("ls -l") as child:
        child.sendline("d")
        child.expect("simulated.*bort: ")
        child.sendline("a")
        child.read()


def test_it_can_be_copied(tmp_path: Path) -> None:
    program = tmp_path / "pbcopy"
    program.write_text(f'#!/bin/sh\nexec cat > "{tmp_path}/copied"\n')
    program.chmod(0o755)
    with asked("ls -l", PATH=f"{tmp_path}:/usr/bin:/bin") as child:
        child.sendline("c")
        assert "copied, by pbcopy" in child.read()
        assert exit_code(child) == 0
    assert (tmp_path / "copied").read_text() == "ls -l"


def test_the_terminal_is_asked_to_copy_where_no_program_can(tmp_path: Path) -> None:
    with asked("ls -l", PATH=str(tmp_path)) as child:
        child.sendline("copy")
        said = child.read()
    assert "\x1b]52;c;bHMgLWw=\x07" in said
    assert "not every terminal" in said


def test_the_terminal_behind_tmux_is_asked_in_an_envelope(tmp_path: Path) -> None:
    with asked("ls -l", PATH=str(tmp_path), TMUX="/nowhere,1,0") as child:
        child.sendline("c")
        assert "\x1bPtmux;\x1b\x1b]52;c;bHMgLWw=\x07\x1b\\" in child.read()


@pytest.mark.skipif(shutil.which("tmux") is None, reason="needs tmux")
def test_tmux_has_what_was_copied_in_it(tmp_path: Path) -> None:
    import pexpect

    env = environment(**SHELL, TERM="xterm")
    tmux = ["tmux", "-S", str(tmp_path / "socket"), "-f", "/dev/null"]
    words = f'"{sys.executable}" -m codexapi_cli sh --demo "[[say ls -l]]"; echo "en""ded"; cat'
    child = pexpect.spawn(
        tmux[0], [*tmux[1:], "new-session", words], env=env, encoding="utf-8", timeout=PATIENCE
    )
    try:
        child.expect("bort: ")
        child.send("c\r")
        child.expect("ended")
        done = subprocess.run(
            [*tmux, "show-buffer"], env=env, capture_output=True, text=True, check=False
        )
        assert done.stdout == "ls -l"
    finally:
        subprocess.run([*tmux, "kill-server"], env=env, capture_output=True, check=False)
        child.close(force=True)


def test_the_person_is_asked_on_the_terminal_when_stdin_is_a_pipe() -> None:
    import pexpect  # Windows has none

    line = f'echo data | "{sys.executable}" -m codexapi_cli sh --demo "[[say echo ran]]"'
    env = environment(**SHELL, TERM="xterm")
    child = pexpect.spawn("/bin/sh", ["-c", line], env=env, encoding="utf-8", timeout=PATIENCE)
    try:
        child.expect("bort: ")
        child.sendline("r")
        child.expect("\nran\r\n")
        child.read()
    finally:
        child.close(force=True)


def test_a_word_that_is_no_choice_is_told_and_asked_about_again(tmp_path: Path) -> None:
    with asked(f"touch {tmp_path}/made") as child:
        child.sendline("remove it")
        child.expect("remove it: expected one of r, e, v, d, c and a")
        child.expect("bort: ")
        child.sendline("")
        child.read()
        assert exit_code(child) == 0


def test_the_choice_says_that_it_wants_enter() -> None:
    with terminal("sh", "--demo", "[[say ls]]", env=SHELL) as child:
        child.expect("r run, .*, then Enter; Enter to abort: ")


def test_a_command_of_several_lines_is_shown_and_run_whole() -> None:
    with asked("for n in one two; do\n  echo $n-$n\ndone") as child:
        assert "  echo $n-$n\r\ndone\r\n" in child.before
        child.sendline("r")
        child.expect("one-one\r\ntwo-two\r\n")
        child.read()


def test_a_command_of_several_lines_is_never_run_at_once() -> None:
    done = run("sh", "--demo", "-y", "[[say ls |\nwc]]", env=SHELL)
    assert (done.returncode, done.stdout) == (1, "")
    assert "not known to be harmless" in done.stderr


def test_words_of_another_encoding_arrive() -> None:
    env = {**SHELL, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = run("sh", "--demo", "-y", "[[say echo 日本]]", env=env)
    assert (done.returncode, done.stdout) == (0, "日本\n")


@pytest.mark.parametrize(
    ("words", "command"),
    [
        ("list big files", "ls -lS | head"),
        ("show the disk space", "df -h"),
        ("which files are new?", "ls -lt | head"),
        ("count the lines", "wc -l *"),
        ("- what listens here", "ss -tln"),
        ("xyzzy", "ls -l"),
    ],
)
def test_the_demo_answers_with_a_command_that_only_looks(words: str, command: str) -> None:
    done = run("sh", "--demo", "--shell", "bash", words)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{command}\n", "")
    assert changes_nothing(command, "bash")


def test_all_commands_of_the_demo_only_look() -> None:
    assert not [line for _, line in commands.COMMANDS if not changes_nothing(line, "bash")]


def test_a_chat_about_commands_is_no_command() -> None:
    assert "simulated" in run("chat", "--demo", "list big files").stdout
    assert "simulated" in run("chat", "--demo", "-s", "Be one command line.", "list files").stdout


def test_ctrl_c_is_for_the_command_that_runs() -> None:
    with asked("trap 'echo caught' INT; echo begun; read x; read x; echo after-$x") as child:
        child.sendline("r")
        child.expect("\nbegun")
        child.sendintr()
        child.expect("caught")
        child.sendline("one")
        child.sendline("two")
        child.expect("after-")
        child.read()
        assert exit_code(child) == 0


@pytest.mark.parametrize(("command", "code"), [("kill -INT $$", 130), ("kill -PIPE $$", 141)])
def test_a_signal_that_ends_the_command_is_its_exit_code(command: str, code: int) -> None:
    with asked(command) as child:
        child.sendline("r")
        child.expect("Type yes to run it: ")
        child.sendline("yes")
        child.read()
        assert exit_code(child) == code


def test_who_has_no_shell_has_sh() -> None:
    done = run("sh", "--demo", "-y", "[[say echo ran]]", env={"SHELL": "/usr/sbin/nologin"})
    assert (done.returncode, done.stdout) == (0, "ran\n")


def test_the_choice_leaves_room_for_the_word_run_on_a_terminal_of_80_columns() -> None:
    assert len(CHOICE) + len("run") < 80
