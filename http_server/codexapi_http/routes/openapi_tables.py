"""The OpenAPI document's tables: what each endpoint takes, what it answers, and its errors.

Nothing is written twice: bodies come from the models that validate them, and the handling of a field
from the tables that implement it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from pydantic import BaseModel

from codexapi_engine.errors import JsonObject
from codexapi_engine.protocol.anthropic import schema as anthropic
from codexapi_engine.protocol.audio import request as audio
from codexapi_engine.protocol.chat import schema as chat
from codexapi_engine.protocol.completions import request as completions
from codexapi_engine.protocol.images import request as images
from codexapi_engine.protocol.ollama import schema as ollama
from codexapi_engine.protocol.responses import request as responses
from codexapi_engine.protocol.rules import FieldRule
from codexapi_engine.protocol.stored_files import request as stored_files

MODEL = "gpt-6.2-sol"
"""The model of the examples."""

PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ"
    "/pLvAAAAAElFTkSuQmCC"
)
"""The picture of the examples."""

SAYS = {
    FieldRule.TRANSLATED: "Goes to the backend, in its words.",
    FieldRule.HONOURED: "Emulated locally: codexapi does it, and the backend never sees it.",
    FieldRule.IGNORED: "Accepted, left out, and named in the header `x-codexapi-ignored`; "
    "refused under `serve --strict`.",
    FieldRule.REFUSED: "Refused with 400, naming the field: to leave it out would change what the "
    "answer is.",
}


class Body(NamedTuple):
    """The body that an endpoint takes: its model, and what becomes of its fields."""

    name: str  # of the schema
    model: type[BaseModel]
    rules: Mapping[str, FieldRule]
    no_effect: Mapping[str, object]  # values that have no effect, under any rule
    unknown: FieldRule  # for a field that the table lacks
    example: JsonObject
    form: bool = False  # it may come as a form, with files
    json: bool = True


class Reply(NamedTuple):
    """What an endpoint answers with: an object, unless it is of another kind."""

    name: str  # of the schema
    required: tuple[str, ...] = ()
    object: str | None = None  # the value of its field of that name
    type: str | None = None  # likewise
    streamed: bool = False  # also as a stream, in the media type of the dialect
    kind: str = "application/json"


_RESPONSE = Reply(
    "Response", ("id", "object", "created_at", "status", "output"), "response", streamed=True
)
_COMPLETION = ("id", "object", "created", "model", "choices")
_CONVERSATION = Reply("Conversation", ("id", "object", "created_at", "metadata"), "conversation")
_FILE = Reply("File", ("id", "object", "bytes", "created_at", "filename", "purpose"), "file")
_PAGE = Reply("Page", ("object", "data", "first_id", "last_id", "has_more"), "list")

_SAY_HELLO = [{"role": "user", "content": "Say hello"}]

BODIES: dict[str, Body] = {
    "responses_create": Body(
        "ResponsesRequest",
        responses.ResponseRequest,
        responses.RULES,
        responses.ASKS_NOTHING,
        FieldRule.TRANSLATED,
        {"model": MODEL, "input": "Say hello"},
    ),
    "chat_completions": Body(
        "ChatCompletionsRequest",
        chat.ChatRequest,
        chat.RULES,
        chat.ASKS_NOTHING,
        FieldRule.IGNORED,
        {"model": MODEL, "messages": _SAY_HELLO},
    ),
    "completions_create": Body(
        "CompletionsRequest",
        completions.CompletionRequest,
        completions.RULES,
        completions.ASKS_NOTHING,
        FieldRule.IGNORED,
        {"model": MODEL, "prompt": "Once upon a time"},
    ),
    "images_generations": Body(
        "ImagesRequest",
        images.ImageParams,
        images.RULES,
        images.ASKS_NOTHING,
        FieldRule.IGNORED,
        {"prompt": "a red fox"},
    ),
    "images_edits": Body(
        "ImagesEditRequest",
        images.ImageParams,
        images.EDIT_RULES,
        images.ASKS_NOTHING,
        FieldRule.IGNORED,
        {"prompt": "make it blue", "images": [{"image_url": PIXEL}]},
        form=True,
    ),
    "images_variations": Body(
        "ImagesVariationRequest",
        images.Variation,
        images.VARIATION_RULES,
        images.ASKS_NOTHING,
        FieldRule.IGNORED,
        {"image": PIXEL, "response_format": "b64_json"},
        form=True,
    ),
    "messages_create": Body(
        "AnthropicMessagesRequest",
        anthropic.MessagesRequest,
        anthropic.RULES,
        anthropic.ASKS_NOTHING,
        FieldRule.IGNORED,
        {"model": MODEL, "max_tokens": 1024, "messages": _SAY_HELLO},
    ),
    "messages_count_tokens": Body(
        "AnthropicCountRequest",
        anthropic.CountRequest,
        anthropic.COUNT_RULES,
        {},
        FieldRule.IGNORED,
        {"model": MODEL, "messages": _SAY_HELLO},
    ),
    "chat": Body(
        "OllamaChatRequest",
        ollama.OllamaChat,
        ollama.RULES,
        ollama.ASKS_NOTHING,
        FieldRule.IGNORED,
        {"model": MODEL, "messages": _SAY_HELLO, "stream": False},
    ),
    "generate": Body(
        "OllamaGenerateRequest",
        ollama.OllamaGenerate,
        ollama.GENERATE_RULES,
        ollama.ASKS_NOTHING,
        FieldRule.IGNORED,
        {"model": MODEL, "prompt": "Say hello", "stream": False},
    ),
    "transcriptions_create": Body(
        "TranscriptionRequest",
        audio.TranscriptionParams,
        audio.RULES,
        {},
        FieldRule.IGNORED,
        {"model": "gpt-4o-transcribe", "file": "What is said."},
        form=True,
        json=False,
    ),
    "files_create": Body(
        "FileUpload",
        stored_files.FileParams,
        stored_files.RULES,
        {},
        FieldRule.IGNORED,
        {"purpose": "user_data", "file": "What is in the file."},
        form=True,
        json=False,
    ),
}
"""By the name of the endpoint. A POST that is not here takes any object, or nothing."""

REPLIES: dict[str, Reply] = {
    "responses_create": _RESPONSE,
    "responses_get": _RESPONSE,
    "responses_cancel": _RESPONSE._replace(streamed=False),
    "responses_delete": Reply("ResponseDeleted", ("id", "object", "deleted"), "response"),
    "responses_input_items": _PAGE,
    "responses_input_tokens": Reply(
        "InputTokens", ("object", "input_tokens"), "response.input_tokens"
    ),
    "responses_compact": Reply(
        "Compaction", ("id", "object", "created_at", "output"), "response.compaction"
    ),
    "conversations_create": _CONVERSATION,
    "conversations_get": _CONVERSATION,
    "conversations_update": _CONVERSATION,
    "conversations_delete": Reply(
        "ConversationDeleted", ("id", "object", "deleted"), "conversation.deleted"
    ),
    "items_list": _PAGE,
    "items_add": _PAGE,
    "items_get": Reply("Item", ("id", "type")),
    "items_delete": _CONVERSATION,
    "chat_completions": Reply("ChatCompletion", _COMPLETION, "chat.completion", streamed=True),
    "chats_list": _PAGE,
    "chats_get": Reply("ChatCompletion", _COMPLETION, "chat.completion"),
    "chats_update": Reply("ChatCompletion", _COMPLETION, "chat.completion"),
    "chats_delete": Reply(
        "ChatCompletionDeleted", ("id", "object", "deleted"), "chat.completion.deleted"
    ),
    "chats_messages": _PAGE,
    "completions_create": Reply("Completion", _COMPLETION, "text_completion", streamed=True),
    "images_generations": Reply("ImagesResponse", ("created", "data"), streamed=True),
    "images_edits": Reply("ImagesResponse", ("created", "data"), streamed=True),
    "images_variations": Reply("ImagesResponse", ("created", "data"), streamed=True),
    "images_file": Reply("Image", kind="image/*"),
    "alpha_search": Reply("SearchResults", ("output",)),
    "transcriptions_create": Reply("Transcription", ("text",), streamed=True),
    "files_create": _FILE,
    "files_list": _PAGE,
    "files_get": _FILE,
    "files_delete": Reply("FileDeleted", ("id", "object", "deleted"), "file"),
    "files_content": Reply("FileContent", kind="application/octet-stream"),
    "models_list": Reply("ModelList", ("object", "data"), "list"),
    "models_get": Reply("Model", ("id", "object", "created", "owned_by"), "model"),
    "usage": Reply("UsageLimits", ("object", "plan", "primary", "secondary"), "usage_limits"),
    "healthz": Reply("Health", ("status", "version")),
    "openapi": Reply("OpenAPI", ("openapi", "info", "paths")),
    "metrics": Reply("Metrics", kind="text/plain"),
    "messages_create": Reply(
        "AnthropicMessage",
        ("id", "type", "role", "model", "content", "stop_reason", "stop_sequence", "usage"),
        type="message",
        streamed=True,
    ),
    "messages_count_tokens": Reply("AnthropicTokens", ("input_tokens",)),
    "models_page": Reply("AnthropicModelList", ("data", "has_more", "first_id", "last_id")),
    "model_get": Reply("AnthropicModel", ("id", "type", "display_name"), type="model"),
    "chat": Reply("OllamaChat", ("model", "created_at", "message", "done"), streamed=True),
    "generate": Reply(
        "OllamaCompletion", ("model", "created_at", "response", "done"), streamed=True
    ),
    "pull": Reply("OllamaProgress", ("status",), streamed=True),
    "tags": Reply("OllamaModels", ("models",)),
    "ps": Reply("OllamaRunning", ("models",)),
    "hello": Reply("Nothing", kind=""),
}
"""Likewise. What is not here answers with some object."""

_PAGED = ("after", "limit", "order")
QUERIES: dict[str, tuple[str, ...]] = {
    "responses_get": ("stream", "starting_after"),
    "responses_input_items": _PAGED,
    "items_list": _PAGED,
    "chats_list": (*_PAGED, "model"),
    "chats_messages": _PAGED,
    "files_list": (*_PAGED, "purpose"),
}
"""Likewise: what an endpoint reads in the query."""

KEY = "The key of `serve --api-key`, where one was set."

IN_QUERY: dict[str, JsonObject] = {
    "after": {"type": "string"},
    "limit": {"type": "integer", "minimum": 1, "maximum": 100},
    "order": {"enum": ["asc", "desc"]},
    "stream": {"type": "boolean"},
    "starting_after": {"type": "integer", "minimum": 0},
    "model": {"type": "string"},
    "purpose": {"type": "string"},
}
_ERROR: JsonObject = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
            },
        }
    },
}
ERRORS: dict[str, tuple[str, JsonObject]] = {
    "openai": ("Error", _ERROR),
    "anthropic": (
        "AnthropicError",
        {
            "type": "object",
            "required": ["type", "error", "request_id"],
            "properties": {
                "type": {"const": "error"},
                "error": {
                    "type": "object",
                    "required": ["type", "message"],
                    "properties": {"type": {"type": "string"}, "message": {"type": "string"}},
                },
                "request_id": {"type": "string"},
            },
        },
    ),
    "ollama": (
        "OllamaError",
        {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}},
    ),
}
"""By dialect: the name of the schema of its errors, and the schema."""

HEADERS: dict[str, str] = {
    "x-request-id": "The request's own, or one that was made for it; the server's log names it.",
    "x-codexapi-ignored": "The fields of the request that were left out or changed.",
    "x-codexapi-not-kept": "Why an answer that was to be stored is not: the code of an error.",
    "x-codexapi-transcribed": "How many audio files of the request were sent as text.",
    "x-codexapi-warning": "What may be wrong with an answer, in a sentence.",
    "x-ratelimit-remaining-requests": "Percent points left of the plan's primary window.",
    "x-ratelimit-remaining-tokens": "Percent points left of the plan's secondary window.",
}
