"""The command line in this process, and a backend that runs beside it.

A start costs half a second. What a process does besides is seen by a sample of real ones.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import pytest
from tests.faulty import FaultyBackend
from tests.logins import write_login
from tests.matrix.doors import LOGIN

from codexapi_cli.app import app

T = TypeVar("T")


class Elsewhere:
    """An event loop in a thread, for a backend whose client has this thread to itself."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    @contextmanager
    def open(self, backend: FaultyBackend) -> Iterator[FaultyBackend]:
        self.run(backend.__aenter__())
        try:
            yield backend
        finally:
            self.run(backend.__aexit__())

    def end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class Ended(NamedTuple):
    """How a command ended, and what it wrote."""

    code: int
    out: str
    complained: str

    def assert_one_line(self, code: str | None) -> None:
        """One line on stderr, which ends in the error's code, if that has one."""
        told = re.fullmatch(r"codexapi: .+ \((\w+)\)\n", self.complained)
        assert told, self.complained
        assert code is None or told[1] == code


def settings(home: Path, url: str, timeout: float = 60.0) -> dict[str, str]:
    """The environment of a command whose login is in this folder, and whose backend is this."""
    write_login(home, LOGIN)
    return {
        "CODEX_HOME": str(home),
        "CODEXAPI_BASE_URL": url,
        "CODEX_REFRESH_TOKEN_URL_OVERRIDE": f"{url}/oauth/token",
        "CODEXAPI_TIMEOUT": str(timeout),
        "CODEXAPI_NO_LOG": "1",
    }


def at_the_command_line(
    arguments: list[str],
    home: Path,
    url: str,
    monkeypatch: pytest.MonkeyPatch,
    captured: pytest.CaptureFixture[bytes],
    *,
    timeout: float = 60.0,
) -> Ended:
    for variable, value in settings(home, url, timeout).items():
        monkeypatch.setenv(variable, value)
    with pytest.raises(SystemExit) as ended:
        app(arguments, prog_name="codexapi")
    out, complained = (stream.decode() for stream in captured.readouterr())
    return Ended(int(ended.value.code or 0), out, complained)
