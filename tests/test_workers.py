"""Tests run in forks: each is reported once, whatever becomes of its worker."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from _pytest.capture import FDCapture
from _pytest.runner import runtestprotocol
from tests.processes import ROOT, WORKER

workers = pytest.importorskip("tests.workers", exc_type=ImportError)
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="no forks here")

ONE = """
import os, pytest
def test_good(tmp_path): (tmp_path / "x").touch()
def test_bad(): print("a word"); assert 1 == 2
def test_skipped(): pytest.skip("a reason")
def test_that_ends_its_worker(): os._exit(3)
def test_behind_it(): pass
"""
OTHER = """
import os, pytest
from tests.processes import environment
@pytest.fixture(scope="module")
def pid():
    yield os.getpid()
    print("torn down by", "its worker" if os.getpid() != int(os.environ["PARENT"]) else "us")
    assert 0
def test_first(pid): assert os.getpid() == pid != int(os.environ["PARENT"])
def test_second(pid):
    assert os.getpid() == pid
    assert environment()["XDG_STATE_HOME"].endswith(("/w0", "/w1", "/w2")), "a folder of its own"
"""


def run(folder: Path, *options: str) -> tuple[int, str]:
    (folder / "test_one.py").write_text(ONE)
    (folder / "test_other.py").write_text(f"{OTHER}\n")
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "conftest.py").write_text('import os\nos.environ["PARENT"] = str(os.getpid())\n')
    done = subprocess.run(
        [
            sys.executable, "-m", "pytest", "-p", "tests.workers", "-p", "no:cacheprovider",
            "--rootdir", folder, "-c", folder / "pytest.ini", folder, *options,
        ],
        cwd=ROOT, env={**os.environ, WORKER: "outer", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def test_every_outcome_is_reported_and_a_dead_worker_is_replaced(tmp_path: Path) -> None:
    code, output = run(tmp_path, "--workers", "2", "-v", "-rs")
    assert code == 1, output
    assert "2 failed, 4 passed, 1 skipped, 1 error" in output
    assert "the worker ended with 3 in this test" in output
    for text in ("\na word\n", "a reason", "torn down by its worker", "test_behind_it PASSED"):
        assert output.count(text) == 1, output


def test_the_first_failure_ends_the_rest_where_the_user_wants_that(tmp_path: Path) -> None:
    code, output = run(tmp_path, "--workers", "1", "-x")
    assert code == 1, output
    assert "1 failed, 1 passed" in output
    assert "stopping after 1 failures" in output


def test_processors_were_idle_if_they_had_little_to_do_for_long_enough() -> None:
    ticks = iter([(0, 0), (9, 10), (20, 100), (21, 300), (100, 301)])
    processors = workers.Processors(lambda: next(ticks))
    assert [processors.were_idle() for _ in range(4)] == [False, True, False, False]


def test_the_last_file_is_for_one_that_begins_and_for_processors_that_were_idle() -> None:
    items = [SimpleNamespace(path=Path(name)) for name in ("a", "a", "b", "c", "d")]
    plugins = SimpleNamespace(getplugin=lambda name: None)
    session = SimpleNamespace(items=items, config=SimpleNamespace(hook=None, pluginmanager=plugins))
    ticks = iter([(0, 0), (0, 100), (0, 200), (100, 300), (100, 400)])
    scheduler = workers.Scheduler(session, workers.Processors(lambda: next(ticks)))
    begun = [scheduler.next_file(computing=computing) for computing in (False, True)]
    files = [*begun, *(scheduler.next_file() for _ in range(3))]
    assert [[*file] for file in files] == [[0, 1], [4], [3], [2], []]


def test_the_private_parts_of_pytest_that_a_worker_uses_are_there(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> None:
    session: Any = request.session
    assert session.config._tmp_path_factory is tmp_path_factory
    assert session.config._tmp_path_factory._basetemp == tmp_path_factory.getbasetemp()
    assert inspect.signature(session._setupstate.teardown_exact).parameters.keys() == {"nextitem"}
    assert {"item", "log", "nextitem"} <= inspect.signature(runtestprotocol).parameters.keys()
    capture = session.config.pluginmanager.getplugin("capturemanager")
    capturing = capture._global_capturing
    assert capture.is_globally_capturing() == (capturing.out is not None)
    assert "self.tmpfile" in inspect.getsource(FDCapture)
