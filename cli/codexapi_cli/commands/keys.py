"""`codexapi keys`: makes, lists and revokes the keys of programs."""

from __future__ import annotations

from typing import Annotated

import typer

from ..parser import completers
from ..parser.options import Json, command
from ..settings import settings
from ..terminal.output import LOCAL_FILE, Problem, ending, put, put_json, run, say
from ..terminal.plan import local

app = command()

EXAMPLES = """
# Make a key for a program, and see which there are
$ codexapi keys add editor
$ codexapi keys list

# End it: the next request with it is refused
$ codexapi keys revoke editor
"""
ADD_EXAMPLES = """
# Make a key for a program
$ codexapi keys add editor

# Into a file, which the program reads
$ codexapi keys add builder > key.txt
"""
LIST_EXAMPLES = """
# List the programs with a key
$ codexapi keys list

# For a program
$ codexapi keys list --json
"""
REVOKE_EXAMPLES = """
# Make a key, and end it
$ codexapi keys add editor
$ codexapi keys revoke editor
"""
Name = Annotated[str, typer.Argument(metavar="NAME", help="A name for the program")]
Existing = Annotated[
    str,
    typer.Argument(metavar="NAME", help="The program", autocompletion=completers.program_keys),
]


@app.callback(epilog=EXAMPLES)
def keys() -> None:
    """Give each program a key of its own, to tell them apart and to turn one away.

    While there is a key, the server demands one: one of these, or that of --api-key.
    """


@app.command(epilog=ADD_EXAMPLES)
def add(name: Name) -> None:
    """Make a key for a program, and print it: this once, since only its hash is kept."""
    run(_add_key(name))


async def _add_key(name: str) -> None:
    from codexapi_engine.program_keys import ProgramKeys

    try:
        key = await ProgramKeys(settings().state_dir).add(name)
    except OSError as error:
        raise Problem(f"the key cannot be kept: {error}", LOCAL_FILE) from None
    put(f"{key.reveal()}\n")
    say(
        f"codexapi: the key of {name}, shown this once. From now on the server demands a key: "
        f"`codexapi keys revoke {name}` ends this one"
    )


@app.command("list", epilog=LIST_EXAMPLES)
def list_(as_json: Json = False) -> None:
    """List the programs that have a key."""
    from codexapi_engine.program_keys import ProgramKeys

    with ending(as_json=as_json):
        found = list(ProgramKeys(settings().state_dir).load().values())
        if as_json:
            put_json([{"name": key.name, "created_at": key.created_at} for key in found])
            return
        if not found:
            say("codexapi: no program has a key: `codexapi keys add NAME` makes one")
        width = max((len(key.name) for key in found), default=0)
        for key in found:
            put(f"{key.name:<{width}}  since {local(key.created_at)}\n")


@app.command(epilog=REVOKE_EXAMPLES)
def revoke(name: Existing) -> None:
    """End the key of a program: a running server refuses it from its next request on."""
    run(_revoke(name))


async def _revoke(name: str) -> None:
    from codexapi_engine.program_keys import ProgramKeys

    keys = ProgramKeys(settings().state_dir)
    try:
        if not await keys.revoke(name):
            raise Problem(f"{name} has no key: `codexapi keys list` shows which have one")
    except OSError as error:
        raise Problem(f"the key cannot be revoked: {error}", LOCAL_FILE) from None
    say(f"codexapi: the key of {name} is revoked")
    if not keys.load():
        say("codexapi: no program has a key any more: the server demands none but --api-key's")
