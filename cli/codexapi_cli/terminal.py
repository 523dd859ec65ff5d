"""Manners at the terminal: what goes to stdout, what to stderr, and the exit codes."""

from __future__ import annotations

import os
import stat
import sys
import time
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import typer

import codexapi_engine as engine

FAILED, USAGE, LOGIN, LIMIT, BACKEND, REJECTED, LOCAL_FILE, CONFLICT = 1, 2, 3, 4, 5, 6, 7, 8
INTERRUPTED, CLOSED_PIPE = 130, 141

QUIET, VERBOSE = "CODEXAPI_QUIET", "CODEXAPI_VERBOSE"
"""Where --quiet and --verbose are kept for the rest of the run. A global option is an environment
variable for one run: so it holds everywhere, and stands before the command or after it."""

IDLE = 2.0
"""Seconds after which we say that stdin is being waited for."""

_KINDS = {
    FAILED: "answer", USAGE: "usage", LOCAL_FILE: "local_file", LOGIN: "login",
    CONFLICT: "conflict", BACKEND: "backend",
}  # fmt: skip


class Problem(Exception):
    """What is wrong on this side of the network: a command line, a file. Ends the program."""

    def __init__(self, message: str, exit_code: int = USAGE) -> None:
        super().__init__(message)
        self.exit_code = exit_code

    def body(self) -> dict[str, Any]:
        kind = _KINDS[self.exit_code]
        return {"message": str(self), "type": f"{kind}_error", "param": None, "code": kind}


class Terminated(BaseException):
    """A signal ends the program."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = 128 + number


def run(work: Coroutine[Any, Any, None], *, as_json: bool = False) -> None:
    """Runs a command, and ends the program with the exit code of what went wrong."""
    from .runner import Runner  # asyncio is 40 ms that --help does without

    with ending(as_json=as_json):
        with Runner() as runner:
            runner.run(work)
        sys.stdout.flush()


@contextmanager
def ending(*, as_json: bool = False) -> Iterator[None]:
    """Ends the program with one line, or one JSON object, and the exit code of what went wrong."""
    try:
        yield
    except engine.CodexError as error:
        code = error.code or error.type
        _complain(" ".join(f"{code}: {error}".split()), error.body(), as_json)
        raise typer.Exit(exit_code(error)) from None
    except Problem as problem:
        _complain(str(problem), problem.body(), as_json)
        raise typer.Exit(problem.exit_code) from None
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    except Terminated as signal:
        raise typer.Exit(signal.exit_code) from None
    except BrokenPipeError:
        # The interpreter flushes stdout once more at its end, and would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        raise typer.Exit(CLOSED_PIPE) from None


def exit_code(error: engine.CodexError) -> int:
    if isinstance(error, engine.AuthError):
        return LOGIN
    if isinstance(error, engine.UsageLimitReached | engine.RateLimited):
        return LIMIT
    if isinstance(error, engine.ContentRefused):
        return FAILED
    if error.code == "state_unavailable":
        return LOCAL_FILE
    if isinstance(error, engine.TransportError | engine.Overloaded | engine.Unavailable):
        return BACKEND
    if 400 <= error.status < 500:
        return REJECTED
    # A run that failed at the model is not a backend that could not be reached.
    return FAILED if error.code == "server_error" else BACKEND


def _complain(line: str, body: dict[str, Any], as_json: bool) -> None:
    import json  # only where something went wrong

    # What the backend or a file is called may not do things to a terminal.
    harmless = "".join(c if c.isprintable() or c in "\n\t" else "?" for c in line)
    say(json.dumps({"error": body}) if as_json else f"codexapi: {harmless}")


def say(line: str) -> None:
    """A line for the person, who may have piped the answer elsewhere."""
    print(line, file=sys.stderr, flush=True)


def note(line: str) -> None:
    """A line that a person can do without, as who says --quiet does."""
    if not quiet():
        say(line)


def quiet() -> bool:
    return bool(os.environ.get(QUIET))


def verbosity() -> int:
    """How often --verbose was said."""
    told = os.environ.get(VERBOSE, "")
    return int(told) if told.isdecimal() else int(bool(told))


def colourful(terminal: bool, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether to write more than plain letters, to a terminal or what is none."""
    if environ.get("NO_COLOR") or environ.get("FORCE_COLOR"):
        return not environ.get("NO_COLOR")
    return terminal and environ.get("TERM") != "dumb"


def put(text: str) -> None:
    """Text on stdout, at once, in UTF-8 and with the newlines it has."""
    sys.stdout.buffer.write(text.encode(errors="replace"))
    sys.stdout.buffer.flush()


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
                print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)
                await asyncio.sleep(1)

        telling = asyncio.create_task(tell())
        try:
            yield
        finally:
            telling.cancel()
            await asyncio.wait({telling})
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def stdin_bytes() -> bytes | None:
    """What was piped or redirected into us; None for a terminal, and for an inherited idle
    device, which nobody will ever close."""
    try:
        mode = os.fstat(0).st_mode
    except OSError:
        return None
    if not (stat.S_ISFIFO(mode) or stat.S_ISREG(mode)):
        return None
    import threading  # loaded with asyncio anyway, and not before

    # A pipe that nobody writes to, as under cron, would otherwise hang without a word.
    telling = threading.Timer(IDLE, note, ["codexapi: waiting for stdin; --no-stdin does without"])
    telling.daemon = True
    telling.start()
    try:
        first = sys.stdin.buffer.read(1)
    finally:
        telling.cancel()
    return first + sys.stdin.buffer.read() if first else b""


def stdin_text() -> str | None:
    """The same as text. Raises InvalidRequest if it is none."""
    data = stdin_bytes()
    try:
        return None if data is None else data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise engine.InvalidRequest("stdin is not UTF-8 text", param="stdin") from None
