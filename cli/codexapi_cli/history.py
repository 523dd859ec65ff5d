"""`codexapi history`: the chats that are kept on this machine."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import datetime
from typing import Annotated

import typer

from codexapi_engine.errors import JsonObject

from .options import Demo, Json, command, settings
from .past import Past, path_in, transcript
from .terminal import USAGE, Problem, ending, put, put_json, put_path, say

app = command()

Ids = Annotated[list[str], typer.Argument(metavar="ID...", help="Their beginnings will do.")]


@app.callback(invoke_without_command=True)
def history(
    ctx: typer.Context,
    limit: Annotated[int, typer.Option("-n", "--limit", min=1, help="How many, at most.")] = 20,
    as_json: Json = False,
    demo: Demo = False,
) -> None:
    """List the chats that are kept on this machine, the latest first.

    `codexapi chat --cid ID` goes on with one, `codexapi chat -c` with the latest.
    """
    if ctx.invoked_subcommand is not None:
        return

    def work(past: Past) -> None:
        heads = [head for head, _ in zip(past.heads(), range(limit), strict=False)]
        if as_json:
            put_json(heads)
            return
        for head in heads:
            when = datetime.fromtimestamp(head["updated_at"])
            put(f"{head['cid']}  {when:%Y-%m-%d %H:%M}  {head['model']}  {head['title']}\n")

    _with_past(work, demo=demo, as_json=as_json)


@app.command()
def show(
    cid: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="Its beginning will do. [default: latest]")
    ] = None,
    as_json: Json = False,
    demo: Demo = False,
) -> None:
    """Print a chat as Markdown, or all of it as JSON."""

    def work(past: Past) -> None:
        head = _found(past, cid)
        items = past.items(head["cid"])
        if as_json:
            put_json({**head, "items": items})
        else:
            put(transcript(items))

    _with_past(work, demo=demo, as_json=as_json)


@app.command()
def rm(cids: Ids, demo: Demo = False) -> None:
    """Forget chats."""

    def work(past: Past) -> None:
        for head in [_found(past, cid) for cid in cids]:
            past.remove(head["cid"])

    _with_past(work, demo=demo)


@app.command()
def clear(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False, demo: Demo = False
) -> None:
    """Forget all chats."""
    if not yes and not (sys.stdin.isatty() and typer.confirm("Forget all chats?", err=True)):
        say("codexapi: nothing was forgotten; --yes does it without asking")
        raise typer.Exit(USAGE)

    def work(past: Past) -> None:
        for head in list(past.heads()):
            past.remove(head["cid"])

    _with_past(work, demo=demo)


@app.command()
def path(demo: Demo = False) -> None:
    """Print where they are kept."""
    put_path(path_in(settings(demo=demo)))


def _with_past(work: Callable[[Past], None], *, demo: bool, as_json: bool = False) -> None:
    with ending(as_json=as_json), Past(path_in(settings(demo=demo))) as past:
        work(past)


def _found(past: Past, cid: str | None) -> JsonObject:
    head = past.find(cid)
    if head is None:
        why = "there is none" if cid is None else f"{cid}: there is no such chat, or more than one"
        raise Problem(f"history: {why}")
    return head
