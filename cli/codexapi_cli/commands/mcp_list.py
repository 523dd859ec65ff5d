"""`codexapi mcp list`: shows which programs have our server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..integrations.system import System
from ..parser.options import Json
from ..terminal.output import ending, note, put, put_json

if TYPE_CHECKING:
    from ..integrations.registration import Registration


def list_(as_json: Json = False) -> None:
    """List the clients on this machine, and whether the server is registered in each.

    An entry is stale where it starts a program that is gone; `codexapi mcp install` renews it.
    """
    with ending(as_json=as_json):
        from ..integrations import registration

        seen = list(registration.found(System.this()))
        if as_json:
            put_json([described(one) for one in seen])
            return
        here = [one for one in seen if one.state != registration.NOT_HERE]
        width = max((len(one.place.client.title) for one in here), default=0)
        for one in here:
            where = one.place
            parts = (str(where.path), one.shown, f"({one.problem})" if one.problem else "")
            line = "  ".join(part for part in parts if part)
            put(f"{where.client.title:<{width}}  {where.scope:<7}  {one.state:<14}  {line}\n")
        missing = [one.place.client.title for one in seen if one.state == registration.NOT_HERE]
        note(f"Not on this machine: {', '.join(missing)}")


def described(seen: Registration) -> dict[str, Any]:
    where = seen.place
    return {
        "client": where.client.name,
        "title": where.client.title,
        "scope": str(where.scope),
        "path": str(where.path),
        "state": seen.state,
        "told": seen.problem,
        "command": seen.command,
        "env": sorted(seen.env),
    }
