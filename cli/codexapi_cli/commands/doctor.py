"""`codexapi doctor`: finds problems of this machine's codexapi, and their fixes."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import AsyncIterator
from typing import Annotated

import typer

import codexapi_engine as engine
from codexapi_engine.check import PROBLEM, Check
from codexapi_engine.folding import columns_of, fold

from ..parser.options import BaseUrl, Demo, Json, command
from ..settings import settings
from ..terminal.cleaning import clean
from ..terminal.output import FAILED, USAGE, painted, put, put_drawn, run, say, say_error

app = command()

STATE_COLORS = {"ok": "green", "warning": "yellow", "problem": "red", "unknown": "dim"}

_WIDTH = 15
_INDENT = 7 + 2 + _WIDTH + 2


EXAMPLES = """
# Look for problems
$ codexapi doctor

# Without asking the backend
$ codexapi doctor --offline

# For a program
$ codexapi doctor --json
"""


@app.command(epilog=EXAMPLES)
def doctor(
    offline: Annotated[bool, typer.Option("--offline", help="Do not ask the backend")] = False,
    online: Annotated[
        bool,
        typer.Option(
            "--online",
            help="Spend one small request, and report whether the backend still behaves as "
            "codexapi expects: names and counts only, fit for an issue",
        ),
    ] = False,
    as_json: Json = False,
    base_url: BaseUrl = None,
    demo: Demo = False,
) -> None:
    """Check everything that codexapi depends on, and say how to fix what is wrong.

    Changes nothing, and costs no quota without --online. Exits with 1 if there is a problem.
    """
    if offline and online:
        say_error("--offline and --online exclude each other")
        raise typer.Exit(USAGE)
    work = _doctor(settings(base_url=base_url, demo=demo), offline, online, as_json)
    run(work, as_json=as_json)


async def _doctor(chosen: engine.Settings, offline: bool, online: bool, as_json: bool) -> None:
    logging.disable(logging.WARNING)  # what the engine would warn of is a finding here
    checks = []
    source = _online(chosen) if online else _usual(chosen, offline)
    async for finding in source:
        checks.append(finding)
        if not as_json:
            _show(finding)
    healthy = all(finding.state != PROBLEM for finding in checks)
    if as_json:
        report = {"ok": healthy, "findings": [_to_json(finding) for finding in checks]}
        put(json.dumps(report, indent=2) + "\n")
    if not healthy:
        raise typer.Exit(FAILED)


def _to_json(check: Check) -> dict[str, str | None]:
    return {"name": check.name, "state": check.state, "told": check.text, "fix": check.fix}


def _show(finding: Check) -> None:
    """The finding and its fix, broken between words on a terminal."""
    terminal, columns = sys.stdout.isatty(), columns_of(sys.stdout)
    state = painted(f"{finding.state:<7}", STATE_COLORS[finding.state], terminal)
    heads = [f"{state}  {finding.name:<{_WIDTH}}  ", " " * _INDENT]
    for head, text in zip(heads, [finding.text, finding.fix and finding.advice], strict=True):
        if text:
            shown = clean(text) if terminal else text
            put_drawn(f"{head}{fold(shown, columns, ' ' * _INDENT, _INDENT)}\n")


def _usual(chosen: engine.Settings, offline: bool) -> AsyncIterator[Check]:
    from ..checks import found

    return found(chosen, offline=offline)


async def _online(chosen: engine.Settings) -> AsyncIterator[Check]:
    """The checks that may be shown to anybody, and the result of one small request."""
    from ..checks import found
    from ..online import CONSENT, shareable, survey

    usable = True
    async for finding in found(chosen, offline=False, discreet=True):
        usable = usable and (finding.name, finding.state) != ("login", PROBLEM)
        yield shareable(finding, chosen)
    if usable:
        say(f"codexapi: {CONSENT}" if not chosen.demo else "codexapi: nothing is spent: --demo")
        async for finding in survey(chosen):
            yield finding
