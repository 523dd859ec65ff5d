"""Programs on terminals of their own, forked where `tests/forks.py` can."""

from __future__ import annotations

import os
import pty
import signal
import sys
import termios
from collections.abc import Sequence
from typing import Any

import pexpect
from ptyprocess import PtyProcess  # type: ignore[import-untyped]
from tests import forks


class Terminal(pexpect.spawn):  # type: ignore[type-arg]
    def _spawnpty(self, args: Sequence[str | bytes], **options: Any) -> Any:
        """Where pexpect starts the process; `tests/test_forks.py` checks it."""
        words = forks.arguments_of([os.fsdecode(word) for word in args])
        env = options["env"]
        if words is None or not forks.begins_like_ours(env) or options["preexec_fn"]:
            return super()._spawnpty(args, **options)  # type: ignore[misc]
        if sys.platform == "win32":
            raise NotImplementedError
        ours, theirs = pty.openpty()
        termios.tcsetwinsize(ours, options.get("dimensions", (24, 80)))
        try:
            fork = forks.server().fork(words, env, [theirs] * 3, cwd=options["cwd"], terminal=True)
        finally:
            os.close(theirs)
        return _Forked(fork, ours)


class _Forked(PtyProcess):  # type: ignore[misc]
    is_forked = True

    def __init__(self, fork: forks.Fork, descriptor: int) -> None:
        super().__init__(fork.pid, descriptor)
        self._fork = fork
        self.delayafterclose = 0

    def isalive(self) -> bool:
        if not self.terminated:
            try:
                self._end(self._fork.wait(None if self.flag_eof else 0))
            except TimeoutError:
                return True
        return False

    def wait(self) -> int | None:
        self._end(self._fork.wait())
        status: int | None = self.exitstatus
        return status

    def terminate(self, force: bool = False) -> bool:
        if sys.platform == "win32":
            raise NotImplementedError
        if self.isalive():
            os.kill(self.pid, signal.SIGKILL if force else signal.SIGHUP)
            self.wait()
        return True

    def _end(self, code: int) -> None:
        self.terminated = True
        self.exitstatus = code if code >= 0 else None
        self.signalstatus = -code if code < 0 else None
        self.status = code << 8 if code >= 0 else -code
