"""`codexapi mcp install` and `uninstall`: registers our server with other programs."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..integrations.system import Scope, System
from ..parser import completers
from ..parser.help_text import DocumentedCommand
from ..parser.options import Json, ReadOnly, Tools
from ..settings import checked
from ..terminal.output import Problem, ending, note, put, put_json, say

if TYPE_CHECKING:
    from ..integrations.mcp_clients import McpClient
    from ..integrations.registration import SettingsTarget

WRITTEN = (
    "amp, claude-code, claude-desktop, cline, codex, copilot, cursor, gemini, goose, jetbrains, kiro, "
    "lm-studio, opencode, qwen-code, vscode, vscode-insiders, warp, windsurf, zed"
)
PASTED = "continue, crush, roo"
"""Names alone: what is known of the clients is not loaded for a help."""


class ClientsCommand(DocumentedCommand):
    def sections(self) -> dict[str, list[tuple[str, str]]]:
        return {"Clients": [("settings are written", WRITTEN), ("settings to paste", PASTED)]}


Names = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="CLIENT", help="Names of clients, as below", autocompletion=completers.mcp_clients
    ),
]
AllDetected = Annotated[
    bool, typer.Option("--all-detected", help="All clients that are on this machine")
]
Where = Annotated[
    Scope, typer.Option("--scope", help="For all your projects, or only for this folder")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would change, as a diff")]
Force = Annotated[
    bool, typer.Option("--force", help="Also where a different entry has the name codexapi")
]


def install(
    clients: Names = None,
    all_detected: AllDetected = False,
    print_: Annotated[
        bool, typer.Option("--print", help="Print what to paste, and change nothing")
    ] = False,
    dry_run: DryRun = False,
    scope: Where = Scope.USER,
    env: Annotated[
        list[str] | None,
        typer.Option(
            "--env",
            metavar="NAME[=VALUE]",
            help="Environment variable for the server; may be repeated",
        ),
    ] = None,
    required: Annotated[
        bool, typer.Option("--required", help="Codex only: do not start without this server")
    ] = False,
    tools: Tools = None,
    read_only: ReadOnly = False,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Register the server with editors and agents.

    Changes one entry in a client's settings and nothing else, and keeps a backup beside the file.
    Settings that cannot be edited safely are printed for you to paste (exit code 7). If a client
    already has a different entry named codexapi, nothing is changed (exit code 8). An entry of
    ours keeps the options that you added to it; --tools and --read-only replace those two.
    """
    with ending(as_json=as_json):
        from ..integrations import itself, registration
        from ..integrations.edits import Refused

        options = _options(tools, read_only=read_only)
        command = [*itself.command(), "mcp", "serve", *options]
        variables = registration.environment(env or [], os.environ)

        def one(client: McpClient, where: SettingsTarget) -> dict[str, Any]:
            value = client.registration(command, variables, required=required)
            text = registration.pasted(where, value)
            if print_:
                link = client.link_to(value)
                return {"state": "printed", "snippet": text, **({"link": link} if link else {})}
            try:
                if not force:
                    value = registration.renewed(where, value, options)
                ours = bool(options) and registration.look(where).state == registration.OURS
                change = registration.plan(where, value, force=force or ours)
                if dry_run:
                    shown = registration.shown(where, change, value)
                    return {"state": "would change" if change else "unchanged", "diff": shown}
                if not change:
                    return {"state": "unchanged"}
                backup = registration.add(where, value, change)
            except Refused as error:
                return {**failed(error), "snippet": text}
            return {"state": "registered", **kept(backup), "then": client.after}

        _each(clients, all_detected, scope, as_json, one)


def uninstall(
    clients: Names = None,
    all_detected: AllDetected = False,
    dry_run: DryRun = False,
    scope: Where = Scope.USER,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Remove the server from editors and agents.

    Restores the settings file as it was. If it has changed since, only the entry of codexapi is
    removed.
    """
    with ending(as_json=as_json):
        from ..integrations import registration
        from ..integrations.edits import Refused

        def one(client: McpClient, where: SettingsTarget) -> dict[str, Any]:
            if not client.written:
                raise Problem(f"{client.title}: take it out of {where.path} yourself")
            try:
                change = registration.plan_removal(registration.look(where), force=force)
                if dry_run:
                    shown = registration.shown(where, change, None)
                    return {"state": "would change" if change else "unchanged", "diff": shown}
                if not change:
                    return {"state": "unchanged"}
                backup = registration.take_out(where, change)
            except Refused as error:
                return failed(error)
            return {"state": "removed", **kept(backup)}

        _each(clients, all_detected, scope, as_json, one)


def _options(tools: str | None, *, read_only: bool) -> list[str]:
    """What `mcp serve` is started with. Raises Problem."""
    options = ["--read-only"] if read_only else []
    if tools is None:
        return options
    from codexapi_mcp.options import checked_groups

    return ["--tools", ",".join(checked("--tools", checked_groups, tools)), *options]


def failed(error: Problem) -> dict[str, Any]:
    return {"state": "failed", "error": error.body(), "exit_code": error.exit_code}


def kept(backup: object) -> dict[str, Any]:
    return {"backup": str(backup)} if backup else {}


def _each(
    names: Sequence[str] | None,
    all_detected: bool,
    scope: Scope,
    as_json: bool,
    one: Callable[[McpClient, SettingsTarget], dict[str, Any]],
) -> None:
    """Does it for each client, tells how it went, and ends with the first exit code that is not
    zero: one client's trouble is not the next one's."""
    from ..integrations import registration

    system = System.this()
    chosen = registration.named(names or [])
    chosen += [c for c in registration.detected(system) if all_detected and c not in chosen]
    if not chosen and all_detected:
        raise Problem("none of the clients was found on this machine; --help lists all")
    if not chosen:
        found = ", ".join(client.name for client in registration.detected(system))
        here = f"on this machine: {found}" if found else "none was found on this machine"
        raise Problem(f"name a client: {here}; --help lists all")
    results, code = [], 0
    for client in chosen:
        where = None
        try:
            where = registration.place(client, scope, system)
            result = one(client, where)
        except Problem as problem:
            result = failed(problem)
        code = code or result.pop("exit_code", 0)
        path = {"path": str(where.path)} if where else {}
        results.append({"client": client.name, "scope": str(scope), **path, **result})
        if not as_json:
            _report(client, results[-1])
    if as_json:
        put_json(results)
    raise typer.Exit(code)


def _report(client: McpClient, result: dict[str, Any]) -> None:
    """A change is printed on stdout, which can be piped; all else on stderr."""
    state, title = result["state"], client.title
    if state == "failed":
        say(f"codexapi: {title}: {result['error']['message']}")
        put(result.get("snippet", ""))
    elif state == "printed":
        note(f"{title}: into {result['path']}. {client.after}")
        put(result["snippet"])
        if "link" in result:
            note(f"Or open: {result['link']}")
    elif state in ("registered", "removed"):
        put(f"{title}: {state} ({result['path']})\n")
        for line in filter(None, (result.get("then"), _backup(result))):
            note(f"  {line}")
    elif state == "would change":
        put(result["diff"])
    else:
        note(f"{title}: nothing to do ({result['path']})")


def _backup(result: dict[str, Any]) -> str | None:
    return f"Its settings as they were: {result['backup']}" if "backup" in result else None
