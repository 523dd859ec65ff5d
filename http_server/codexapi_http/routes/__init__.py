"""The endpoints. ROUTES is the table of contents."""

from __future__ import annotations

from starlette.routing import Route

from ..requests import got, posted
from .chat import chat_completions
from .completions import completions_create
from .health import healthz
from .models import models_get, models_list
from .openapi import openapi
from .responses import responses_create
from .usage import usage

ROUTES = [
    Route("/v1/responses", posted(responses_create), methods=["POST"]),
    Route("/v1/chat/completions", posted(chat_completions), methods=["POST"]),
    Route("/v1/completions", posted(completions_create), methods=["POST"]),
    Route("/v1/models", got(models_list)),
    Route("/v1/models/{model:path}", got(models_get)),
    Route("/v1/usage", got(usage)),
    Route("/healthz", healthz),
    Route("/openapi.json", openapi),
]
