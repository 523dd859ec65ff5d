"""The endpoint of a dialect that only translates: one request, one backend stream, one reply."""

from __future__ import annotations

from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from codexapi_engine import collect_response
from codexapi_engine.aside import aside
from codexapi_engine.errors import JsonObject
from codexapi_engine.protocol import json

from ..dialect import Dialect
from ..endpoint import Endpoint, posted
from ..pump import NOT_OPEN, Run
from ..requests import codex_of, settings_of
from .answer import answer_headers, json_response, stream_response, with_caller_names, with_model


def translated(dialect: Dialect) -> Endpoint:
    """Serves the translation of a dialect. Nothing of it is kept."""
    translate = dialect.translate
    assert translate is not None, f"{dialect.name} has no translation"

    async def answer(request: Request, body: JsonObject) -> Response:
        body = with_model(request, body)
        work = partial(translate, body, strict=settings_of(request).strict)
        translation = await aside(json.is_heavy(body), work)
        open_streams = partial(codex_of(request).open_all, [translation.request])
        if translation.streams:
            run = Run(NOT_OPEN, translation.translator())
            return stream_response(open_streams, run, ignored=translation.ignored)
        (stream,) = await open_streams()
        headers = answer_headers(stream, translation.ignored)
        async with stream:
            response = await collect_response(stream)
        return json_response(translation.reply(response), headers)

    # Its name in the OpenAPI document and the tables of that, where each has a name of its own.
    answer.__name__ = f"{dialect.name}_create"
    caller_param = dialect.caller_param
    return posted(with_caller_names(caller_param)(answer) if caller_param else answer)
