"""`codexapi status`: who is logged in, and how much of the plan is used."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import typer

import codexapi_engine as engine

from .options import BaseUrl, Demo, Json, command, opened, settings
from .plan import lines, local
from .servers import running
from .terminal import exit_code, put, put_json, run, say
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
    async with opened(chosen) as codex:
        credentials = await codex.credentials()
        told: dict[str, Any] = {
            "logged_in": True,
            "plan": credentials.plan,
            "access_token_expires_at": credentials.expires_at,
            "base_url": chosen.base_url,
            "simulated": chosen.demo,
            "servers": [asdict(server) for server in servers],
        }
        problem = None
        try:
            told["limits"] = (await codex.plan()).as_json()
        except engine.CodexError as error:
            problem = error
            told["error"] = error.body()
    put_json(told) if as_json else put("".join(f"{line}\n" for line in _lines(told)))
    if problem is not None:
        if not as_json:
            say(f"codexapi: {problem.code or problem.type}: {problem}")
        raise typer.Exit(exit_code(problem))


def _lines(told: dict[str, Any]) -> list[str]:
    where = "the simulated backend" if told["simulated"] else told["base_url"]
    said = [f"logged in to {where}, plan {told['plan'] or 'unknown'}"]
    if told["access_token_expires_at"]:
        said.append(f"access token good until {local(told['access_token_expires_at'])}")
    return [*said, *lines(told.get("limits") or {}, letters=not speaks_unicode())]
