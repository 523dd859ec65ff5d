"""The model list, for OpenAI clients and for the Codex client."""

from __future__ import annotations

import re

from starlette.requests import Request
from starlette.responses import Response

from codexapi_engine import ModelNotFound
from codexapi_engine.codex_config import named_model
from codexapi_engine.protocol import models

from ..errors import no_such_path
from ..requests import codex_of, settings_of
from .answer import json_response

_ENTITY_TAG = re.compile(r'(?:W/)?("[^"]*")')


async def models_list(request: Request) -> Response:
    """GET /v1/models"""
    codex = codex_of(request)
    known, etag = await codex.models(), codex.models_etag
    # The backend's own: a Codex client compares it with the x-models-etag of each answer, and
    # fetches the list again where they differ.
    headers = {"etag": etag} if etag and etag.isascii() and etag.isprintable() else {}
    condition = ", ".join(request.headers.getlist("if-none-match"))
    if headers and _matches(condition, headers["etag"]):
        return Response(status_code=304, headers=headers)
    return json_response(models.public_list(known, settings_of(request).model_aliases), headers)


async def models_get(request: Request) -> Response:
    """GET /v1/models/{id}, by its own name, as `slug:effort` or by an alias."""
    if not request.path_params["model"].strip("/"):
        raise no_such_path(request)
    name, known = request.path_params["model"], await codex_of(request).models()
    entry = models.named(known, settings_of(request).model_aliases, name)
    if entry is None:
        hint = models.hint(known, name, named_model(settings_of(request)))
        error = ModelNotFound(
            f"The model `{name}` does not exist or you do not have access to it.{hint.text}",
            param="model",
        )
        error.model, error.instead = name, hint.instead
        raise error
    return json_response(entry)


def _matches(condition: str, etag: str) -> bool:
    """Whether an If-None-Match names this ETag, weak or not (RFC 9110, 13.1.2)."""
    return condition.strip() == "*" or etag.removeprefix("W/") in _ENTITY_TAG.findall(condition)
