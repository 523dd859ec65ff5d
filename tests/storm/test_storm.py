"""A handful of storms in the gate: fixed seeds, and one that nobody has played. More of them:
`python -m tests.storm --seeds N`."""

from __future__ import annotations

import secrets
import subprocess
import sys

import pytest
from tests.processes import ROOT
from tests.storm.login_store import STORES
from tests.storm.schedule import KINDS, schedule

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="forks, and sends POSIX signals"),
    pytest.mark.timeout(300),
]


SEEDS = [136, 137]


def test_a_seed_is_one_schedule_and_another_seed_another() -> None:
    assert str(schedule(7)) == str(schedule(7))
    assert schedule(7) == schedule(7) != schedule(8)


def test_nothing_is_lost_or_let_out_in_storms_of_every_kind_and_in_one_of_today() -> None:
    """Two schedules that have each kind of step among them, each place of a login, and each kind
    of client on a WebSocket; and one that nobody has played."""
    plans = [schedule(seed) for seed in SEEDS]
    steps = [step for plan in plans for step in plan.steps]
    assert {step.kind for step in steps} == set(KINDS)
    assert {plan.store for plan in plans} == set(STORES)
    assert {step.parameters.get("road") for step in steps} >= {"stdio", "http"}
    assert {step.parameters.get("fault") for step in steps} & {"home quota", "state quota"}
    questions = [each for step in steps for each in step.parameters.get("questions", ())]
    by_socket = [each for each in questions if each["socket"] and each["door"] == "responses"]
    assert {each["client"] for each in by_socket} >= {"normal", "slow", "vanish", "idle"}
    today = secrets.randbelow(10**9)
    print(f"\nseed {today}: python -m tests.storm --seed {today}")
    play(*SEEDS, today)


def play(*seeds: int) -> None:
    storm = [sys.executable, "-m", "tests.storm", "--jobs", "1"]
    storm += [word for seed in seeds for word in ("--seed", str(seed))]
    command = ["sh", "-c", "trap '' HUP INT QUIT; exec \"$@\"", "in the background", *storm]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
