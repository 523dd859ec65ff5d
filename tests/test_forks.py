"""A forked command is as one of an interpreter of its own: its streams, its terminal, its end."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from tests import forks, unix
from tests.cli.shell import PATIENCE, exit_code
from tests.loopback import loopback_only
from tests.processes import ROOT, codexapi, environment

if sys.platform != "linux":
    pytest.skip("no forks here", allow_module_level=True)


def started(*arguments: str, **options: object) -> forks.Popen[str]:
    process = forks.Popen(
        codexapi(*arguments), env=environment(), text=True, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options,
    )  # type: ignore[call-overload]  # fmt: skip
    assert isinstance(process, forks.Popen)
    return process


def test_a_command_reads_and_writes_and_ends_with_its_code(tmp_path: Path) -> None:
    with started("chat", "--demo", "-f", "none", "x", cwd=tmp_path) as process:
        assert process.communicate(timeout=PATIENCE)[0] == ""
        assert (process.is_forked, process.returncode) == (True, 7)
    with started("chat", "--demo", "-") as process:
        assert process.communicate("[[say Hi.]]", PATIENCE) == ("Hi.\n", "")
        assert (process.is_forked, process.poll()) == (True, 0)


def test_a_command_that_goes_on_can_be_waited_for_and_signalled() -> None:
    with started("simulate") as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("codexapi simulator on ")
        assert process.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0)
        process.send_signal(signal.SIGKILL)
        assert process.wait(PATIENCE) == -signal.SIGKILL


def test_a_terminal_is_the_commands_own() -> None:
    child = forks.spawn(
        codexapi("chat", "--demo", "-i", "--raw"), env=environment(TERM="xterm"), encoding="utf-8",
        timeout=PATIENCE, dimensions=(24, 40),
    )  # fmt: skip
    child.expect("> ")
    child.sendintr()
    child.sendeof()
    child.read()
    assert (child.ptyproc.is_forked, exit_code(child)) == (True, 0)


def test_another_interpreter_or_program_is_not_forked() -> None:
    for command, env in (
        (codexapi("--version"), environment(PYTHONUTF8="0")),
        ([sys.executable, "-c", "print('codexapi 0')"], environment()),
    ):
        with forks.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as process:
            assert process.communicate(timeout=PATIENCE)[0].startswith("codexapi ")
            assert not process.is_forked


def test_a_network_of_its_own_is_the_commands_too() -> None:
    with loopback_only():
        here = Path("/proc/thread-self/ns/net").readlink()
        with started("simulate") as process:
            assert process.is_forked
            assert process.stderr is not None
            assert process.stderr.readline().startswith("codexapi simulator on ")
            assert Path(f"/proc/{process.pid}/ns/net").readlink() == here
            process.kill()


def test_a_program_that_a_shell_starts_is_as_one_of_its_own(tmp_path: Path) -> None:
    def shell(script: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", "-c", script, "sh", *forks.for_shells()],
            cwd=tmp_path, env=environment(), input="[[say Hi.]]", capture_output=True, text=True,
            timeout=PATIENCE, check=False,
        )  # fmt: skip

    assert shell('"$@" chat --demo - | tr H h').stdout == "hi.\n"
    assert shell('"$@" chat --demo -f none x').returncode == 7
    ends = shell('"$@" simulate --port 0 2>told & until [ -s told ]; do :; done; kill $!; wait $!')
    assert (ends.returncode, ends.stderr) == (128 + signal.SIGTERM, "")


def test_a_program_of_a_shell_that_is_killed_leaves_nothing() -> None:
    command = [*forks.for_shells(), "simulate", "--port", "0"]
    with subprocess.Popen(command, env=environment(), stderr=subprocess.PIPE, text=True) as program:
        assert program.stderr is not None
        assert program.stderr.readline().startswith("codexapi simulator on ")
        program.kill()
        assert program.stderr.read() == ""  # its end comes when the fork has closed it too
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as killed_at_once:
        killed_at_once.connect(forks.server().address)
    done = subprocess.run(
        forks.for_shells("--version"), env=environment(), capture_output=True, check=True
    )
    assert done.stdout.startswith(b"codexapi ")


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone can mount")
def test_mounts_of_its_own_are_the_programs_too(tmp_path: Path) -> None:
    (tmp_path / "private").mkdir()
    script = 'mount -t tmpfs none private && echo "[[say Hi.]]" > private/q && "$@" -f private/q'
    command = forks.for_shells("chat", "--demo")
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-ec", script, "sh", *command], cwd=tmp_path, env=environment(),
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert (done.stdout, done.stderr, done.returncode) == ("Hi.\n", "", 0)
    assert list((tmp_path / "private").iterdir()) == []


async def test_a_loop_hears_what_a_command_writes_and_how_it_ends() -> None:
    streams = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    process = await forks.execute(*codexapi("chat", "--demo", "-"), env=environment(), **streams)
    assert await process.communicate(b"[[say Hi.]]") == (b"Hi.\n", b"")
    assert (type(process), process.returncode) == (forks.AsyncProcess, 0)
    process = await forks.execute(*codexapi("simulate"), env=environment(), **streams)
    assert (await process.stderr.readline()).startswith(b"codexapi simulator on ")
    process.kill()
    await process.communicate()
    assert await process.wait() == -signal.SIGKILL


def test_streams_are_as_the_variables_of_an_interpreter_say() -> None:
    """The same bytes from a fork and from an interpreter of its own."""
    written = [
        run(
            codexapi("nö"), env=environment(PYTHONIOENCODING="latin-1"), capture_output=True,
            stdin=subprocess.DEVNULL, timeout=PATIENCE, check=False,
        ).stderr
        for run in (forks.run, subprocess.run)
    ]  # fmt: skip
    assert written[0] == written[1]


def test_the_server_ends_in_peace_with_who_never_read_its_address(tmp_path: Path) -> None:
    line, other = unix.socket_pair()
    with subprocess.Popen(
        [sys.executable, "-m", "tests.fork_server", str(other.fileno())], cwd=ROOT,
        env=environment(PYTHONPATH=forks.PATHS, TMPDIR=str(tmp_path)), pass_fds=[other.fileno()],
        stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        other.close()
        select.select([line], [], [], PATIENCE)
        line.close()
        assert process.communicate(timeout=PATIENCE)[1] == ""
    assert (process.returncode, [*tmp_path.iterdir()]) == (0, [])
