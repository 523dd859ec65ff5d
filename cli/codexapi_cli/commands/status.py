"""`codexapi status`: shows the login, the plan's usage, and the running servers."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from typing import Annotated, Any

import typer

import codexapi_engine as engine
from codexapi_engine.bounds import PLAN_INTERVAL
from codexapi_engine.folding import columns_of
from codexapi_engine.telemetry import ProgramUse

from ..parser.options import BaseUrl, Demo, Json, command
from ..servers.live import by_program, status_at
from ..servers.registry import Server, running
from ..settings import check_every, opened, settings
from ..terminal.cleaning import clean
from ..terminal.output import Problem, ending, exit_code, painted, put, put_drawn, put_json, run
from ..terminal.plan import lines, local
from ..terminal.redraw import redraw
from .usage import speaks_unicode

app = command()

_OF_ACCOUNT = ("logged_in", "plan", "access_token_expires_at", "limits", "error")

EXAMPLES = """
# Show your login, your plan and the running servers
$ codexapi status

# Show it again whenever it changes
$ codexapi status --watch

# For a program; the exit code is 3 without a login
$ codexapi status --json
"""


@app.command(epilog=EXAMPLES)
def status(
    watch: Annotated[
        bool, typer.Option("-w", "--watch", help="Show it again whenever it changes, until Ctrl-C")
    ] = False,
    every: Annotated[
        float, typer.Option(metavar="SECONDS", help="Seconds between two looks, with --watch")
    ] = 2.0,
    as_json: Json = False,
    base_url: BaseUrl = None,
    demo: Demo = False,
) -> None:
    """Show the servers that run on this machine, your login, and how much of your plan is used.

    Exits with 3 if you are not logged in. With --json and --watch: a JSON object on each line.
    """
    with ending(as_json=as_json):
        check_every(every)
    chosen = settings(base_url=base_url, demo=demo)
    run(_watch(chosen, every, as_json) if watch else _status(chosen, as_json), as_json=as_json)


async def _status(chosen: engine.Settings, as_json: bool) -> None:
    report = await _report(chosen)
    if not as_json:
        put(_servers_text(report))
    problem = await _ask(chosen, report)
    if as_json:
        put_json(report)
    elif report["access_token_expires_at"] or report["logged_in"]:
        _print_report(report)
    if problem is not None:
        if not as_json:
            raise problem
        raise typer.Exit(exit_code(problem))


async def _watch(chosen: engine.Settings, every: float, as_json: bool) -> None:
    """The servers are asked each time, the backend once a minute: that is free too, but not ours."""
    import asyncio

    account: dict[str, Any] = {}
    shown, query_time, rows = None, 0.0, 0
    while True:
        report = {**await _report(chosen), **account}
        if not account or time.monotonic() - query_time >= PLAN_INTERVAL:
            await _ask(chosen, report)
            query_time = time.monotonic()
            account = {name: report[name] for name in _OF_ACCOUNT}
        if report != shown:
            rows = _redraw(report, rows, as_json)
            shown = report
        await asyncio.sleep(every)


def _redraw(report: dict[str, Any], rows: int, as_json: bool) -> int:
    """Shows a report in place of the one before, which took so many rows. Returns its rows."""
    if as_json:
        put_json(report, indent=None)
        return 0
    lines = [*_servers_text(report).splitlines(), *_describe(report)]
    if report["error"]:
        lines.append(report["error"]["message"])
    return redraw(lines, rows)


async def _report(chosen: engine.Settings) -> dict[str, Any]:
    """What is known without the backend."""
    import asyncio

    servers = running(chosen.state_dir)
    live = await asyncio.gather(*(asyncio.to_thread(_live, one, chosen) for one in servers))
    return {
        "logged_in": False,
        "plan": None,
        "access_token_expires_at": None,
        "base_url": chosen.base_url,
        "simulated": chosen.demo,
        "servers": [
            {**server._asdict(), "programs": programs and [one._asdict() for one in programs]}
            for server, programs in zip(servers, live, strict=True)
        ],
        "limits": None,
        "error": None,
    }


def _live(server: Server, chosen: engine.Settings) -> list[ProgramUse] | None:
    """The requests that a server shows, by program; None where it shows none to us."""
    try:
        return by_program(status_at(server.url, chosen.api_key)) if server.url else None
    except Problem:
        return None


def _servers_text(report: dict[str, Any]) -> str:
    text = ""
    for fields in report["servers"]:
        programs = fields["programs"]
        server = Server(**{name: value for name, value in fields.items() if name != "programs"})
        if server.url:
            text += f"serving on {server.url}/v1: {server}\n"
        for one in programs or ():
            count = f"{one['requests']} request{'' if one['requests'] == 1 else 's'}"
            runs = f" ({one['running']} running)" if one["running"] else ""
            tokens = f"{one['input']}+{one['output']} tokens"
            text += f"  {one['program'] or 'unknown'}: {count}{runs}, {tokens}\n"
    return text


async def _ask(chosen: engine.Settings, report: dict[str, Any]) -> engine.CodexError | None:
    """Fills in what there is to know of the login and the plan; returns what went wrong."""
    problem = None
    async with opened(chosen) as codex:
        try:
            await codex.credentials()
            report["limits"] = (await codex.plan()).as_json()
        except engine.CodexError as error:
            problem = error
            report["error"] = error.body()
        with suppress(engine.CodexError):
            credentials = await codex.credentials()  # renewed by now, if they had to be
            report["plan"] = credentials.plan
            report["access_token_expires_at"] = credentials.expires_at
            report["logged_in"] = not isinstance(problem, engine.AuthError)
    return problem


def _print_report(report: dict[str, Any]) -> None:
    first, *rest = _describe(report)
    terminal = sys.stdout.isatty()
    known, _, after = first.partition(" to ")
    color = "green" if report["logged_in"] else "red"
    after = clean(after) if terminal else after
    put_drawn(f"{painted(known, color, terminal)} to {after}\n")
    put("".join(f"{line}\n" for line in rest))


def _describe(report: dict[str, Any]) -> list[str]:
    where = "the simulated backend" if report["simulated"] else report["base_url"]
    known = "logged in to" if report["logged_in"] else "not logged in any more to"
    found = [f"{known} {where}, plan {report['plan'] or 'unknown'}"]
    if expires := report["access_token_expires_at"]:
        found.append(f"access token {_validity(expires, renewable=report['logged_in'])}")
    columns = columns_of(sys.stdout)
    bars = lines(report["limits"] or {}, letters=not speaks_unicode(), columns=columns)
    return [*found, *bars]


def _validity(expires: float, *, renewable: bool) -> str:
    if expires > time.time():
        return f"good until {local(expires)}"
    then = "is renewed by the next request" if renewable else "cannot be renewed"
    return f"expired at {local(expires)}, {then}"
