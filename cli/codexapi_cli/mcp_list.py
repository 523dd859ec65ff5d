"""`codexapi mcp list`: what is registered where."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from .options import Json
from .terminal import ending, put, put_json

if TYPE_CHECKING:
    from .registration import Registration


def list_(as_json: Json = False) -> None:
    """List the clients on this machine, and whether the server is registered there."""
    with ending(as_json=as_json):
        from . import registration
        from .system import System

        seen = list(registration.found(System.this()))
        if as_json:
            put_json([described(one) for one in seen])
            return
        width = max(len(one.place.client.title) for one in seen)
        for one in seen:
            where, line = one.place, one.told or str(one.place.path)
            if one.command:
                line += f"  {shlex.join(one.command)}"
            put(f"{where.client.title:<{width}}  {where.scope:<7}  {one.state:<14}  {line}\n")


def described(seen: Registration) -> dict[str, Any]:
    where = seen.place
    return {
        "client": where.client.name,
        "title": where.client.title,
        "scope": str(where.scope),
        "path": str(where.path),
        "state": seen.state,
        "command": seen.command,
        "env": sorted(seen.env),
    }
