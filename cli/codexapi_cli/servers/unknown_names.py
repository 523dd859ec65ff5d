"""Asks a running server what the backend has sent it that codexapi does not know."""

from __future__ import annotations

import json
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlsplit

from codexapi_engine.protocol.secret import Secret
from codexapi_engine.protocol.shapes import get_dict
from codexapi_engine.unknown import described

from .registry import reachable, running

_WAIT = 2.0
_MAX_BYTES = 1 << 20


def unknown_names(state_dir: Path, key: Secret | None) -> list[tuple[int, list[str]]]:
    """By the ports of the running servers: "event `response.x` 12 ×"."""
    found = []
    for server in running(state_dir):
        if server.url is not None and (names := _names_at(reachable(server.url), key)):
            found.append((server.port, names))
    return found


def _names_at(url: str, key: Secret | None) -> list[str]:
    """None where the server does not answer, or has another key."""
    connection = HTTPConnection(urlsplit(url).netloc, timeout=_WAIT)
    headers = {"Authorization": f"Bearer {key.reveal()}"} if key else {}
    try:
        connection.request("GET", "/status.json", headers=headers)
        status = json.loads(connection.getresponse().read(_MAX_BYTES))
    except (OSError, HTTPException, ValueError, RecursionError):
        return []
    finally:
        connection.close()
    seen = get_dict(status, "seen") if isinstance(status, dict) else {}
    return described({kind: get_dict(seen, kind) for kind in seen})
