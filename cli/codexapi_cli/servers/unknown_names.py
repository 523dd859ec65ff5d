"""Asks a running server what the backend has sent it that codexapi does not know."""

from __future__ import annotations

from pathlib import Path

from codexapi_engine.protocol.secret import Secret
from codexapi_engine.protocol.shapes import get_dict
from codexapi_engine.unknown import described

from ..terminal.output import Problem
from .live import status_at
from .registry import running

_WAIT = 2.0


def unknown_names(state_dir: Path, key: Secret | None) -> list[tuple[int, list[str]]]:
    """By the ports of the running servers: "event `response.x` 12 ×"."""
    found = []
    for server in running(state_dir):
        if server.url is not None and (names := _names_at(server.url, key)):
            found.append((server.port, names))
    return found


def _names_at(url: str, key: Secret | None) -> list[str]:
    """None where the server does not answer, or has another key."""
    try:
        seen = get_dict(status_at(url, key, timeout=_WAIT), "seen")
    except Problem:
        return []
    return described({kind: get_dict(seen, kind) for kind in seen})
