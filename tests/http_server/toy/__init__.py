"""A dialect of which the server knows nothing: this folder, its routes, and one entry for the app."""

from __future__ import annotations

from starlette.routing import Route

from codexapi_http.dialect import Dialect, DialectRoutes
from codexapi_http.routes.translated import translated

from .translation import translate

TOY = Dialect(
    "toy",
    error_body=lambda error, request_id: {
        "oops": error.message,
        "field": error.param,
        "id": request_id,
    },
    error_status=lambda error: 529 if error.status == 503 else error.status,
    keep_alive=b'{"say":""}\n',
    media_type="application/x-ndjson",
    key_headers=(b"x-toy-key", b"authorization"),
    translate=translate,
    caller_param=lambda param, body: "ask" if param == "input" else param,
)
ROUTES = DialectRoutes(
    TOY, [Route("/toy/say", translated(TOY), methods=["POST"])], prefixes=("/toy",), header=b"x-toy"
)
