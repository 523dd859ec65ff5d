"""The model list, for OpenAI clients and the Codex client alike."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from codexapi_engine import ModelNotFound
from codexapi_engine.protocol import models

from ..requests import codex_of, settings_of
from .answer import json_response


async def models_list(request: Request) -> Response:
    """GET /v1/models"""
    known = await codex_of(request).models()
    return json_response(models.public_list(known, settings_of(request).model_aliases))


async def models_get(request: Request) -> Response:
    """GET /v1/models/{id}, by its own name, as `slug:effort` or by an alias."""
    asked, known = request.path_params["model"], await codex_of(request).models()
    entry = models.named(known, settings_of(request).model_aliases, asked)
    if entry is None:
        names = ", ".join(models.suggestions(known, asked))
        raise ModelNotFound(
            f"The model `{asked}` does not exist or you do not have access to it. "
            f"Models of this account: {names}.",
            param="model",
        )
    return json_response(entry)
