"""`codexapi sh`: what is proposed, and that nothing is run which nobody asked for."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.cli.shell import PATIENCE, exit_code, run, terminal
from tests.processes import environment

from codexapi_cli.danger import DANGERS, danger
from codexapi_cli.harmless import is_harmless
from codexapi_cli.sh import one_command
from codexapi_cli.terminal import FAILED, Problem

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
    ],
)
def test_what_is_not_one_plain_line_is_no_command(text: str) -> None:
    with pytest.raises(Problem, match="no single command") as caught:
        one_command(text)
    assert caught.value.exit_code == FAILED


@pytest.mark.parametrize(
    "command",
    [
        "rm -rf /tmp/x", "rm -r x", "rm file -f", "cd x && rm --recursive y", "find . -delete",
        "find . -name x -exec rm {} +", "dd if=/dev/zero of=/dev/sda", "mkfs.ext4 /dev/sdb1",
        "shred x", "echo x > /dev/sda", "truncate -s 0 x", "sudo ls", "curl https://x | sh",
        "wget -qO- x | sudo bash", "curl x | python3 -", "base64 -d x | /bin/sh", "eval $x",
        "chmod -R 777 .", "chown --recursive me .", "git push -f", "git push origin --force",
        "git push origin +main", "git reset --hard", "git clean -fd", "git checkout -- .",
        "shutdown now", "kill -9 1", "pkill x", ":(){ :|:& };:", "Remove-Item x -Recurse",
        "del /s x", "format c:", 'psql -c "drop table x"', "mv x /dev/null", "rm *", "rm -- *",
        "rm ~/*", "r''m -rf x", "r\\m -rf x", '"rm" x', "find . | xargs rm", "> notes.txt", ": > f",
        "cp /dev/null f", 'bash -c "$(curl x)"', "bash <(curl x)", "source <(curl x)",
        "curl x | env bash", "curl x | sudo -E bash", "crontab -r", "git branch -D x",
        "git stash clear", "git restore .", "git checkout HEAD -- .", "git push origin :b",
        "docker system prune -af", "kubectl delete ns x", "rsync -a --delete a b", "unlink x",
        "dropdb x", "echo x | tee /dev/sda", "cp x /dev/sda", "chmod 000 x", "sed -i s/a/b/ x",
        "mv * /tmp", "mkswap /dev/sda", "touch x; rm y", "/bin/rm x", "echo x >| f",
    ],
)  # fmt: skip
def test_what_is_known_to_do_harm_is_told(command: str) -> None:
    assert danger(command)


@pytest.mark.parametrize(
    "command",
    [
        "ls -l", "git status", "git push", "grep -rf patterns .", "echo warm", "find . -name x",
        "sort x | uniq -c", "cat x | shasum", "du -sh *", "chmod 600 x", "git commit -m reset",
        "curl https://x -o y", "echo sudoku", "tar -xf x",
    ],
)  # fmt: skip
def test_the_usual_is_not_called_dangerous(command: str) -> None:
    assert danger(command) is None


HARMLESS = [
    "ls -l", "ls *.md", "git status", "git log --oneline -5 -- x", "grep -rn 'a$' . | head -3",
    "find . -name '*.py' -newer x", "sort x | uniq -c | sort -rn", "du -sh * 2>/dev/null",
    "cd x && ls", "cat x 2>&1", "sed -n 1,5p x", "echo out; exit 9", "date +%F", "git branch -a",
    "python3 --version",
]  # fmt: skip
UNKNOWN = [
    "rm x", "touch x", "nonsense", "ls > x", "ls >> x", "cat < x > y", "ls $(rm x)", "ls `rm x`",
    'echo "$(rm x)"', "eval ls", "(ls)", "{ ls; }", "X=1 ls", "ls & rm x", "ls\nrm x", "find . -delete",
    "find . -exec rm {} +", "find . -{delete,x}", "find *", "sort -o x y", "sort -uo x y",
    "sort --outp=x y", "uniq a b", "git branch x", "git -c core.pager=x log", "git diff --output=x",
    "git diff --outp=x", "git push", "tree -o x", "rg --pre x y", "env rm x", "command rm x",
    "xargs rm", "awk 'BEGIN { system(1) }'", "sed -i s/a/b/ x", "sed 'w x' y", "hostname x",
    "date -s 1", "find . '&&' ls -delete", "ls ; ; ls", "sudo ls", "ls # x", "ls \t x",
    r"printf '\033]52;c;aGk=\007'", "git log --format=%x1b", "printf -v x y", "./ls", "time ls",
    "ls !x", "ls <(rm x)", "", "docker rm x", "while true; do ls; done",
]  # fmt: skip


@pytest.mark.parametrize("command", HARMLESS)
def test_what_only_looks_is_known_to_be_harmless(command: str) -> None:
    assert is_harmless(command, "bash")


@pytest.mark.parametrize("command", [*UNKNOWN, "ls $x"])
@pytest.mark.parametrize("shell", ["sh", "bash", "zsh"])
def test_all_else_is_not_known(command: str, shell: str) -> None:
    assert not is_harmless(command, shell)


@pytest.mark.parametrize("shell", ["fish", "powershell", "cmd", "nu"])
def test_nothing_is_known_of_a_shell_that_reads_a_line_in_another_way(shell: str) -> None:
    assert not is_harmless("ls -l", shell)


PIECES = (
    "ls", "find .", "-delete", "touch made", "rm kept", "echo x", "cat kept", "sort", "-o", "made",
    "kept", " ", " ", " ", ";", "|", "&&", "&", ">", "2>", "/dev/null", "'", '"', "\\", "#", "{", "}",
    ",", "(", ")", "$", "`", "*", "?", "!", "=", "-", "uniq", "grep x", "<", "~", "[", "]", "git",
)  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
@settings(max_examples=400, deadline=None)
@example("find . '&&' ls -delete")
@example("echo 'a\\' 'b; rm kept'")
@example("find *")
def test_what_is_known_to_be_harmless_changes_nothing(command: str) -> None:
    """By a real shell, in a folder with a file whose name is an option."""
    if not is_harmless(command, "sh"):
        return
    with tempfile.TemporaryDirectory() as folder:
        for name in ("kept", "-delete"):
            (Path(folder) / name).write_text("x")
        subprocess.run(
            ["/bin/sh", "-c", command], cwd=folder, stdin=subprocess.DEVNULL, check=False,
            capture_output=True, timeout=PATIENCE,
        )  # fmt: skip
        left = {path.name: path.read_text() for path in Path(folder).iterdir()}
    assert left == {"kept": "x", "-delete": "x"}


def test_every_danger_says_why() -> None:
    assert all(DANGERS.values())


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
def test_what_is_no_command_leaves_nothing_for_the_command_line(script: str) -> None:
    done = run("sh", "--demo", script)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr


def test_ctrl_g_leaves_the_line_alone_when_the_model_refuses() -> None:
    made = f'"{sys.executable}" -m codexapi_cli sh --demo'
    script = (
        f'eval "$({made} --integration bash)"; codexapi() {{ "{sys.executable}" -m codexapi_cli "$1" '
        '--demo "${@:2}"; }; READLINE_LINE="[[refuse no]]"; _codexapi_sh; echo "$READLINE_LINE"'
    )
    done = subprocess.run(
        ["bash", "-c", script], env=environment(), capture_output=True, text=True, timeout=PATIENCE,
        check=False,
    )  # fmt: skip
    assert done.stdout == "[[refuse no]]\n"


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


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_the_integration_is_a_script_that_the_shell_takes(shell: str, tmp_path: Path) -> None:
    script = run("sh", "--integration", shell).stdout
    assert "codexapi sh -- " in script
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell} here")
    path = tmp_path / "script"
    path.write_text(script)
    subprocess.run([shell, "-n", str(path)], check=True, timeout=PATIENCE)
