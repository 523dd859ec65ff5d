"""The application: routes, guard, errors, and the engine that lives as long as it does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from codexapi_engine import Codex, CodexError, Settings
from codexapi_engine.state import State
from codexapi_engine.state.gallery import Gallery

from .background import Background
from .errors import codex_error, http_exception
from .guard import Guard
from .routes import ROUTES
from .shutdown import Shutdown


def create_app(
    codex: Codex | None = None, settings: Settings | None = None, *, state: State | None = None
) -> Starlette:
    """The server as an ASGI app. A `codex` or `state` of the caller's own stays open at the end."""
    settings = settings or (codex.settings if codex else Settings.from_env())

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        app.state.codex = codex or Codex(settings)
        app.state.kept = state or State(settings.state)
        app.state.background = Background(app.state.codex, app.state.kept)
        try:
            yield
        finally:
            await app.state.background.aclose()
            if state is None:
                app.state.kept.close()
            if codex is None:
                await app.state.codex.aclose()

    app = Starlette(
        routes=ROUTES,
        middleware=[Middleware(Guard, settings=settings)],
        exception_handlers={
            CodexError: codex_error,
            HTTPException: http_exception,
        },
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False  # a path is ours or it is not
    app.state.settings = settings
    app.state.shutdown = Shutdown()
    app.state.gallery = Gallery(settings.state_dir / "images")
    return app
