"""`codexapi status`: who is logged in, and how much of the plan is used."""

from __future__ import annotations

import json
import time
from datetime import datetime
from typing import Any

import typer

import codexapi_engine as engine

from .options import BaseUrl, Demo, Json, command, settings
from .terminal import exit_code, run, say

app = command()


@app.command()
def status(as_json: Json = False, base_url: BaseUrl = None, demo: Demo = False) -> None:
    """Show your login and how much of your plan is used. Exits with 3 if you are not logged in."""
    run(_status(settings(base_url=base_url, demo=demo), as_json))


async def _status(chosen: engine.Settings, as_json: bool) -> None:
    async with engine.Codex(chosen) as codex:
        credentials = await codex.credentials()
        told: dict[str, Any] = {
            "logged_in": True,
            "plan": credentials.plan,
            "access_token_expires_at": credentials.expires_at,
            "base_url": chosen.base_url,
            "simulated": chosen.demo,
        }
        problem = None
        try:
            told["limits"] = (await codex.plan()).as_json()
        except engine.CodexError as error:
            problem = error
            told["error"] = error.body()
    typer.echo(json.dumps(told, indent=2) if as_json else "\n".join(_lines(told)))
    if problem is not None:
        if not as_json:
            say(f"codexapi: {problem.code}: {problem}")
        raise typer.Exit(exit_code(problem))


def _lines(told: dict[str, Any]) -> list[str]:
    where = "the simulated backend" if told["simulated"] else told["base_url"]
    lines = [f"logged in to {where}, plan {told['plan'] or 'unknown'}"]
    if told["access_token_expires_at"]:
        lines.append(f"access token good until {_local(told['access_token_expires_at'])}")
    for name in ("primary", "secondary"):
        window = (told.get("limits") or {}).get(name)
        if window:
            lines.append(_window_line(window))
    return lines


def _window_line(window: dict[str, Any]) -> str:
    minutes, resets = window["window_minutes"], window["resets_at"]
    length = _length(minutes) if minutes else "?"
    line = f"{length:>7} window  {window['used_percent']:3.0f} % used"
    return f"{line}, resets {_local(resets)}" if resets else line


def _length(minutes: int) -> str:
    hours = round(minutes / 60)
    return f"{hours}-hour" if hours < 48 else f"{round(hours / 24)}-day"


def _local(epoch: float) -> str:
    """A moment as a person reads it: today's without the date."""
    when = datetime.fromtimestamp(epoch)
    today = datetime.fromtimestamp(time.time()).date()
    return f"{when:%H:%M}" if when.date() == today else f"{when:%a %d %b %H:%M}"
