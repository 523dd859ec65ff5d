"""The server's log on stderr, as lines of text or of JSON, safe for a terminal in both.

Secrets stay out by construction: other libraries log from WARNING on, since they log headers and
URLs below that, and of an exception only its class and place are logged, since its text may hold
anything.
"""

from __future__ import annotations

import json
import logging
import queue
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import suppress
from typing import IO, Any

from codexapi_engine.folding import columns_of, fold

FORMS = ("text", "json")
LEVELS = ("debug", "info", "warning", "error")

ROOM = 1000
"""Lines that wait to be written."""

LAST_WORDS = 0.5
"""Seconds that the last lines get when the process ends."""

TALKATIVE = (
    "httpx", "httpcore", "h2", "hpack", "h11", "asyncio", "mcp", "PIL", "python_multipart",
    "websockets",
)  # fmt: skip
"""They name URLs at INFO, headers below it, and two of them every byte of a form or a message."""


def configure(
    *, form: str = "text", level: str = "info", stream: IO[str] | None = None
) -> logging.Handler:
    """Sets the log up for this process; `level` is that of our own lines."""
    handler = QueueHandler(stream or sys.stderr)
    handler.setFormatter(_Json() if form == "json" else _Text(stream or sys.stderr))
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("codexapi").setLevel(level.upper())
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
    # It warns of every WebSocket attempt and every bad request, which we answer ourselves.
    logging.getLogger("uvicorn").setLevel(logging.ERROR)
    return handler


class QueueHandler(logging.Handler):
    """Writes on a thread of its own: a parent that does not read our stderr would block the server
    after the first 64 kB. Lines over the queue's limit are dropped, and their number is logged."""

    def __init__(self, stream: IO[str], *, room: int = ROOM) -> None:
        super().__init__()
        self._stream = stream
        self._waiting: queue.Queue[str | threading.Event] = queue.Queue(room)
        self._lost = 0
        threading.Thread(target=self._write_lines, name="codexapi log", daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except (TypeError, ValueError, KeyError):  # a library's words that do not fit its values
            record.args = None
            line = self.format(record)
        if self._lost:
            line = f"({self._lost} lines of the log were left out: nobody read them)\n{line}"
        try:
            self._waiting.put_nowait(line)
            self._lost = 0
        except queue.Full:
            self._lost += 1

    def flush(self) -> None:
        """Returns when all is written, or when stderr seems to be unread."""
        written = threading.Event()
        with suppress(queue.Full):
            self._waiting.put_nowait(written)
            written.wait(LAST_WORDS)

    def _write_lines(self) -> None:
        while True:
            line = self._waiting.get()
            if isinstance(line, threading.Event):
                line.set()
                continue
            with suppress(OSError, ValueError):  # closed: no log is possible
                self._stream.write(f"{line}\n")
                self._stream.flush()


def clean(text: str) -> str:
    """Text that neither moves a terminal's cursor nor begins a line of its own."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def announce(
    message: str,
    *,
    text: str = "",
    level: int = logging.WARNING,
    always: bool = False,
    **fields: Any,
) -> None:
    """What the server says of itself: a line for a person, in the words of `text` if there are any,
    or one more object of a JSON log. Below the level of the log only if `always`."""
    if not (always or logging.getLogger("codexapi").isEnabledFor(level)):
        return
    for handler in logging.getLogger().handlers:
        if isinstance(handler.formatter, _Json):
            record = logging.LogRecord("codexapi", level, "", 0, message, None, None)
            record.fields = fields
            handler.emit(record)
            return
    say(text or f"codexapi: {message}")


def say(line: str) -> None:
    print(fold(line, columns_of(sys.stderr)), file=sys.stderr, flush=True)


class _Text(logging.Formatter):
    """A line for each record, with its day: a log is read when the day is over. On a terminal it is
    broken between words, and without the name of the part that wrote it."""

    def __init__(self, stream: IO[str]) -> None:
        super().__init__()
        self._stream = stream

    def format(self, record: logging.LogRecord) -> str:
        moment = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record.created))
        message = clean(record.getMessage())
        columns = columns_of(self._stream)
        if columns:
            line = fold(f"{moment} {message}", columns, " " * (len(moment) + 1))
        else:
            line = f"{moment} {record.name} {message}"
        return "\n".join([line, *_where(record)])


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        fields: dict[str, Any] = {
            "time": f"{moment}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": clean(record.getMessage()),
            **getattr(record, "fields", {}),
        }
        if where := list(_where(record)):
            fields["exception"] = where
        return json.dumps(fields)  # ASCII: nothing in it can move a cursor


def _where(record: logging.LogRecord) -> Iterator[str]:
    if not record.exc_info or record.exc_info[1] is None:
        return
    error: BaseException | None = record.exc_info[1]
    while error is not None:
        yield f"{type(error).__module__}.{type(error).__qualname__}, the latest call last:"
        for frame in traceback.extract_tb(error.__traceback__):
            yield f"  {frame.filename}:{frame.lineno} in {frame.name}"
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
