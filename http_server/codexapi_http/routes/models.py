"""The model list, for OpenAI clients and the Codex client alike."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from codexapi_engine import ModelNotFound
from codexapi_engine.protocol import models

from ..requests import codex_of
from .answer import json_response


async def models_list(request: Request) -> Response:
    """GET /v1/models"""
    return json_response(models.public_list(await codex_of(request).models()))


async def models_get(request: Request) -> Response:
    """GET /v1/models/{id}"""
    slug, known = request.path_params["model"], await codex_of(request).models()
    model = models.find(known, slug)
    if model is None:
        names = ", ".join(models.suggestions(known, slug))
        raise ModelNotFound(
            f"The model `{slug}` does not exist or you do not have access to it. "
            f"Models of this account: {names}.",
            param="model",
        )
    return json_response(models.public(model))
