"""Assembles the ASGI application: routes, guard, error handlers, and the engine's lifetime."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from types import SimpleNamespace
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from codexapi_engine import Codex, CodexError, Settings
from codexapi_engine.images.hosting import HostedImages
from codexapi_engine.storage import State

from .background import Background
from .dialect import DialectRoutes, Dialects, dialect_of
from .endpoint import Endpoint
from .errors import codex_error, http_exception
from .middleware.guard import Guard
from .mount import Counted, MountedApp
from .reports import Reports
from .requests import Bodies
from .routes import DIALECTS, ROUTES
from .routes.health import healthz
from .routes.page import ROUTES as PAGE
from .routes.page import Snippets, no_snippets
from .routes.status import ROUTES as STATUS
from .server.lifecycle import Shutdown
from .server.uvicorn_protocol import Deadlines
from .status import Status


def create_app(
    codex: Codex | None = None,
    settings: Settings | None = None,
    *,
    state: State | None = None,
    mounts: Sequence[MountedApp] = (),
    dialects: Sequence[DialectRoutes] = (),
    api: bool = True,
    reports: Reports | None = None,
    deadlines: Deadlines | None = None,
    snippets: Snippets = no_snippets,
) -> Starlette:
    """The server as an ASGI app. A `codex` or `state` of the caller's own stays open at the end.
    `dialects` stand beside OpenAI's. Without `api` there is nothing but the annexes. `reports` is what
    a `codex` of the caller's own reports to. `snippets` are the texts that the page shows."""
    settings = settings or (codex.settings if codex else Settings.from_env())
    reports = reports or Reports(metrics=settings.metrics)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        app.state.codex = codex or Codex(settings, observer=reports)
        app.state.kept = state or State(settings.state)
        app.state.status = Status(app.state.codex, settings, reports)
        app.state.background = Background(app.state.codex, app.state.kept)
        try:
            async with AsyncExitStack() as stack:
                for mount in mounts:
                    await stack.enter_async_context(mount.lifespan())
                yield
        finally:
            await app.state.background.aclose()
            if state is None:
                app.state.kept.close()
            if codex is None:
                await app.state.codex.aclose()

    routes = [
        *(ROUTES if api else [Route("/healthz", healthz)]),
        *(Route(mounted.path, Counted(mounted)) for mounted in mounts),
        *_extra(api and settings.serves_page, reports),
    ]
    spoken = Dialects(routes, (*DIALECTS, *dialects) if api else ())
    app = App(
        dialects=spoken,
        guard=lambda inside: Guard(
            inside, settings=settings, dialects=spoken, reports=reports, deadlines=deadlines
        ),
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False  # a path is ours or it is not
    _fill_state(app.state, settings, reports, deadlines or Deadlines(), snippets)
    return app


def _fill_state(
    state: SimpleNamespace,
    settings: Settings,
    reports: Reports,
    deadlines: Deadlines,
    snippets: Snippets,
) -> None:
    """What the endpoints find in the app's state, beside that of its life."""
    state.settings = settings
    state.reports = reports
    state.shutdown = Shutdown()
    state.snippets = snippets
    state.bodies = Bodies()
    state.deadlines = deadlines
    state.hosted_images = HostedImages(settings.state_dir / "images")


class App(Starlette):
    """Starlette's, with the guard outermost and a short way to the endpoints that are asked most:
    what it puts round each of them costs more than they do."""

    def __init__(
        self,
        *,
        dialects: Dialects,
        guard: Callable[[ASGIApp], ASGIApp],
        lifespan: Callable[[Starlette], AbstractAsyncContextManager[None]],
    ) -> None:
        super().__init__(routes=dialects.openai.routes, lifespan=lifespan)
        self.state: Any = SimpleNamespace()  # Starlette's own looks each name up by a call
        self.dialects = dialects
        self._guard = guard
        self._routers = {
            entry.dialect.name: Router(entry.routes, redirect_slashes=False)
            for entry in dialects
            if entry is not dialects.openai
        }
        self._straight = {
            (entry.dialect.name, method, route.path): route
            for entry in dialects
            for route in entry.routes
            if isinstance(route.endpoint, Endpoint) and not route.param_convertors
            for method in route.methods or ()
        }

    def build_middleware_stack(self) -> ASGIApp:
        handlers = {CodexError: codex_error, HTTPException: http_exception}

        async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
            router = self._routers.get(dialect_of(scope).name, self.router)
            await router(scope, receive, send)

        usual = ExceptionMiddleware(dispatch, handlers=handlers)

        async def inside(scope: Scope, receive: Receive, send: Send) -> None:
            route = None
            if scope["type"] == "http":
                name = dialect_of(scope).name
                route = self._straight.get((name, scope["method"], scope["path"]))
            if route is None:
                await usual(scope, receive, send)
            else:
                scope["route"] = route
                await route.app(scope, receive, send)

        return self._guard(inside)


def _extra(page: bool, reports: Reports) -> list[Route]:
    routes = [*PAGE, *STATUS] if page else []
    if reports.metrics is not None:
        from .metrics import ROUTE  # with the library, for --metrics alone

        routes.append(ROUTE)
    return routes
