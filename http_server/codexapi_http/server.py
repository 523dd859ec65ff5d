"""`serve`: the application in a process of its own."""

from __future__ import annotations

import asyncio
import socket

from codexapi_engine import Codex, CodexError, Settings, Unavailable
from codexapi_engine.settings import is_loopback
from codexapi_engine.state import State

from .app import create_app
from .process import PORT_IN_USE, Process, listen, say

LOCAL_FILE = 7
"""The exit code where a file of the user's cannot be used."""


def serve(settings: Settings) -> int:
    """Serves until a signal comes; returns the exit code. Says when it is ready, on stderr.

    Raises CodexError where the settings would open the login to others.
    """
    if not is_loopback(settings.host) and not settings.api_key:
        raise CodexError(
            f"{settings.host} can be reached by others: set a key with --api-key or "
            "CODEXAPI_API_KEY, or stay on 127.0.0.1",
            code="key_required",
        )
    try:
        listening = listen(settings.host, settings.port)
    except OSError as error:
        say(f"codexapi: {settings.host}:{settings.port}: {error.strerror}; choose another --port")
        return PORT_IN_USE
    try:
        state = State(settings.state)
    except Unavailable as error:
        listening.close()
        say(f"codexapi: {error}; choose another --state")
        return LOCAL_FILE
    try:
        return asyncio.run(_serve(settings, state, listening))
    finally:
        state.close()


async def _serve(settings: Settings, state: State, listening: socket.socket) -> int:
    async with Codex(settings) as codex:
        app = create_app(codex, settings, state=state)
        shutdown = app.state.shutdown

        async def ready(url: str) -> None:
            say(f"codexapi ready on {url}/v1")
            await _warn(settings, codex)

        def stop(now: bool) -> None:
            shutdown.begin()
            if now:
                shutdown.end_all()

        return await Process(app, ready=ready, stop=stop, drain=settings.drain).run_on(listening)


async def _warn(settings: Settings, codex: Codex) -> None:
    """What the user should know before the first request, a line each."""
    if settings.demo:
        say("codexapi: --demo: answers are simulated; no login is used")
    else:
        if (problem := await codex.login_problem()) is not None:
            say(f"codexapi: {problem} (until then, requests get a 401)")
        if settings.foreign:
            say(f"codexapi: your login is sent to {settings.base_url}, as you asked")
    if not is_loopback(settings.host):
        say("codexapi: open to your network: for your own devices only, never for other people")
