"""The fault matrix at the command line: exit code, stdout and stderr of `chat` and `image`.

All faults in this process; a sample as processes of their own, and with `-m long` all of them.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from tests import forks
from tests.matrix import picture_faults
from tests.matrix.doors import attempts, faulty
from tests.matrix.elsewhere import Elsewhere, Ended, at_the_command_line, settings
from tests.matrix.faults import AFTERWARDS, ANSWER, FAULTS, NOW, Broken, Fault, Refused, Whole
from tests.matrix.picture_faults import PICTURE, WHOLE_FAULTS, waiting
from tests.processes import codexapi, environment

pytestmark = pytest.mark.timeout(120)

SAMPLE = ["ok", "http_401_once", "http_429_usage", "http_500", "stall_mid", "rst_mid", "failed"]
"""One of each end."""


def command(prompt: str) -> list[str]:
    return ["chat", "-m", "gpt-6.1-sol", "--no-stdin", prompt]


def timeout(fault: Fault) -> float:
    return float(fault.settings.get("timeout", 60.0))


@pytest.mark.parametrize("name", FAULTS)
def test_fault(
    elsewhere: Elsewhere,
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    fault = FAULTS[name]
    with elsewhere.open(faulty(fault)) as backend:
        now, afterwards = (
            at_the_command_line(
                command(prompt), tmp_path, backend.url, monkeypatch, capfdbinary,
                timeout=timeout(fault),
            )
            for prompt in (NOW, AFTERWARDS)
        )  # fmt: skip
    assert_shown(fault, now)
    assert attempts(backend) == fault.attempts
    assert afterwards == (0, f"{ANSWER}\n", "")


@pytest.mark.parametrize("name", WHOLE_FAULTS)
def test_fault_over_a_picture(
    elsewhere: Elsewhere,
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    fault, path = WHOLE_FAULTS[name], tmp_path / "fox.png"
    with elsewhere.open(picture_faults.faulty(fault)) as backend, waiting(fault):
        for prompt in (NOW, AFTERWARDS):
            told = at_the_command_line(
                ["image", prompt, "-o", str(path)], tmp_path, backend.url, monkeypatch, capfdbinary
            )
            if prompt == AFTERWARDS or isinstance(fault.shows, Whole):
                assert told == (0, f"{path}\n", "")
                assert path.read_bytes() == PICTURE
                path.unlink()
                continue
            assert (told.code, told.out) == (fault.exit, "")
            told.assert_one_line(fault.shows.code)
            left = [one.name for one in tmp_path.iterdir() if not one.name.startswith("auth.")]
            assert left == [], "no half a picture"
            assert all(words in told.complained for words in fault.told)
    assert picture_faults.attempts(backend) == fault.attempts


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name in SAMPLE else pytest.mark.long) for name in FAULTS],
)
def test_fault_in_a_process_of_its_own(elsewhere: Elsewhere, name: str, tmp_path: Path) -> None:
    fault = FAULTS[name]
    with elsewhere.open(faulty(fault)) as backend:
        env = environment(**settings(tmp_path, backend.url, timeout(fault)))
        done = forks.run(
            codexapi(*command(NOW)), env=env, capture_output=True, stdin=subprocess.DEVNULL,
            check=False, timeout=60,
        )  # fmt: skip
    assert_shown(fault, Ended(done.returncode, done.stdout.decode(), done.stderr.decode()))
    assert attempts(backend) == fault.attempts


def assert_shown(fault: Fault, ended: Ended) -> None:
    match fault.shows:
        case Whole(text, finish):
            code = 0 if finish == "stop" else 9  # what is cut short is shown, and is no success
            assert (ended.code, ended.out) == (code, text if text.endswith("\n") else f"{text}\n")
            assert ("incomplete" in ended.complained) == (finish != "stop")
        case Refused(_, told):
            assert (ended.code, ended.out) == (fault.exit, "")
            ended.assert_one_line(told)
        case Broken(_, told, text):
            assert (ended.code, ended.out) == (fault.exit, f"{text}\n")
            ended.assert_one_line(told)
    for words in fault.told:
        assert words in ended.complained
    for secret in ("canary", "<html", "Traceback"):
        assert secret not in ended.out + ended.complained
