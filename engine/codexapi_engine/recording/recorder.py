"""Records exchanges with the backend: one file each, written by a thread of its own.

A failure to write ends the recording with one warning, and never a request.
"""

from __future__ import annotations

import logging
import os
import re
import secrets
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple

from ..bounds import MAX_RECORDING_BACKLOG_BYTES, MAX_RECORDING_BYTES
from ..protocol.redaction import Redaction
from ..settings import private_folder
from .lines import CLOSED, SUFFIX, Headers, endpoint_of
from .writer import ExchangeWriter, Sent

log = logging.getLogger(__name__)

_OURS = re.compile(rf"\d{{8}}T\d{{6}}\.\d{{6}}Z-\d+-\d{{6}}-[a-z-]+{re.escape(SUFFIX)}")
_FLUSH_TIMEOUT = 10.0
"""Seconds that the end of the program waits for what is not written yet."""


class _Step(NamedTuple):
    """What happened to an exchange, for the thread that writes."""

    exchange: ExchangeTap | None  # None: the recording ends
    ms: float = 0.0
    sent: Sent | None = None
    status: int = 0
    headers: Headers | None = None
    data: bytes | None = None
    end: str = ""
    error: str = ""
    lost: int = 0


class ExchangeTap:
    """One exchange while it runs. Its methods only put aside what happened, with the time."""

    def __init__(self, recorder: Recorder, number: int) -> None:
        self.number = number
        self.writer: ExchangeWriter | None = None  # for the thread alone
        self._recorder = recorder
        self._began = time.monotonic()
        self._ended = False

    def head(self, status: int, headers: Headers) -> None:
        self._recorder.put(_Step(self, self.age(), status=status, headers=headers))

    def piece(self, data: bytes) -> None:
        self._recorder.put(_Step(self, self.age(), data=data))

    def end(self, how: str, error: str = "") -> None:
        """The end of the answer; the first one counts."""
        if not self._ended:
            self._ended = True
            self._recorder.put(_Step(self, self.age(), end=how, error=error))

    def age(self) -> float:
        """Milliseconds since the request was sent."""
        return round((time.monotonic() - self._began) * 1000, 3)


class Recorder:
    """A recording into a folder, which it makes: mode 0700, its files 0600. Close it.

    Beyond `limit` bytes in the folder, its oldest recordings are removed.
    """

    def __init__(
        self, folder: Path, *, content: bool = False, limit: int = MAX_RECORDING_BYTES
    ) -> None:
        self.folder = folder
        self._redaction = Redaction.of(secrets.token_bytes(32), content=content)
        self._limit = limit
        self._steps: SimpleQueue[_Step] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._number = 0
        self._unwritten = 0
        self._lock = threading.Lock()
        self._failed = False
        self._open: set[ExchangeTap] = set()

    # On the loop.

    def begin(self, method: str, target: str, headers: Headers, body: bytes) -> ExchangeTap:
        """An exchange begins: its request is sent now."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="codexapi recorder", daemon=True)
            self._thread.start()
        self._number += 1
        exchange = ExchangeTap(self, self._number)
        began = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        self.put(_Step(exchange, sent=Sent(method, target, headers, body, began)))
        return exchange

    def put(self, step: _Step) -> None:
        if self._failed:
            return
        size = len(step.data or b"")
        if (
            self._unwritten > MAX_RECORDING_BACKLOG_BYTES and size
        ):  # a slow disk must not fill the memory
            step = step._replace(data=None, lost=size)
        elif size:
            with self._lock:
                self._unwritten += size
        self._steps.put(step)

    def close(self, seconds: float = _FLUSH_TIMEOUT) -> None:
        """Writes what is left, and ends what is open; for so long at most."""
        if self._thread is not None:
            self._steps.put(_Step(None))
            self._thread.join(seconds)
            self._thread = None

    # In the thread.

    def _run(self) -> None:
        try:
            while (step := self._steps.get()).exchange is not None:
                self._take_step(step)
            for exchange in list(self._open):
                self._take_step(_Step(exchange, exchange.age(), end=CLOSED))
        finally:
            self._failed = True  # nothing is taken any more

    def _take_step(self, step: _Step) -> None:
        exchange = step.exchange
        assert exchange is not None
        if step.data is not None:
            with self._lock:
                self._unwritten -= len(step.data)
        if self._failed:
            return
        try:
            if step.sent is not None:
                self._start_exchange(exchange, step.sent)
            elif exchange.writer is not None:
                self._write_step(exchange.writer, step)
        except OSError as error:
            self._fail(error)
        if step.end:
            self._open.discard(exchange)

    def _start_exchange(self, exchange: ExchangeTap, sent: Sent) -> None:
        private_folder(self.folder)
        self._make_room()
        stamp = re.sub(r"[-:]", "", sent.began)
        kind = re.sub(r"[^a-z]+", "-", endpoint_of(self._redaction.target(sent.target))).strip("-")
        name = f"{stamp}-{os.getpid()}-{exchange.number:06d}-{kind or 'other'}{SUFFIX}"
        exchange.writer = ExchangeWriter(self.folder / name, self._redaction)
        self._open.add(exchange)
        exchange.writer.begin(sent)

    def _write_step(self, writer: ExchangeWriter, step: _Step) -> None:
        if step.headers is not None:
            writer.head(step.ms, step.status, step.headers)
        elif step.data is not None:
            writer.piece(step.ms, step.data)
        elif step.lost:
            writer.leave_out(step.lost)
        elif step.end:
            writer.end(step.ms, step.end, step.error)
            self._make_room()

    def _make_room(self) -> None:
        """Removes the oldest recordings that are beyond the limit, and none that is open."""
        writing = {tap.writer.path for tap in self._open if tap.writer is not None}
        files = sorted(entry for entry in self.folder.iterdir() if _OURS.fullmatch(entry.name))
        sizes = {path: path.lstat().st_size for path in files}
        total = sum(sizes.values())
        for path in files:
            if total <= self._limit:
                break
            if path not in writing:
                with suppress(OSError):  # Windows keeps what another process writes
                    path.unlink()
                total -= sizes[path]

    def _fail(self, error: OSError) -> None:
        self._failed = True
        for exchange in self._open:
            if exchange.writer is not None:
                exchange.writer.close()
        self._open.clear()
        log.warning(
            "the recording in %s has stopped (%s); requests go on without it",
            self.folder, error.strerror or type(error).__name__,
        )  # fmt: skip
