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

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="forks, and sends POSIX signals"),
    pytest.mark.timeout(600),  # for the first of them, which waits for all runs
]


Plan = tuple[int, int, int, str]
CLOSING = {number: (int(number), 24, 1, "close") for number in sorted(SIGNALS)}
ANY_STEP = {count: (int(signal.SIGTERM), 12, count, "__enter__") for count in (1, 2, 3)}


@pytest.fixture(scope="module")
def outcomes() -> dict[Plan, dict[int, tuple[int, str]]]:
    """For each plan the exit code and the words of each run that did not end as it should, by the
    step at which the signal came. One process plays them all: it imports codexapi once."""
    plans = [*CLOSING.values(), *ANY_STEP.values()]
    done = subprocess.run(
        [sys.executable, "-m", "tests.cli.signalled", json.dumps(plans), "chat", "--demo", "hi"],
        cwd=ROOT, env=environment(PYTHONPATH=f"{environment()['PYTHONPATH']}:{ROOT}"),
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True,
    )  # fmt: skip
    runs_of = dict(zip(plans, json.loads(done.stdout), strict=True))
    assert {plan: len(runs) for plan, runs in runs_of.items()} == {
        plan: plan[1] for plan in plans
    }, done.stderr
    return {plan: _wrong(plan[0], runs) for plan, runs in runs_of.items()}


def _wrong(number: int, runs: list[tuple[int, int, str]]) -> dict[int, tuple[int, str]]:
    # Where asyncio is no more, the system ends the process.
    ends = (128 + number, -number)
    return {at: (code, text) for at, code, text in runs if text or code not in ends}


@pytest.mark.parametrize("number", CLOSING, ids=lambda number: number.name)
def test_a_signal_while_the_loop_closes_ends_a_command_without_a_word(
    number: signal.Signals, outcomes: dict[Plan, dict[int, tuple[int, str]]]
) -> None:
    assert outcomes[CLOSING[number]] == {}


@pytest.mark.parametrize("signals", ANY_STEP)
def test_a_signal_at_any_step_ends_a_command_without_a_word(
    signals: int, outcomes: dict[Plan, dict[int, tuple[int, str]]]
) -> None:
    assert outcomes[ANY_STEP[signals]] == {}


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
