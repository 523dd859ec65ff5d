"""Runs the tests in forks of the process that has collected them: `pytest -p tests.workers --workers N`.

pytest-xdist collects in each of its processes: here that took longer than any file of tests. A file
stays in one worker: what it sets up, it sets up once; and so do the files of the page, with one browser.

Of pytest's private parts, as they are in the version that `tests/constraints.txt` pins, it uses those
that `tests/test_workers.py` names: `runtestprotocol`, `Config._tmp_path_factory` with its `_basetemp`,
`Session._setupstate.teardown_exact`, and `_global_capturing` of the capture manager with `FDCapture`.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, count, groupby, pairwise
from multiprocessing.connection import Connection, wait
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import pytest
from _pytest.capture import FDCapture
from _pytest.runner import runtestprotocol
from tests import forks
from tests.processes import WORKER

if sys.platform == "win32":
    raise ImportError("Windows has no forks")

TOGETHER = {"page"}
"""Folders of tests that share what a worker starts once, and that costs more than the tests."""

SOME_TICKS = 50
"""A quarter of a second of two processors: what they did in less says little."""

IDLE = 0.05
"""The part of their time that processors may have nothing to do."""

FORK = multiprocessing.get_context("fork")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--workers", type=int, default=0, help="Run the tests in N forks.")


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    """All workers share one server of forks. It loads while we collect."""
    everything = session.config.args_source is pytest.Config.ArgsSource.TESTPATHS
    if session.config.option.workers and everything and not session.config.option.collectonly:
        forks.server()


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    option = session.config.option
    if not option.workers or option.collectonly or option.usepdb:
        return None
    if session.testsfailed and not option.continue_on_collection_errors:
        return None  # pytest says so
    if forks.server.cache_info().currsize:
        forks.server().address  # noqa: B018 - read before others share the line
    Scheduler(session).run(option.workers)
    return True


class Scheduler:
    """Hands out files, and reports what the workers send."""

    def __init__(self, session: pytest.Session, processors: Processors | None = None) -> None:
        self._session = session
        self._hook = session.config.hook
        numbers = range(len(session.items))
        groups = groupby(numbers, lambda number: _group(session.items[number].path))
        self._files = deque(deque(group) for _, group in groups)
        self._workers: dict[Connection, Worker] = {}
        self._processors = processors or Processors()
        self._computing: list[Worker] = []  # those that begin at the end
        self._names = map("w{}".format, count())
        reporter = session.config.pluginmanager.getplugin("terminalreporter")
        if reporter is not None:
            reporter.showfspath = False  # tests of several files are reported in turns

    def run(self, number: int) -> None:
        # The names of the folders of all tests so far are read for each new one: a root of its
        # own for each worker.
        root = self._session.config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]
        self._root = root
        for _ in range(min(number, len(self._files))):
            self._start()
        self._computing = [*self._workers.values()][: number // 3]
        try:
            while self._workers:
                for connection in wait([*self._workers]):
                    assert isinstance(connection, Connection)
                    self._hear(self._workers[connection])
                    self._stop_where_pytest_would()
        finally:  # each ends with the test that it is in
            for connection in self._workers:
                connection.close()
            for worker in self._workers.values():
                worker.process.join()

    def next_file(self, *, computing: bool = False) -> Sequence[int]:
        """The numbers of its tests; none at the end. The first files take long and wait, the last
        ones compute (`conftest.py`): those are for processors that have nothing to do."""
        if not self._files:
            return ()
        at_the_end = self._processors.were_idle() or computing
        return self._files.pop() if at_the_end else self._files.popleft()

    def _start(self) -> None:
        worker = Worker(next(self._names), self._session, [*self._workers], self._root)
        self._workers[worker.line] = worker

    def _hear(self, worker: Worker) -> None:
        try:
            reports = worker.line.recv()
        except (EOFError, ConnectionResetError):
            self._bury(worker)
            return
        if reports is None:
            file = self.next_file(computing=worker in self._computing)
            if worker in self._computing:
                self._computing.remove(worker)
            worker.tests.extend(file)
            worker.line.send([*file])
            return
        config = self._session.config
        self._report(
            worker,
            *(self._hook.pytest_report_from_serializable(config=config, data=r) for r in reports),
        )

    def _report(self, worker: Worker, *reports: pytest.TestReport) -> None:
        item = self._session.items[worker.tests.popleft()]
        self._hook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        for report in reports:
            self._hook.pytest_runtest_logreport(report=report)
        self._hook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)

    def _bury(self, worker: Worker) -> None:
        """A worker that ended in a test fails that test, and another one does the rest."""
        del self._workers[worker.line]
        worker.line.close()
        worker.process.join()
        if not worker.tests:
            return
        item = self._session.items[worker.tests[0]]
        words = f"the worker ended with {worker.process.exitcode} in this test"
        self._report(
            worker,
            pytest.TestReport(
                item.nodeid, item.location, {}, "failed", longrepr=words, when="call"
            ),
        )
        if worker.tests:
            self._files.appendleft(worker.tests)
            self._start()

    def _stop_where_pytest_would(self) -> None:
        if self._session.shouldfail:
            raise self._session.Failed(self._session.shouldfail)
        if self._session.shouldstop:
            raise self._session.Interrupted(self._session.shouldstop)


class Processors:
    """The processors of this machine. `ticks` gives the ticks so far: idle ones, and all."""

    def __init__(self, ticks: Callable[[], tuple[int, int]] | None = None) -> None:
        self._ticks = ticks or _ticks
        self._before = self._ticks()
        self._were_idle = False

    def were_idle(self) -> bool:
        """Whether they had too little to do since they were asked, or since some time before."""
        now = self._ticks()
        idle, total = now[0] - self._before[0], now[1] - self._before[1]
        if total >= SOME_TICKS:
            self._before, self._were_idle = now, idle > total * IDLE
        return self._were_idle


def _ticks() -> tuple[int, int]:
    """Of user, nice, system, idle, iowait, irq, softirq and steal, as in proc_stat(5)."""
    times = [int(field) for field in Path("/proc/stat").read_text().split(maxsplit=9)[1:9]]
    return times[3] + times[4], sum(times)


def _group(file: Path) -> Path:
    """What stays in one worker: a file, or the folder whose tests share one browser."""
    return file.parent if file.parent.name in TOGETHER else file


class Worker:
    """A fork, as the process that hands out files sees it."""

    def __init__(
        self, name: str, session: pytest.Session, others: list[Connection], root: Any
    ) -> None:
        self.tests: deque[int] = deque()
        self.line, line = FORK.Pipe()
        self.process = FORK.Process(
            target=_work, args=(session, line, [self.line, *others], root / name)
        )
        self.process.start()
        line.close()


def _work(session: pytest.Session, line: Connection, others: list[Connection], root: Any) -> None:
    for other in others:
        other.close()
    _own_captured_files(session.config)
    root.mkdir(0o700)
    os.environ[WORKER] = root.name
    session.config._tmp_path_factory._basetemp = root  # type: ignore[attr-defined]
    session.config.pluginmanager.register(Messenger(session.config, line))
    try:
        for item, following in pairwise(chain(_items(session, line), [None])):
            session.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
    except (BrokenPipeError, ConnectionResetError, EOFError, KeyboardInterrupt):
        session._setupstate.teardown_exact(None)  # nobody reads our reports: a failure was enough


def _own_captured_files(config: pytest.Config) -> None:
    """What is printed is captured in files that the parent has open too, at the same position. The
    objects stay: libraries may have taken sys.stderr at their import."""
    capture: Any = config.pluginmanager.getplugin("capturemanager")
    for stream in (capture._global_capturing.out, capture._global_capturing.err):
        if isinstance(stream, FDCapture):
            with TemporaryFile() as own:
                os.dup2(own.fileno(), stream.tmpfile.fileno(), inheritable=False)


def _items(session: pytest.Session, line: Connection) -> Iterator[pytest.Item]:
    while True:
        line.send(None)
        if not (file := line.recv()):
            return
        yield from (session.items[number] for number in file)


class Messenger:
    """Sends the reports of a worker to its parent. The terminal belongs to that."""

    def __init__(self, config: pytest.Config, line: Connection) -> None:
        self._config = config
        self._line = line

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool:
        reports = runtestprotocol(item, log=False, nextitem=nextitem)
        form = self._config.hook.pytest_report_to_serializable
        self._line.send([form(config=self._config, report=report) for report in reports])
        return True
