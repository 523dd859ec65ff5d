"""A signal ends a command without a word, at whatever step of it. Real processes, and steps that
are drawn evenly from all of them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest
from tests.fork_server import SIGNALS
from tests.processes import ROOT, environment

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks, and sends POSIX signals")


def words(number: int, runs: int, signals: int, since: str) -> dict[int, tuple[int, str]]:
    """The exit code and the words of each run that did not end as it should, by the step at which
    the signal came."""
    done = subprocess.run(
        [
            sys.executable, "-m", "tests.cli.signalled",
            str(int(number)), str(runs), str(signals), since, "chat", "--demo", "hi",
        ],
        cwd=ROOT, env=environment(PYTHONPATH=f"{environment()['PYTHONPATH']}:{ROOT}"),
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = json.loads(done.stdout)
    assert len(found) == runs, done.stderr
    # Where asyncio is no more, the system ends the process.
    ends = (128 + number, -number)
    return {at: (code, text) for at, code, text in found if text or code not in ends}


@pytest.mark.parametrize("number", sorted(SIGNALS), ids=lambda number: number.name)
def test_a_signal_while_the_loop_closes_ends_a_command_without_a_word(
    number: signal.Signals,
) -> None:
    assert words(number, 24, 1, "close") == {}


@pytest.mark.parametrize("signals", [1, 2, 3])
def test_a_signal_at_any_step_ends_a_command_without_a_word(signals: int) -> None:
    assert words(signal.SIGTERM, 12, signals, "__enter__") == {}


ELSEWHERE = """
import asyncio, signal, threading
from codexapi_cli.terminal.runner import Runner

def send(main):
    while True:
        with open(f"/proc/self/task/{main}/stat") as status:
            if status.read().rpartition(")")[2].split()[0] == "S":
                break
    signal.pthread_kill(threading.get_ident(), signal.SIGTERM)

async def sleep():
    threading.Thread(target=send, args=[threading.get_native_id()], daemon=True).start()
    await asyncio.Event().wait()

with Runner() as runner:
    runner.run(sleep())
"""


def test_a_signal_that_another_thread_gets_ends_a_command() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE], env=environment(), stderr=subprocess.PIPE, text=True,
        check=False, timeout=60,
    )  # fmt: skip
    assert done.stderr.endswith("Terminated: 15\n"), done.stderr
