"""The conventions of output: stdout, stderr, and the exit codes."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

import codexapi_engine as engine
from codexapi_engine.folding import columns_of, fold

from ..global_options import global_options
from .colors import colourful
from .streams import StdoutError, failing, silence

FAILED, USAGE, LOGIN, LIMIT, BACKEND, REJECTED, LOCAL_FILE, CONFLICT = 1, 2, 3, 4, 5, 6, 7, 8
INCOMPLETE, INTERRUPTED, CLOSED_PIPE = 9, 130, 141

PREFIX = "codexapi:"
"""How a message begins that is ours, among those of other programs."""

_COLORS = {"red": "1;31", "yellow": "33", "green": "32", "dim": "2"}

KINDS = {
    FAILED: "answer", USAGE: "usage", LOCAL_FILE: "local_file", LOGIN: "login",
    CONFLICT: "conflict", BACKEND: "backend", INCOMPLETE: "incomplete",
}  # fmt: skip
"""The error codes of those that are one kind of error."""


T = TypeVar("T")


class Problem(Exception):
    """What is wrong on this side of the network: a command line, a file. Ends the program."""

    def __init__(self, message: str, exit_code: int = USAGE) -> None:
        super().__init__(message)
        self.exit_code = exit_code

    def body(self) -> dict[str, Any]:
        kind = KINDS[self.exit_code]
        return {"message": str(self), "type": f"{kind}_error", "param": None, "code": kind}


class Terminated(BaseException):
    """A signal ends the program."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = 128 + number


def run(work: Coroutine[Any, Any, T], *, as_json: bool = False) -> T:
    """Runs a command, and ends the program with the exit code of what went wrong."""
    try:
        with ending(as_json=as_json):
            from .runner import Runner  # asyncio, which --help does without

            hear_warnings()
            with Runner() as runner:
                result = runner.run(work)
            sys.stdout.flush()
        return result
    finally:
        work.close()  # a signal may come before it has begun, and Python would complain


