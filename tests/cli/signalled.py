"""A command again and again, each time with a signal at another of its steps, whose order is the
same each time: `python -m tests.cli.signalled PLANS ARGUMENTS`. A plan is a JSON list of the signal's
number, how many runs there are, how many signals each has, and a method of `asyncio.Runner`.

Each run is a fork of this process. A step is a call or a return of a function. They count from the
plan's method on. Prints what each run of each plan wrote to stderr, as a JSON list of the step, the
exit code and the text.
"""

from __future__ import annotations

import asyncio
import faulthandler
import json
import os
import signal
import sys
from tempfile import TemporaryFile
from types import FrameType
from typing import IO, Any

from tests.fork_server import heed_signals, load, renew_streams

AGAIN = 40
"""Steps from a signal to the next one."""

BOUND = 30
"""Seconds after which a command that has not ended shows where it is, and ends."""


class Steps:
    """Counts the steps, and sends the signal at some of them."""

    def __init__(self, number: int, at: range) -> None:
        self.count = 0
        self._number = number
        self._at = at

    def begin(self, since: str) -> None:
        method = getattr(asyncio.Runner, since)

        def begun(*arguments: Any) -> Any:
            sys.setprofile(self)
            return method(*arguments)

        setattr(asyncio.Runner, since, begun)

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        self.count += 1
        if self.count in self._at:
            sys.setprofile(None)
            try:
                signal.raise_signal(self._number)
            finally:
                sys.setprofile(self)


def run(steps: Steps, since: str, arguments: list[str]) -> tuple[int, str, int]:
    """The exit code, what was on stderr, and how many steps there were, 0 where a signal came."""
    if sys.platform == "win32":
        raise NotImplementedError
    with TemporaryFile() as errors, TemporaryFile() as count:
        if (child := os.fork()) == 0:
            _become(steps, since, arguments, errors, count)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        errors.seek(0)
        count.seek(0)
        return code, errors.read().decode(), int(count.read() or 0)


def _become(
    steps: Steps, since: str, arguments: list[str], errors: IO[bytes], count: IO[bytes]
) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    for number, other in ((0, null), (1, null), (2, errors.fileno())):
        os.dup2(other, number)
    renew_streams()
    heed_signals()
    faulthandler.dump_traceback_later(BOUND, exit=True)
    sys.argv = ["codexapi", *arguments]
    from codexapi_cli.__main__ import main

    code: object = 0
    steps.begin(since)
    try:
        main()
    except SystemExit as end:
        code = end.code
    sys.setprofile(None)
    sys.stderr.flush()
    os.write(count.fileno(), b"%d" % steps.count)
    os._exit(code if isinstance(code, int) else 0 if code is None else 1)


def play(plan: list[Any], arguments: list[str]) -> list[Any]:
    number, runs, signals, since = plan
    _, _, count = run(Steps(number, range(0)), since, arguments)
    moments = [1 + count * place // runs for place in range(runs)] if count else []
    found = []
    for at in moments:
        steps = Steps(number, range(at, at + AGAIN * signals, AGAIN))
        code, text, _ = run(steps, since, arguments)
        found.append((at, code, text))
    return found


def main(plans: list[Any], arguments: list[str]) -> None:
    load()
    print(json.dumps([play(plan, arguments) for plan in plans]))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), sys.argv[2:])
