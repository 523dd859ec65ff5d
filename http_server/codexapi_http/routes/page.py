"""The page at `/` for a browser: three files, and the texts that the page shows."""

from __future__ import annotations

import hashlib
import html
import platform
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from string import Template
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from codexapi_engine import CodexError, __version__
from codexapi_engine.aside import aside
from codexapi_engine.errors import JsonObject
from codexapi_engine.local_checks import login_remedy
from codexapi_engine.program_keys import ProgramKeys
from codexapi_engine.protocol.models import Model, public_list
from codexapi_engine.protocol.responses.texts import DELTAS
from codexapi_engine.remedies import REMEDIES

from ..endpoint import got
from ..middleware.guard import PAGE_FILES, opens_page, refuse_cross_site
from ..requests import codex_of, settings_of
from .answer import DATA_HEADERS, PAGE_GUARDS, json_response
from .ollama import root

_FOLDER = Path(__file__).parents[1] / "page"


class Summary(NamedTuple):
    """What the page says without a script."""

    state: str  # ready, warn or bad: its color
    headline: str
    next: str
    fix: str = ""  # a command


class StaticFile(NamedTuple):
    content: bytes
    etag: str


Snippets = Callable[[str, Sequence[Model], bool], Sequence[JsonObject]]
"""What a user pastes into each program, `{"name", "title", "parts": [{"title", "text"}], "after"}`,
those that most users want first; from the base URL, the models, and whether the server wants a key,
which is never in a text. The command line has the texts."""


def no_snippets(url: str, models: Sequence[Model], keyed: bool) -> Sequence[JsonObject]:
    return ()


async def home(request: Request) -> Response:
    """GET and HEAD /"""
    headers = dict(request.scope["headers"])
    if not settings_of(request).serves_page or not opens_page(request.scope, headers):
        return await root(request)
    if b"origin" in headers:  # a script, of a site that `--cors` lets use the API
        refuse_cross_site(request.scope)
    keyed = _wants_key(request)
    summary = _LOCKED if keyed else await _summary(request)
    content = Template(static_file("index.html").content.decode()).substitute(
        version=html.escape(__version__),
        base=html.escape(f"{request.base_url}v1"),
        state=summary.state,
        headline=html.escape(summary.headline),
        next=html.escape(summary.next),
        fix=html.escape(summary.fix),
        fix_hidden="" if summary.fix else "hidden",
        key_hint=_KEY_HINT if keyed else _NO_KEY_HINT,
        without_script=_WITHOUT_SCRIPT,
    )
    # In no cache: what it says of the login holds for this moment.
    return Response(content, headers=DATA_HEADERS, media_type="text/html")


async def page_file(request: Request) -> Response:
    """GET /page/app.js and /page/style.css"""
    path = request.scope["path"]
    found = static_file(path.rpartition("/")[2])
    headers = {**PAGE_GUARDS, "cache-control": "no-cache", "etag": found.etag}
    if found.etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(found.content, headers=headers, media_type=PAGE_FILES[path])


async def reference(request: Request) -> Response:
    """GET /page/reference.json: what to paste into programs, the remedies of error codes, and which
    events of a stream are the answer."""
    refuse_cross_site(request.scope)
    try:
        models = await codex_of(request).models()
    except CodexError:
        models = []  # the texts name a model that the user has to replace
    snippets: Snippets = request.app.state.snippets
    programs = await aside(True, snippets, f"{request.base_url}v1", models, _wants_key(request))
    body: JsonObject = {
        "models": public_list(models, settings_of(request).model_aliases),
        "platform": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "programs": list(programs),
        "remedies": {code: remedy._asdict() for code, remedy in REMEDIES.items()},
        "texts": {kind: form.role for kind, form in DELTAS.items()},
    }
    return json_response(body, DATA_HEADERS)


ROUTES = [
    Route(path, got(work), methods=["GET"], include_in_schema=False)
    for path, work in (
        *((path, page_file) for path in PAGE_FILES),
        ("/page/reference.json", reference),
    )
]
"""What the page loads. No part of the API: the page and its server are one version."""


@lru_cache
def static_file(name: str) -> StaticFile:
    content = (_FOLDER / name).read_bytes()
    return StaticFile(content, f'"{hashlib.sha256(content).hexdigest()[:20]}"')


_KEY_HINT = "Programs send the same key as their API key."
_NO_KEY_HINT = "Any text will do as the API key."
_WITHOUT_SCRIPT = (
    "Limits, programs to connect and requests need JavaScript. Without it, a terminal has the same: "
    "codexapi status, codexapi usage, codexapi setup."
)
_LOCKED = Summary("warn", "This server wants its key", "It is the key that it was started with.")
_LOGIN = "codexapi login"
_READY = Summary("ready", "Ready", "Point your programs at this address.")
_DEMO = Summary(
    "ready",
    "Ready, as a demo",
    "Answers are simulated: no login is used, and nothing counts against a plan.",
)


def _wants_key(request: Request) -> bool:
    """Raises Unavailable where the keys of programs cannot be read: then no key is good."""
    settings = settings_of(request)
    return settings.api_key is not None or bool(ProgramKeys(settings.state_dir).load())


async def _summary(request: Request) -> Summary:
    if settings_of(request).demo:
        return _DEMO
    problem = await codex_of(request).login_problem()
    if problem is None:
        return _READY
    fix = login_remedy(settings_of(request), problem.code)
    remedy = REMEDIES.get(problem.known_code)
    if remedy is None or fix != _LOGIN:  # the words of a remedy are for a login of the client's
        return Summary("bad", "Not logged in", str(problem), fix)
    words = f"{remedy.meaning} {remedy.remedy}"
    return Summary("bad", "Not logged in", words, remedy.command or fix)