def hear_warnings() -> None:
    """What the engine warns of is said as all else is: where no log is kept, Python would print it
    bare."""
    import logging  # the engine has loaded it by now

    class Warnings(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            say_warning(self.format(record))

    logging.lastResort = Warnings(logging.WARNING)


@contextmanager
def ending(*, as_json: bool = False) -> Iterator[None]:
    """Ends the program with one line, or one JSON object, and the exit code of what went wrong."""
    try:
        yield
    except engine.CodexError as error:
        body = error.body()
        if isinstance(error, engine.ModelNotFound):
            error.message += " `codexapi models` lists all."
        _complain(error_line(error), body, as_json)
        raise SystemExit(exit_code(error)) from None
    except Problem as problem:
        _complain(str(problem), problem.body(), as_json)
        raise SystemExit(problem.exit_code) from None
    except MemoryError:
        short = Problem("there is not enough memory for this: ask for less at once", FAILED)
        _complain(str(short), short.body(), as_json)
        raise SystemExit(short.exit_code) from None
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None
    except Terminated as signal:
        raise SystemExit(signal.exit_code) from None
    except StdoutError as error:
        full = stdout_problem(error)
        _complain(str(full), full.body(), as_json)
        raise SystemExit(full.exit_code) from None
    except BrokenPipeError:
        silence(1)
        raise SystemExit(CLOSED_PIPE) from None


def stdout_problem(error: StdoutError, hint: str = "") -> Problem:
    """What ends the program. `hint` says where the answer is instead."""
    silence(1)
    return Problem(f"stdout: {error.strerror}{hint}", LOCAL_FILE)


def exit_code(error: engine.CodexError) -> int:
    if isinstance(error, engine.AuthError):
        return LOGIN
    if isinstance(error, engine.UsageLimitReached | engine.RateLimited):
        return LIMIT
    if isinstance(error, engine.ContentRefused):
        return FAILED
    if error.code in ("state_unavailable", "keys_unreadable"):
        return LOCAL_FILE
    if isinstance(error, engine.TransportError | engine.Overloaded | engine.Unavailable):
        return BACKEND
    if 400 <= error.status < 500:
        return REJECTED
    # A run that failed at the model is not a backend that could not be reached.
    return FAILED if error.code == "server_error" else BACKEND


def error_line(error: engine.CodexError) -> str:
    """The error as a person reads it: what to do comes first, and its code, for a search, last."""
    message = str(error)
    if isinstance(error, engine.AuthError):
        from codexapi_engine.login.login_hint import with_client

        message = with_client(message)
    return " ".join(f"{message} ({error.code or error.type})".split())


def _complain(line: str, body: dict[str, Any], as_json: bool) -> None:
    # In a log too, an error is the line that it looks like.
    plain = "".join(c if c.isprintable() or c in "\n\t" else "?" for c in line)
    say(json.dumps({"error": body})) if as_json else say_error(plain)


def say(line: str) -> None:
    """A line for the person, who may have piped the answer elsewhere: clean on a terminal, and
    broken between words."""
    _say(line, "")


def say_error(message: str) -> None:
    """What ended the command: our name before it, red where there are colours."""
    _say(f"{PREFIX} {message}", "red")


def say_warning(message: str) -> None:
    """What is wrong, and ends nothing."""
    _say(f"{PREFIX} {message}", "yellow")


def _say(line: str, color: str) -> None:
    if sys.stderr.isatty():
        line = _clean(line)
        line = fold(line, columns_of(sys.stderr)) if line.startswith(PREFIX) else line
    if color and line.startswith(PREFIX):
        line = painted(PREFIX, color, sys.stderr.isatty()) + line.removeprefix(PREFIX)
    say_drawn(line)


def say_drawn(text: str, end: str = "\n") -> None:
    """The same as it is: colours and the like are ours, and what came from outside is clean."""
    if not sys.stderr.isatty():
        print(text, end=end, file=sys.stderr, flush=True)
        return
    sys.stderr.flush()
    with failing(sys.stderr):
        sys.stderr.buffer.write(f"{text}{end}".encode(errors="replace"))
        sys.stderr.buffer.flush()


def note(line: str) -> None:
    """A line that a person can do without, as who says --quiet does."""
    if not quiet():
        say(line)


def quiet() -> bool:
    return global_options().quiet


def verbosity() -> int:
    """How often --verbose was given."""
    return global_options().verbosity


def painted(text: str, color: str, terminal: bool) -> str:
    """Text in a colour, where colours are wanted; `terminal`: whether it goes to one."""
    return f"\x1b[{_COLORS[color]}m{text}\x1b[0m" if colourful(terminal) else text


def put(text: str) -> None:
    """Text on stdout, at once, in UTF-8 and with the newlines it has: clean on a terminal, and as
    it is elsewhere. Raises StdoutError."""
    put_drawn(_clean(text) if sys.stdout.isatty() else text)


def put_drawn(text: str) -> None:
    """The same as it is: colours and the like are ours, and what came from outside is clean."""
    put_bytes(text.encode(errors="replace"))


def put_json(value: object, *, indent: int | None = 2) -> None:
    """A value as JSON, which never has anything in it that could make a terminal do things."""
    from .cleaning import to_json  # not for --help

    put_drawn(to_json(value, indent=indent) + "\n")


def put_path(path: os.PathLike[str]) -> None:
    """The name of a file on a line: in a pipe byte for byte, so that the file is found by it."""
    name = os.fspath(path)
    put(f"{name}\n") if sys.stdout.isatty() else put_bytes(os.fsencode(name) + b"\n")


def put_bytes(data: bytes) -> None:
    with failing(sys.stdout):
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


def _clean(text: str) -> str:
    from .cleaning import clean  # where there is a terminal

    return clean(text)


class Progress:
    """A line on a terminal's stderr that says how long it has been; nothing elsewhere."""

    def __init__(self) -> None:
        self.shown = sys.stderr.isatty() and os.environ.get("TERM") != "dumb" and not quiet()
        self._steps = 0

    def step(self) -> None:
        """Another partial result has come."""
        self._steps += 1

    @asynccontextmanager
    async def running(self, what: str) -> AsyncIterator[None]:
        if not self.shown:
            yield
            return
        import asyncio  # loaded by now, and not before

        async def tell() -> None:
            since = time.monotonic()
            while True:
                seen = f", {self._steps} partial" if self._steps else ""
                line = f"{what}, {time.monotonic() - since:.0f} s{seen}"
                say_drawn(f"\r\x1b[K{line}", end="")
                await asyncio.sleep(1)

        telling = asyncio.create_task(tell())
        try:
            yield
        finally:
            telling.cancel()
            await asyncio.wait({telling})
            say_drawn("\r\x1b[K", end="")
