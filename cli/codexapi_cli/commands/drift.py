"""`codexapi drift`: compares the official client of this machine with codexapi."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from codexapi_engine.folding import columns_of, fold
from codexapi_engine.setting_values import parse_seconds

from ..global_options import global_options
from ..parser.options import Json, command
from ..terminal.cleaning import clean
from ..terminal.output import FAILED, Progress, painted, put_drawn, put_json, run

if TYPE_CHECKING:
    from ..drift.differences import Difference
    from ..drift.survey import Survey

app = command()

COLORS = {"known": "dim", "harmless": "green", "look": "yellow"}

EXAMPLES = """
# Compare the client on PATH
$ codexapi drift

# List the known and the harmless differences too
$ codexapi drift --all

# For a program: the differences, and what the client sends, by name
$ codexapi drift --json
"""


@app.command(epilog=EXAMPLES)
def drift(
    codex: Annotated[
        str | None, typer.Option("--codex", metavar="PATH", help="The client, if not on PATH")
    ] = None,
    all_: Annotated[
        bool, typer.Option("--all", help="List the known and the harmless differences too")
    ] = False,
    as_json: Json = False,
) -> None:
    """Compare what the official Codex client sends and knows with what codexapi does.

    Runs it against a simulated backend on loopback, with a made-up login and settings of its own:
    your login and your quota are not used. The client has 30 seconds for each answer, or those of
    `--timeout`. Exits with 1 if there is a difference to look at, 7
    if the client is missing or too old, and 5 if it cannot be run.
    """
    run(_drift(codex, all_, as_json), as_json=as_json)


async def _drift(codex: str | None, everything: bool, as_json: bool) -> None:
    # Loaded when clients are compared, with both servers.
    from codexapi_http.server.beside import serving_api

    from ..drift.survey import survey

    timeout = global_options().timeout
    async with Progress().running("comparing"):
        result = await survey(
            codex, serving_api, None if timeout is None else parse_seconds(timeout)
        )
    counts = Counter(str(one.concern) for one in result.differences)
    if as_json:
        put_json(_to_json(result))
    else:
        _show_survey(result, counts, everything)
    if counts["look"]:
        raise typer.Exit(FAILED)


def _to_json(result: Survey) -> dict[str, object]:
    client = {"program": result.client.program, "version": result.client.version}
    return {
        "ok": all(one.concern != "look" for one in result.differences),
        "client": client,
        "requests": result.requests,
        "differences": [asdict(one) for one in result.differences],
        "picture": result.picture.to_json(),
    }


def _show_survey(result: Survey, counts: Counter[str], everything: bool) -> None:
    client = result.client
    put_drawn(f"codex {client.version} ({client.program}): {result.requests} requests\n")
    shown = [one for one in result.differences if everything or one.concern == "look"]
    width = max((len(_what(one)) for one in shown), default=0)
    for one in sorted(shown, key=lambda one: ("look", "harmless", "known").index(one.concern)):
        _show_difference(one, min(width, 48))
    total = ", ".join(f"{counts[name]} {name}" for name in COLORS)
    rest = "" if everything or len(shown) == len(result.differences) else "; --all lists them"
    news = "; open an issue with `codexapi drift --json`" if counts["look"] else ""
    put_drawn(f"differences: {total}{rest}{news}\n")


def _what(one: Difference) -> str:
    return f"{one.request} {one.part} {one.name}: {one.change}"


def _show_difference(one: Difference, width: int) -> None:
    terminal, columns = sys.stdout.isatty(), columns_of(sys.stdout)
    concern = painted(f"{one.concern:<8}", COLORS[one.concern], terminal)
    what, why = clean(_what(one)), clean(one.why)
    head = f"{concern}  {what:<{width}}  "
    indent = 8 + 2 + max(width, len(what)) + 2
    if indent > columns - 20:
        put_drawn(f"{head.rstrip()}\n")
        head, indent = " " * 10, 10
    put_drawn(f"{head}{fold(why, columns, ' ' * indent, indent)}\n")
