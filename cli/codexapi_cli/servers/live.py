"""Asks a running server what it knows of its requests, and sums them up by program."""

from __future__ import annotations

import json
from urllib.parse import SplitResult, urlsplit

from codexapi_engine.errors import JsonObject
from codexapi_engine.protocol.secret import Secret
from codexapi_engine.protocol.shapes import get_dict, get_list, get_str
from codexapi_engine.telemetry import ProgramUse, use_by_program

from ..terminal.output import BACKEND, LOGIN, Problem
from .registry import Server, reachable

TIMEOUT = 5.0
_MAX_BYTES = 8_000_000


def status_at(url: str, key: Secret | None, timeout: float = TIMEOUT) -> JsonObject:
    """What the server at a URL says. Raises Problem."""
    from http.client import HTTPConnection, HTTPException, HTTPSConnection  # only to contact one

    parts = urlsplit(reachable(url))
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    connection = kind(parts.netloc, timeout=timeout)
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
        parts = _parts(url if "://" in url else f"http://{url}")
        if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
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


def _parts(url: str) -> SplitResult | None:
    """The parts of a URL; None for what is none."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts if url.isprintable() and " " not in url else None


def by_program(report: JsonObject) -> list[ProgramUse]:
    """The requests that a report shows, summed up by program."""
    return use_by_program(
        (get_str(entry, "program"), name == "running", get_dict(entry, "tokens"))
        for name in ("running", "recent")
        for entry in get_list(report, name)
        if isinstance(entry, dict)
    )
