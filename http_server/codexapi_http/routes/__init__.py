"""The endpoints. `ROUTES` is their table."""

from __future__ import annotations

from starlette.routing import Route

from codexapi_engine.bounds import MAX_AUDIO_BYTES, MAX_FILE_BYTES

from ..endpoint import got, posted
from ..forms import with_file
from ..multipart import uploaded
from ..websocket.upgrade import Upgrade
from .audio import transcriptions_create
from .chat import chat_completions
from .chats import chats_delete, chats_get, chats_list, chats_messages, chats_update
from .completions import completions_create
from .conversations import (
    conversations_create,
    conversations_delete,
    conversations_get,
    conversations_update,
    items_add,
    items_delete,
    items_get,
    items_list,
)
from .files import files_content, files_create, files_delete, files_get, files_list
from .health import healthz
from .images import images_edits, images_file, images_generations, images_variations
from .messages import ROUTES as MESSAGES
from .models import models_get, models_list
from .ollama import ROUTES as OLLAMA
from .openapi import openapi
from .page import home
from .responses import responses_compact, responses_create, responses_input_tokens
from .search import alpha_search
from .stored import responses_cancel, responses_delete, responses_get, responses_input_items
from .usage import usage

ROUTES = [
    # The busiest come first: routes are tried one after another.
    Route("/v1/chat/completions", posted(chat_completions), methods=["POST"]),
    Route("/v1/responses", posted(responses_create), methods=["POST"]),
    Route("/v1/responses", Upgrade(), methods=["GET"]),
    Route("/v1/responses/input_tokens", posted(responses_input_tokens), methods=["POST"]),
    Route("/v1/responses/compact", posted(responses_compact), methods=["POST"]),
    Route("/v1/responses/{id}", got(responses_get), methods=["GET"]),
    Route("/v1/responses/{id}", got(responses_delete), methods=["DELETE"]),
    Route("/v1/responses/{id}/cancel", got(responses_cancel), methods=["POST"]),
    Route("/v1/responses/{id}/input_items", got(responses_input_items), methods=["GET"]),
    Route("/v1/conversations", posted(conversations_create), methods=["POST"]),
    Route("/v1/conversations/{id}", got(conversations_get), methods=["GET"]),
    Route("/v1/conversations/{id}", posted(conversations_update), methods=["POST"]),
    Route("/v1/conversations/{id}", got(conversations_delete), methods=["DELETE"]),
    Route("/v1/conversations/{id}/items", got(items_list), methods=["GET"]),
    Route("/v1/conversations/{id}/items", posted(items_add), methods=["POST"]),
    Route("/v1/conversations/{id}/items/{item}", got(items_get), methods=["GET"]),
    Route("/v1/conversations/{id}/items/{item}", got(items_delete), methods=["DELETE"]),
    Route("/v1/chat/completions", got(chats_list), methods=["GET"]),
    Route("/v1/chat/completions/{id}", got(chats_get), methods=["GET"]),
    Route("/v1/chat/completions/{id}", posted(chats_update), methods=["POST"]),
    Route("/v1/chat/completions/{id}", got(chats_delete), methods=["DELETE"]),
    Route("/v1/chat/completions/{id}/messages", got(chats_messages), methods=["GET"]),
    Route("/v1/completions", posted(completions_create), methods=["POST"]),
    Route("/v1/alpha/search", posted(alpha_search), methods=["POST"]),
    Route("/v1/images/generations", posted(images_generations), methods=["POST"]),
    Route("/v1/images/edits", uploaded(images_edits), methods=["POST"]),
    Route("/v1/images/variations", uploaded(images_variations), methods=["POST"]),
    Route(
        "/v1/audio/transcriptions",
        with_file(transcriptions_create, max_bytes=MAX_AUDIO_BYTES),
        methods=["POST"],
    ),
    Route("/v1/files/images/{name}", images_file),
    Route("/v1/files", with_file(files_create, max_bytes=MAX_FILE_BYTES), methods=["POST"]),
    Route("/v1/files", got(files_list), methods=["GET"]),
    Route("/v1/files/{id}", got(files_get), methods=["GET"]),
    Route("/v1/files/{id}", got(files_delete), methods=["DELETE"]),
    Route("/v1/files/{id}/content", got(files_content), methods=["GET"]),
    Route("/v1/models", got(models_list), methods=["GET"]),
    Route("/v1/models/{model:path}", got(models_get), methods=["GET"]),
    Route("/v1/usage", got(usage), methods=["GET"]),
    Route("/", got(home)),
    Route("/healthz", healthz),
    Route("/openapi.json", openapi),
]

DIALECTS = [MESSAGES, OLLAMA]
"""The dialects beside OpenAI's."""
