"""`codexapi history`: lists, shows and deletes the chats on this machine."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import datetime
from itertools import islice
from typing import Annotated

import typer

from codexapi_engine.errors import JsonObject

from ..conversation.chat_history import ChatHistory, path_in, transcript
from ..parser import completers
from ..parser.options import Demo, Json, command
from ..settings import settings
from ..terminal.output import USAGE, Problem, ending, note, put, put_json, put_path, say

app = command()

LATEST = "latest"
Ids = Annotated[
    list[str],
    typer.Argument(
        metavar="ID",
        help="Ids of chats, or how they begin; latest: the latest chat",
        autocompletion=completers.chats,
    ),
]
EXAMPLES = """
# List the latest chats
$ codexapi history

# Find those with a word in a question or an answer
$ codexapi history --search kubernetes

# Print the latest chat, and continue it
$ codexapi history show
$ codexapi chat -c "and then?"
"""
SHOW_EXAMPLES = """
# Print the latest chat
$ codexapi history show

# Save it
$ codexapi history show > chat.md
"""
RM_EXAMPLES = """
# List the chats: their ids stand first
$ codexapi history

# Delete the latest one
$ codexapi history rm latest
"""
CLEAR_EXAMPLES = """
# Delete all chats without asking
$ codexapi history clear --yes

# Those with the simulated backend
$ codexapi history clear --yes --demo
"""
PATH_EXAMPLES = """
# Print the path
$ codexapi history path

# The same for chats with the simulated backend
$ codexapi history path --demo
"""


@app.callback(invoke_without_command=True, epilog=EXAMPLES)
def history(
    ctx: typer.Context,
    limit: Annotated[
        int, typer.Option("-n", "--limit", metavar="N", min=1, help="Most chats to list")
    ] = 20,
    search: Annotated[
        str | None,
        typer.Option("-S", "--search", metavar="TEXT", help="List the chats with this text alone"),
    ] = None,
    as_json: Json = False,
    demo: Demo = False,
) -> None:
    """List the chats that are kept on this machine, the latest first.

    `codexapi chat --cid ID` continues one of them, `codexapi chat -c` the latest.
    """
    if ctx.invoked_subcommand is not None:
        return

    def work(chats: ChatHistory) -> None:
        found = chats.heads() if search is None else chats.search(search)
        heads = list(islice(found, limit))
        if as_json:
            put_json(heads)
            return
        if not heads and search is not None:
            note("codexapi: no chat has this text; `codexapi history` lists all")
        elif not heads:
            note("codexapi: no chat is kept here yet; `codexapi chat` begins one")
        for head in heads:
            when = datetime.fromtimestamp(head["updated_at"])
            put(f"{head['cid']}  {when:%Y-%m-%d %H:%M}  {head['model']}  {head['title']}\n")

    _with_history(work, demo=demo, as_json=as_json)


@app.command(epilog=SHOW_EXAMPLES)
def show(
    cid: Annotated[
        str | None,
        typer.Argument(
            metavar="ID", help="Id of a chat, or how it begins (default: the latest)",
            autocompletion=completers.chats,
        ),
    ] = None,
    as_json: Json = False,
    demo: Demo = False,
) -> None:  # fmt: skip
    """Print a chat as Markdown, or all of it as JSON."""

    def work(chats: ChatHistory) -> None:
        head = _found(chats, cid)
        items = chats.items(head["cid"])
        if as_json:
            put_json({**head, "items": items})
        else:
            put(transcript(items))

    _with_history(work, demo=demo, as_json=as_json)


@app.command(epilog=RM_EXAMPLES)
def rm(cids: Ids, demo: Demo = False) -> None:
    """Delete chats."""

    def work(chats: ChatHistory) -> None:
        for head in [_found(chats, cid) for cid in cids]:
            chats.remove(head["cid"])

    _with_history(work, demo=demo)


@app.command(epilog=CLEAR_EXAMPLES)
def clear(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask")] = False, demo: Demo = False
) -> None:
    """Delete all chats."""
    if not yes and not (sys.stdin.isatty() and typer.confirm("Delete all chats?", err=True)):
        say("codexapi: nothing was deleted; --yes does it without asking")
        raise typer.Exit(USAGE)

    _with_history(ChatHistory.clear, demo=demo)


@app.command(epilog=PATH_EXAMPLES)
def path(demo: Demo = False) -> None:
    """Print the path of the file that holds the chats."""
    put_path(path_in(settings(demo=demo)))


def _with_history(
    work: Callable[[ChatHistory], None], *, demo: bool, as_json: bool = False
) -> None:
    with ending(as_json=as_json), ChatHistory(path_in(settings(demo=demo))) as chats:
        work(chats)


def _found(chats: ChatHistory, cid: str | None) -> JsonObject:
    head = chats.find(None if cid == LATEST else cid)
    if head is None:
        why = (
            "no chat is kept yet"
            if cid in (None, LATEST)
            else f"{cid}: there is no such chat, or more than one; `codexapi history` lists them"
        )
        raise Problem(f"history: {why}")
    return head
