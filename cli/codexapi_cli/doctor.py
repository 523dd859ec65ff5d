"""`codexapi doctor`: what is wrong with this machine's codexapi, and what would mend it."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

import codexapi_engine as engine

from .options import BaseUrl, Demo, Json, command, settings
from .terminal import FAILED, put, run

app = command()

_WIDTH = 15


@app.command()
def doctor(
    offline: Annotated[bool, typer.Option("--offline", help="Ask the backend nothing.")] = False,
    as_json: Json = False,
    base_url: BaseUrl = None,
    demo: Demo = False,
) -> None:
    """Look at all that codexapi stands on, and say what would mend what is wrong.

    Costs no quota and changes nothing. Exits with 1 if there is a problem; a warning is none.
    """
    run(_doctor(settings(base_url=base_url, demo=demo), offline, as_json), as_json=as_json)


async def _doctor(chosen: engine.Settings, offline: bool, as_json: bool) -> None:
    import logging

    from .findings import PROBLEM, found  # with all that it looks at: not for --help

    logging.disable(logging.WARNING)  # what the engine would warn of is a finding here
    findings = []
    async for finding in found(chosen, offline=offline):
        findings.append(finding)
        if not as_json:
            put(f"{finding.state:<7}  {finding.name:<{_WIDTH}}  {finding.told}\n")
            if finding.fix:
                put(f"{'':<7}  {'':<{_WIDTH}}  fix: {finding.fix}\n")
    healthy = all(finding.state != PROBLEM for finding in findings)
    if as_json:
        told = {"ok": healthy, "findings": [asdict(finding) for finding in findings]}
        put(json.dumps(told, indent=2) + "\n")
    if not healthy:
        raise typer.Exit(FAILED)
