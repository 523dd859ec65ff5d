"""`codexapi usage`: shows how much of the plan is used, once or continuously."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

import codexapi_engine as engine
from codexapi_engine.folding import columns_of

from ..parser.options import BaseUrl, Demo, Json, command
from ..settings import check_every, opened, settings
from ..terminal.output import ending, put_json, run
from ..terminal.plan import lines
from ..terminal.redraw import redraw

app = command()


EXAMPLES = """
# Show it once
$ codexapi usage

# Show it again every ten seconds, until Ctrl-C
$ codexapi usage --watch --every 10
"""


@app.command(epilog=EXAMPLES)
def usage(
    watch: Annotated[
        bool, typer.Option("-w", "--watch", help="Show it again and again, until Ctrl-C")
    ] = False,
    every: Annotated[
        float, typer.Option(metavar="SECONDS", help="Seconds between updates, with --watch")
    ] = 60.0,
    as_json: Json = False,
    base_url: BaseUrl = None,
    demo: Demo = False,
) -> None:
    """Show how much of your plan is used, and when its limits reset.

    With --json and --watch: a JSON object on each line.
    """
    with ending(as_json=as_json):
        check_every(every)
    chosen = settings(base_url=base_url, demo=demo)
    run(_usage(chosen, every if watch else None, as_json), as_json=as_json)


async def _usage(chosen: engine.Settings, every: float | None, as_json: bool) -> None:
    import asyncio  # --help does without

    shown = 0  # rows of it on the terminal
    async with opened(chosen) as codex:
        while True:
            limits = await codex.plan()
            if as_json:
                put_json(limits.as_json(), indent=None if every else 2)
            else:
                columns = columns_of(sys.stdout)
                text = list(
                    lines(limits.as_json(), letters=not speaks_unicode(), columns=columns)
                ) or ["the backend told nothing of your plan"]
                shown = redraw(text, shown)
            if every is None:
                return
            await asyncio.sleep(every)


def speaks_unicode() -> bool:
    return (sys.stdout.encoding or "").lower().startswith("utf")
