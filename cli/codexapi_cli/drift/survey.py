"""Runs the official client against codexapi and the simulated backend, and compares."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

import codexapi_engine as engine
from codexapi_engine.http.in_process import in_process
from codexapi_engine.login.store import InMemory
from codexapi_engine.simulator import Simulator

from ..terminal.output import BACKEND, Problem
from .differences import Difference, compare, compare_forwarded, judged
from .hop import Hop
from .official_client import OfficialClient, bundled_catalogue, find, take_turns
from .picture import ClientPicture, RequestPicture, expected_picture, picture_of, pictures
from .requests import ClientRequest, kind_of, parse, to_object

ALL_TURNS = 4
"""How often the time for one answer all turns may take together."""

Headers = Mapping[str, str]
Answer = tuple[int, Headers, AsyncIterator[bytes]]
Serve = Callable[[engine.Codex], AbstractAsyncContextManager[str]]
"""Serves the API on loopback; gives its URL."""


@dataclass(frozen=True)
class Survey:
    client: OfficialClient
    picture: ClientPicture
    requests: int
    differences: list[Difference]


@dataclass(frozen=True)
class Turns:
    """What passed in one run of all turns."""

    turns: Mapping[str, str]  # what went wrong in each
    sent: list[ClientRequest]  # by the client
    received: Mapping[str, RequestPicture]  # by the backend


async def survey(path: str | None, serve: Serve, timeout: float | None = None) -> Survey:
    """Raises Problem where the client is missing, too old, or cannot be run."""
    client = await find(path, timeout)
    try:
        async with asyncio.timeout(total := ALL_TURNS * client.timeout):
            return await _survey(client, serve)
    except TimeoutError:
        took = f"{client.program} ({client.version}) took longer than {total:g} s"
        raise Problem(took, BACKEND) from None


async def _survey(client: OfficialClient, serve: Serve) -> Survey:
    catalogue = await bundled_catalogue(client)
    sockets = await run_turns(client, serve, sockets=True)
    plain = await run_turns(client, serve, sockets=False)
    sent = [*sockets.sent, *plain.sent]
    picture = picture_of(client, sent, catalogue)
    turns = {name: sockets.turns[name] or plain.turns[name] for name in plain.turns}
    found = list(compare(picture, expected_picture(), turns))
    for run in (sockets, plain):
        found += compare_forwarded(pictures(run.sent), run.received)
    unique = list(dict.fromkeys(found))
    return Survey(client, picture, len(sent), judged(unique, client.version))


async def run_turns(client: OfficialClient, serve: Serve, *, sockets: bool) -> Turns:
    """All turns, over a WebSocket where the client wants one, or over HTTP alone."""
    backend, received = Simulator(), []

    async def handle(method: str, target: str, headers: Headers, body: bytes) -> Answer:
        pairs = [(name.lower(), value) for name, value in headers.items()]
        received.append(ClientRequest(kind_of(method, target), pairs, to_object(body)))
        return await backend.handle(method, target, headers, body)

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        settings = engine.Settings(
            codex_home=Path(folder), state_dir=Path(folder), transcribe_audio=False
        )
        codex = engine.Codex(settings, http=in_process(handle), store=InMemory(backend.login()))
        async with (
            codex,
            serve(codex) as url,
            Hop(url, sockets=sockets).listening() as hop,
        ):
            turns = await take_turns(client, f"{hop.url}/v1", backend.login())
        return Turns(turns, parse(hop.connections), pictures(received))
