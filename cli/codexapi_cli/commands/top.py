"""`codexapi top`: shows the requests of a running server, live."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

import codexapi_engine as engine
from codexapi_engine.errors import JsonObject

from ..parser.options import Json, ServerPort, command
from ..servers.live import chosen_server, status_at
from ..servers.registry import running
from ..settings import check_every, settings
from ..terminal.output import Problem, ending, put, put_drawn, put_json, run

if sys.platform != "win32":
    import termios
    import tty

if TYPE_CHECKING:
    import asyncio

app = command()

_ENTER, _LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
"""The terminal's other screen, without a cursor; and back."""

_QUIT = frozenset(b"qQ\x04")

EXAMPLES = """
# Watch the requests of the server that runs; q ends it
$ codexapi top

# Print them once, or for a program
$ codexapi top --once
$ codexapi top --json
"""


@app.command(epilog=EXAMPLES)
def top(
    once: Annotated[bool, typer.Option("--once", help="Print the table once, and end")] = False,
    every: Annotated[
        float, typer.Option(metavar="SECONDS", help="Seconds between updates")
    ] = 1.0,
    port: ServerPort = None,
    url: Annotated[
        str | None, typer.Option(metavar="URL", help="Address of a server that runs elsewhere")
    ] = None,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Show the running and the recent requests of a server: which program, model, tokens and time.

    A server with a key gets it from CODEXAPI_API_KEY. In a pipe it is --once.
    """
    chosen = settings()
    with ending(as_json=as_json):
        check_every(every)
        where = chosen_server(running(chosen.state_dir), port, url)
        if as_json:
            put_json(status_at(where, chosen.api_key))
            return
        if once or not (sys.stdout.isatty() and sys.stdin.isatty()):
            _print(where, status_at(where, chosen.api_key))
            return
    run(_live(chosen, where, every))


def _print(where: str, report: JsonObject) -> None:
    from ..terminal.request_table import table, title

    put("".join(f"{line}\n" for line in [title(report, where), "", *table(report)]))


async def _live(chosen: engine.Settings, where: str, every: float) -> None:
    import asyncio

    from ..terminal.request_table import title

    report = await asyncio.to_thread(status_at, where, chosen.api_key)
    ended, changed = asyncio.Event(), asyncio.Event()
    with _screen(), _keys(ended, changed):
        head = title(report, where)
        while not ended.is_set():
            changed.clear()
            put_drawn(_picture(head, report))
            try:
                async with asyncio.timeout(every):
                    await changed.wait()
                continue  # the size of the terminal, or a key
            except TimeoutError:
                pass
            try:
                report = await asyncio.to_thread(status_at, where, chosen.api_key)
                head = title(report, where)
            except Problem as problem:
                head = f"trying again: {problem}"


def _picture(head: str, report: JsonObject) -> str:
    """The screen, line by line: nothing of what was there before is left, and nothing flickers."""
    from ..terminal.cleaning import clean
    from ..terminal.request_table import cut, table

    columns, rows = os.get_terminal_size(sys.stdout.fileno())
    lines = [
        *(cut(one, columns) for one in (clean(head), "q quits")),
        *table(report, columns, rows - 3),
    ]
    return "\x1b[H" + "".join(f"{line}\x1b[K\r\n" for line in lines[: rows - 1]) + "\x1b[J"


@contextmanager
def _screen() -> Iterator[None]:
    put_drawn(_ENTER)
    try:
        yield
    finally:
        put_drawn(_LEAVE)


if sys.platform == "win32":

    @contextmanager
    def _keys(ended: asyncio.Event, changed: asyncio.Event) -> Iterator[None]:
        """^C alone ends it."""
        yield

else:

    @contextmanager
    def _keys(ended: asyncio.Event, changed: asyncio.Event) -> Iterator[None]:
        """Reads keys one by one, and hears of a new size, until the screen is left."""
        import asyncio

        loop, stdin = asyncio.get_running_loop(), sys.stdin.fileno()

        def on_key() -> None:
            data = os.read(stdin, 1024)
            if not data or _QUIT & set(data):
                ended.set()
                changed.set()

        before = termios.tcgetattr(stdin)
        with _resized(changed.set):
            tty.setcbreak(stdin)  # ^C is still a signal
            loop.add_reader(stdin, on_key)
            try:
                yield
            finally:
                loop.remove_reader(stdin)
                termios.tcsetattr(stdin, termios.TCSAFLUSH, before)

    @contextmanager
    def _resized(then: Callable[[], None]) -> Iterator[None]:
        import asyncio

        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGWINCH, then)
        try:
            yield
        finally:
            loop.remove_signal_handler(signal.SIGWINCH)
