"""The endpoints. `ROUTES` is their table."""

from __future__ import annotations

from starlette.routing import Route

from codexapi_engine.bounds import MAX_AUDIO_BYTES, MAX_FILE_BYTES

from ..endpoint import got, posted
from ..forms import with_file
from ..multipart import uploaded
from ..websocket.upgrade import Upgrade
from .chat import chat_completions
from .later import Later
from .messages_dialect import ROUTES as MESSAGES
from .ollama import ROUTES as OLLAMA
from .responses import responses_compact, responses_create, responses_input_tokens

_audio = Later("audio")
_chats = Later("chats")
_completions = Later("completions")
_conversations = Later("conversations")
_files = Later("files")
_health = Later("health")
_images = Later("images")
_models = Later("models")
_openapi = Later("openapi")
_page = Later("page")
_search = Later("search")
_stored = Later("stored")
_usage = Later("usage")

ROUTES = [
    # The busiest come first: routes are tried one after another.
    Route("/v1/chat/completions", posted(chat_completions), methods=["POST"]),
    Route("/v1/responses", posted(responses_create), methods=["POST"]),
    Route("/v1/responses", Upgrade(), methods=["GET"]),
    Route("/v1/responses/input_tokens", posted(responses_input_tokens), methods=["POST"]),
    Route("/v1/responses/compact", posted(responses_compact), methods=["POST"]),
    Route("/v1/responses/{id}", got(_stored.responses_get), methods=["GET"]),
    Route("/v1/responses/{id}", got(_stored.responses_delete), methods=["DELETE"]),
    Route("/v1/responses/{id}/cancel", got(_stored.responses_cancel), methods=["POST"]),
    Route("/v1/responses/{id}/input_items", got(_stored.responses_input_items), methods=["GET"]),
    Route("/v1/conversations", posted(_conversations.conversations_create), methods=["POST"]),
    Route("/v1/conversations/{id}", got(_conversations.conversations_get), methods=["GET"]),
    Route("/v1/conversations/{id}", posted(_conversations.conversations_update), methods=["POST"]),
    Route("/v1/conversations/{id}", got(_conversations.conversations_delete), methods=["DELETE"]),
    Route("/v1/conversations/{id}/items", got(_conversations.items_list), methods=["GET"]),
    Route("/v1/conversations/{id}/items", posted(_conversations.items_add), methods=["POST"]),
    Route("/v1/conversations/{id}/items/{item}", got(_conversations.items_get), methods=["GET"]),
    Route(
        "/v1/conversations/{id}/items/{item}", got(_conversations.items_delete), methods=["DELETE"]
    ),
    Route("/v1/chat/completions", got(_chats.chats_list), methods=["GET"]),
    Route("/v1/chat/completions/{id}", got(_chats.chats_get), methods=["GET"]),
    Route("/v1/chat/completions/{id}", posted(_chats.chats_update), methods=["POST"]),
    Route("/v1/chat/completions/{id}", got(_chats.chats_delete), methods=["DELETE"]),
    Route("/v1/chat/completions/{id}/messages", got(_chats.chats_messages), methods=["GET"]),
    Route("/v1/completions", posted(_completions.completions_create), methods=["POST"]),
    Route("/v1/alpha/search", posted(_search.alpha_search), methods=["POST"]),
    Route("/v1/images/generations", posted(_images.images_generations), methods=["POST"]),
    Route("/v1/images/edits", uploaded(_images.images_edits), methods=["POST"]),
    Route("/v1/images/variations", uploaded(_images.images_variations), methods=["POST"]),
    Route(
        "/v1/audio/transcriptions",
        with_file(_audio.transcriptions_create, max_bytes=MAX_AUDIO_BYTES),
        methods=["POST"],
    ),
    Route("/v1/files/images/{name}", _images.images_file),
    Route("/v1/files", with_file(_files.files_create, max_bytes=MAX_FILE_BYTES), methods=["POST"]),
    Route("/v1/files", got(_files.files_list), methods=["GET"]),
    Route("/v1/files/{id}", got(_files.files_get), methods=["GET"]),
    Route("/v1/files/{id}", got(_files.files_delete), methods=["DELETE"]),
    Route("/v1/files/{id}/content", got(_files.files_content), methods=["GET"]),
    Route("/v1/models", got(_models.models_list), methods=["GET"]),
    Route("/v1/models/{model:path}", got(_models.models_get), methods=["GET"]),
    Route("/v1/usage", got(_usage.usage), methods=["GET"]),
    Route("/", got(_page.home)),
    Route("/healthz", _health.healthz),
    Route("/openapi.json", _openapi.openapi),
]

DIALECTS = [MESSAGES, OLLAMA]
"""The dialects beside OpenAI's."""
