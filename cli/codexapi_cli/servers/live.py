"""Asks a running server what it knows of its requests, and sums them up by program."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from codexapi_engine.errors import JsonObject
from codexapi_engine.protocol.secret import Secret
from codexapi_engine.protocol.shapes import get_dict, get_int, get_list, get_str

from ..terminal.output import BACKEND, LOGIN, Problem
from .registry import Server, reachable

TIMEOUT = 5.0
_MAX_BYTES = 8_000_000
UNKNOWN = "unknown"
"""The program of a request that names none."""


def status_at(url: str, key: Secret | None) -> JsonObject:
    """What the server at a URL says. Raises Problem."""
    from http.client import HTTPConnection, HTTPException, HTTPSConnection  # only to contact one

    parts = urlsplit(reachable(url))
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    connection = kind(parts.netloc, timeout=TIMEOUT)
    headers = {"Authorization": f"Bearer {key.reveal()}"} if key else {}
    try:
        connection.request("GET", "/status.json", headers=headers)
        response = connection.getresponse()
        status, body = response.status, response.read(_MAX_BYTES)
        report = json.loads(body) if status == 200 else {}
    except (OSError, HTTPException, ValueError, RecursionError) as error:
        raise Problem(f"no codexapi answers at {url}: {error}", BACKEND) from None
    finally:
        connection.close()
    if status in (401, 403):
        fix = "set CODEXAPI_API_KEY to it; `codexapi keys add NAME` makes one"
        raise Problem(f"the server at {url} wants its key: {fix}", LOGIN)
    if status != 200 or not isinstance(report, dict):
        why = "it runs with --no-page, or is older or none of ours"
        raise Problem(f"the server at {url} tells nothing of its requests: {why}", BACKEND)
    return report


def chosen_server(found: list[Server], port: int | None, url: str | None) -> str:
    """The URL of the server that is meant. Raises Problem where that is not clear."""
    if url is not None:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Problem(f"--url: {url} is no URL of a server, as in http://127.0.0.1:18080")
        return f"{parts.scheme}://{parts.netloc}"
    if port is not None:
        named = [server for server in found if server.port == port and server.url]
        return named[0].url or "" if named else f"http://127.0.0.1:{port}"
    ready = [server.url for server in found if server.url]
    if len(ready) > 1:
        raise Problem(f"{len(ready)} servers run, at {', '.join(ready)}: name one with --port")
    if not ready:
        raise Problem("no server runs: `codexapi serve` starts one; --url names another")
    return ready[0]


def by_program(report: JsonObject) -> list[JsonObject]:
    """The requests that a report shows, summed up: the program with the most tokens first."""
    sums: dict[str, dict[str, Any]] = {}
    for entry, runs in _entries(report):
        program = get_str(entry, "program") or UNKNOWN
        one = sums.setdefault(
            program, {"program": program, "requests": 0, "running": 0, "input": 0, "output": 0}
        )
        one["requests"] += 1
        one["running"] += runs
        for kind in ("input", "output"):
            one[kind] += get_int(get_dict(entry, "tokens"), kind) or 0
    return sorted(sums.values(), key=lambda one: (-one["input"] - one["output"], one["program"]))


def _entries(report: JsonObject) -> Iterable[tuple[JsonObject, bool]]:
    for name in ("running", "recent"):
        for entry in get_list(report, name):
            if isinstance(entry, dict):
                yield entry, name == "running"
