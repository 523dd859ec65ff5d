"""`codexapi mcp doctor`: checks that the registered server starts, answers, and is ours."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import typer
from anyio import BrokenResourceError, ClosedResourceError

from codexapi_engine.check import OK, PROBLEM, UNKNOWN, WARNING, Check

from ..integrations.system import Scope, System
from ..parser.options import Json
from ..terminal.output import FAILED, put, put_json, run
from .mcp_list import described

if TYPE_CHECKING:
    from ..integrations.registration import Registration

SECONDS = 20.0
"""How long a server may take to start and to list its tools: as long as Codex waits."""


def doctor(as_json: Json = False) -> None:
    """Start every registered server as its client would, and check that it answers.

    Of a project's own settings only this program is started. Exits with 1 if there is a problem.
    """
    run(_doctor(as_json), as_json=as_json)


async def _doctor(as_json: bool) -> None:
    from ..integrations.registration import NONE, NOT_HERE, found

    seen = [one for one in found(System.this()) if one.state not in (NONE, NOT_HERE)]
    results = [(one, await _examined(one)) for one in seen]
    if as_json:
        results_json = [{**_where(one), **_to_json(finding)} for one, finding in results]
        healthy = all(finding.state != PROBLEM for _, finding in results)
        put_json({"ok": healthy, "registrations": results_json})
    else:
        nothing = Check("", UNKNOWN, "nothing is registered", "codexapi mcp install CLIENT")
        for finding in [finding for _, finding in results] or [nothing]:
            put("".join(f"{line}\n" for line in _render(finding)))
    if any(finding.state == PROBLEM for _, finding in results):
        raise typer.Exit(FAILED)


async def _examined(seen: Registration) -> Check:
    from ..integrations.itself import NAMES, is_ours, is_this
    from ..integrations.registration import ANOTHER, STALE, UNREADABLE

    name = f"{seen.place.client.name} ({seen.place.scope})"
    scope = " --scope project" if seen.place.scope is Scope.PROJECT else ""
    again = f"codexapi mcp install --force{scope} {seen.place.client.name}"
    if seen.state == UNREADABLE:
        return Check(name, PROBLEM, seen.problem or "", "mend the file by hand")
    if seen.state == ANOTHER or not seen.command:
        text = f"the entry in {seen.place.path} starts another program"
        return Check(name, PROBLEM, f"{text}: {seen.shown}", again)
    if seen.state == STALE:
        return Check(name, PROBLEM, seen.problem or "", again.replace(" --force", ""))
    program = seen.command[0]
    file = shutil.which(program) or program
    if Path(program).stem in NAMES and not is_ours(Path(file)):
        return Check(name, PROBLEM, f"{file} is a stranger's program of our name", again)
    if seen.place.scope is Scope.PROJECT and (seen.env or not is_this(seen.command)):
        text = "not started: this folder's settings name another program, or variables for it"
        return Check(name, UNKNOWN, f"{text}: {seen.shown}")
    since = time.monotonic()
    try:
        tools = await _tools(seen.command, seen.env)
    except ValueError as error:
        fix = f"run it by hand: {seen.shown}"
        return Check(name, PROBLEM, str(error), fix)
    text = f"answers in {time.monotonic() - since:.1f} s, with {len(tools)} tools"
    if not tools:
        return Check(
            name,
            WARNING,
            f"{text}: its options leave none",
            f"take --tools or --read-only out of: {seen.shown}",
        )
    if tools.isdisjoint(_our_tools()):
        return Check(name, PROBLEM, f"{text}, and none of ours: a stranger's server", again)
    if not os.path.isabs(program):
        return Check(name, WARNING, f"{text}; editors may not find {program}", again)
    return Check(name, OK, text)


def _our_tools() -> tuple[str, ...]:
    from codexapi_mcp.options import Options

    return Options().tools


async def _tools(command: list[str], env: dict[str, str]) -> set[str]:
    """The names of a server's tools. Raises ValueError."""
    from mcp import Client, MCPError, StdioServerParameters

    # An editor gives a server little of its environment, and no folder that can be relied on.
    server = StdioServerParameters(
        command=command[0], args=command[1:], env=env or None, cwd=Path(Path.home().anchor)
    )
    failure: BaseException | None = None
    try:
        with anyio.fail_after(SECONDS):
            async with Client(server) as client:
                return {tool.name for tool in (await client.list_tools()).tools}
    except* (MCPError, OSError, ValueError, BrokenResourceError, ClosedResourceError) as group:
        failure = next(_leaves(group))
    late = isinstance(failure, TimeoutError)
    why = f"answer within {SECONDS:.0f} s" if late else f"speak MCP: {failure or 'it ended'}"
    raise ValueError(f"it does not {why}")


def _leaves(group: BaseExceptionGroup[Any]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


def _where(seen: Registration) -> dict[str, Any]:
    return described(seen)


def _to_json(finding: Check) -> dict[str, Any]:
    return {"health": finding.state, "told": finding.text, "fix": finding.fix}


def _render(finding: Check) -> Iterator[str]:
    yield f"{finding.state:<7}  {finding.name:<24}  {finding.text}".rstrip()
    if finding.fix:
        yield f"{'':<7}  {'':<24}  {finding.advice}"
