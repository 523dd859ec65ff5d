"""`serve`: builds the application and runs it in a server process."""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress

from codexapi_engine import Codex, CodexError, Settings, Unavailable
from codexapi_engine.hardening import harden
from codexapi_engine.login.login_hint import with_client
from codexapi_engine.program_keys import ProgramKeys
from codexapi_engine.setting_values import is_loopback
from codexapi_engine.storage import State

from ..app import create_app
from ..logs import announce
from ..mount import AppFactory
from ..reports import Reports
from ..routes.page import Snippets, no_snippets
from .process import PORT_IN_USE, Process, cannot_listen, listen, run, url_of

LOCAL_FILE = 7
"""The exit code where a file of the user's cannot be used."""

Ready = Callable[[str, list[str]], None]
"""Hears of the URL, and of what the user should know, before both are said on stderr; may add to
what the user should know."""


def serve(
    settings: Settings,
    ready: Ready = lambda url, notes: None,
    *,
    mounts: Sequence[AppFactory] = (),
    api: bool = True,
    snippets: Snippets = no_snippets,
) -> int:
    """Serves until a signal comes; returns the exit code. Says when it is ready, on stderr.
    Without `api` it serves nothing but the annexes.

    Raises CodexError where the settings would open the login to others.
    """
    harden()
    if not is_loopback(settings.host) and not settings.api_key:
        raise CodexError(
            f"{settings.host} can be reached by others: set a key with --api-key or "
            "CODEXAPI_API_KEY, --api-key-file, or stay on 127.0.0.1",
            code="key_required",
        )
    listening: list[socket.socket] = []
    for host, port in addresses(settings, api):
        try:
            listening.append(listen(host, port))
        except OSError as error:
            _close_sockets(listening)
            announce(cannot_listen(host, port, error))
            return PORT_IN_USE
    try:
        state = State(settings.state)
    except Unavailable as error:
        _close_sockets(listening)
        announce(f"{error}; choose another --state")
        return LOCAL_FILE
    try:
        return run(_serve(settings, state, listening, ready, mounts, api, snippets), _loop())
    finally:
        state.close()


def addresses(settings: Settings, api: bool) -> list[tuple[str, int]]:
    """Where to listen, the server's own address first."""
    own, ollama = (settings.host, settings.port), settings.ollama_port if api else None
    on_loopback = settings.host in ("127.0.0.1", "0.0.0.0")
    if ollama is None or (on_loopback and ollama == settings.port != 0):
        return [own]
    return [own, ("127.0.0.1", ollama)]


def _close_sockets(sockets: list[socket.socket]) -> None:
    for each in sockets:
        each.close()


def _loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """A loop that wakes up more cheaply, where there is one: an event is a wake-up."""
    try:
        import uvloop
    except ImportError:  # Windows, PyPy
        return None
    return uvloop.new_event_loop


async def _serve(
    settings: Settings,
    state: State,
    listening: list[socket.socket],
    on_ready: Ready,
    builders: Sequence[AppFactory],
    api: bool,
    snippets: Snippets,
) -> int:
    reports = Reports(metrics=settings.metrics)
    async with Codex(settings, observer=reports) as codex:
        mounts = [build(codex) for build in builders]
        app = create_app(
            codex, settings, state=state, mounts=mounts, api=api, reports=reports, snippets=snippets
        )
        shutdown = app.state.shutdown

        async def ready(url: str) -> None:
            notes = [note async for note in _notes(settings, codex)]
            notes += [
                f"programs that look for Ollama find it at {url_of(s)}" for s in listening[1:]
            ]
            on_ready(url, notes)
            paths = (["/v1"] if api else []) + [mount.path for mount in mounts]
            _announce_ready(url, paths, notes, page=api and settings.serves_page)

        def stop(now: bool) -> None:
            shutdown.begin()
            for mount in mounts:
                mount.stop(now)
            if now:
                shutdown.end_all()

        return await Process(app, ready=ready, stop=stop, drain=settings.drain).run_on(*listening)


def _announce_ready(url: str, paths: Sequence[str], notes: Sequence[str], *, page: bool) -> None:
    for at in (f"{url}{path}" for path in paths):
        line = f"codexapi ready on {at}"
        announce(line, text=line, level=logging.INFO, always=True, url=at)
    on_terminal = sys.stderr.isatty()
    if on_terminal and page:
        announce(f"in a browser: {url}/", level=logging.INFO)
    for note in notes:
        announce(note, always=True)
    if on_terminal:
        announce("Ctrl-C ends it", level=logging.INFO)


async def _notes(settings: Settings, codex: Codex) -> AsyncIterator[str]:
    """What the user should know before the first request, a line each."""
    if settings.demo:
        yield "--demo: answers are simulated; no login is used"
    else:
        if (problem := await codex.login_problem()) is not None:
            yield f"{with_client(str(problem))} (until then, requests get a {problem.status})"
        if settings.foreign:
            yield f"your login is sent to {settings.base_url}, as you asked"
    if settings.record is not None:
        kept = "with prompts and answers" if settings.record_content else "without content"
        yield f"exchanges with the backend are recorded in {settings.record}, {kept}"
    try:
        if names := ProgramKeys(settings.state_dir).load():
            yield f"every request needs a key: that of {', '.join(names)}, or --api-key's"
    except Unavailable as error:
        yield f"{error}; until then, requests get a 503"
    if not is_loopback(settings.host):
        yield "open to your network: for your own devices only, never for other people"
    if logging.getLogger("codexapi").isEnabledFor(logging.INFO) and not settings.demo:
        with suppress(CodexError):  # reported above
            yield f"logged in, plan {(await codex.login.current()).plan or 'unknown'}"
