"""`codexapi status`: shows the login, the plan's usage, and the running servers."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from dataclasses import asdict
from typing import Any

import typer

import codexapi_engine as engine
from codexapi_engine.folding import columns_of

from ..parser.options import BaseUrl, Demo, Json, command, opened, settings
from ..servers.registry import running
from ..terminal.cleaning import clean
from ..terminal.output import exit_code, painted, put, put_drawn, put_json, run
from ..terminal.plan import lines, local
from .usage import speaks_unicode

app = command()


EXAMPLES = """
# Show your login, your plan and the running servers
$ codexapi status

# For a program; the exit code is 3 without a login
$ codexapi status --json
"""


@app.command(epilog=EXAMPLES)
def status(as_json: Json = False, base_url: BaseUrl = None, demo: Demo = False) -> None:
    """Show the servers that run on this machine, your login, and how much of your plan is used.

    Exits with 3 if you are not logged in.
    """
    run(_status(settings(base_url=base_url, demo=demo), as_json), as_json=as_json)


async def _status(chosen: engine.Settings, as_json: bool) -> None:
    servers = running(chosen.state_dir)
    if not as_json:
        put("".join(f"serving on {server.url}/v1: {server}\n" for server in servers if server.url))
    report: dict[str, Any] = {
        "logged_in": False,
        "plan": None,
        "access_token_expires_at": None,
        "base_url": chosen.base_url,
        "simulated": chosen.demo,
        "servers": [asdict(server) for server in servers],
        "limits": None,
        "error": None,
    }
    problem = await _ask(chosen, report)
    if as_json:
        put_json(report)
    elif report["access_token_expires_at"] or report["logged_in"]:
        _print_report(report)
    if problem is not None:
        if not as_json:
            raise problem
        raise typer.Exit(exit_code(problem))


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
