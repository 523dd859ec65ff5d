"""Generates the OpenAPI document of the server: OpenAI's API and the dialects beside it.

Nothing is written twice: paths come from the routes, request bodies from the models that validate
them, and the handling of a field from the tables that implement it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from codexapi_engine import __version__
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

from ..dialect import OPENAI, DialectRoutes
from ..websocket.upgrade import Upgrade
from .answer import json_response

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


@dataclass(frozen=True, slots=True)
class Body:
    """The body that an endpoint takes: its model, and what becomes of its fields."""

    name: str  # of the schema
    model: type[BaseModel]
    rules: Mapping[str, FieldRule]
    no_effect: Mapping[str, object]  # values that have no effect, under any rule
    unknown: FieldRule  # for a field that the table lacks
    example: JsonObject
    form: bool = False  # it may come as a form, with files
    json: bool = True


@dataclass(frozen=True, slots=True)
class Reply:
    """What an endpoint answers with: an object, unless it is of another kind."""

    name: str  # of the schema
    required: tuple[str, ...] = ()
    object: str | None = None  # the value of its field of that name
    type: str | None = None  # likewise
    streamed: bool = False  # also as events, with `stream: true`
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
    "responses_cancel": replace(_RESPONSE, streamed=False),
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

_KEY = "The key of `serve --api-key`, where one was set."

_IN_QUERY: dict[str, JsonObject] = {
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
_ERRORS: dict[str, tuple[str, JsonObject]] = {
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

_HEADERS: dict[str, str] = {
    "x-request-id": "The request's own, or one that was made for it; the server's log names it.",
    "x-codexapi-ignored": "The fields of the request that were left out or changed.",
    "x-codexapi-not-kept": "Why an answer that was to be stored is not: the code of an error.",
    "x-codexapi-transcribed": "How many recordings of the request were sent as text.",
    "x-codexapi-warning": "What may be wrong with an answer, in a sentence.",
    "x-ratelimit-remaining-requests": "Percent points left of the plan's primary window.",
    "x-ratelimit-remaining-tokens": "Percent points left of the plan's secondary window.",
}


async def openapi(request: Request) -> Response:
    """GET /openapi.json"""
    state = request.app.state
    if not hasattr(state, "openapi"):  # generated on first request, which few clients make
        state.openapi = document(request.app.routes, request.app.dialects.others)
    return json_response(state.openapi)


def document(routes: Iterable[BaseRoute], dialects: Iterable[DialectRoutes] = ()) -> JsonObject:
    """The OpenAPI 3.1 document of OpenAI's routes and of those of the dialects beside it."""
    schemas: JsonObject = {}
    paths: JsonObject = {}
    for path, method, route in _served(routes):
        paths.setdefault(path, {})[method] = _operation(route, path, method, schemas, OPENAI.name)
    keys: list[str] = []
    for entry in dialects:
        own = [name.decode() for name in entry.dialect.key_headers if name != b"authorization"]
        keys += [name for name in own if name not in keys]
        for path, method, route in _served(entry.routes):
            operation = _operation(route, path, method, schemas, entry.dialect.name)
            operation["security"] = [{}, {"key": []}, *({name: []} for name in own)]
            methods = paths.setdefault(path, {})
            methods[method] = (
                _either(methods[method], operation, entry) if method in methods else operation
            )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "codexapi",
            "version": __version__,
            "summary": "The OpenAI API, Anthropic's Messages and Ollama's API on this machine, with "
            "your own Codex login behind them.",
        },
        "servers": [{"url": "/"}],
        "security": [{}, {"key": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "headers": {
                name: {"description": text, "schema": {"type": "string"}}
                for name, text in _HEADERS.items()
            },
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": _KEY},
                **{
                    name: {"type": "apiKey", "in": "header", "name": name, "description": _KEY}
                    for name in keys
                },
            },
        },
    }


def _served(routes: Iterable[BaseRoute]) -> Iterator[tuple[str, str, Route]]:
    """Path, method and route, without those that answer every method, which say what is absent, and
    the WebSocket, for which the document has no words."""
    for route in routes:
        if isinstance(route, Route) and not isinstance(route.endpoint, Upgrade):
            path = re.sub(r":\w+}", "}", route.path)
            for method in sorted((route.methods or set()) - {"HEAD"}):
                yield path, method.lower(), route


def _operation(
    route: Route, path: str, method: str, schemas: JsonObject, dialect: str
) -> JsonObject:
    name = route.endpoint.__name__
    operation: JsonObject = {
        "operationId": name,
        "summary": (route.endpoint.__doc__ or name).partition("\n")[0],
        "responses": _responses(REPLIES.get(name), schemas, dialect),
    }
    parameters = [_in_path(word) for word in re.findall(r"{(\w+)}", path)]
    parameters += [
        {"name": word, "in": "query", "schema": _IN_QUERY[word]} for word in QUERIES.get(name, ())
    ]
    if parameters:
        operation["parameters"] = parameters
    if method == "post":
        operation["requestBody"] = _request_body(BODIES.get(name), schemas)
    return operation


def _either(operation: JsonObject, other: JsonObject, entry: DialectRoutes) -> JsonObject:
    """One operation of two dialects: `entry`'s where its header is sent."""
    header = (entry.header or b"").decode()
    says = f"With it, the answer has the form of {entry.dialect.name}."
    optional = {"name": header, "in": "header", "description": says, "schema": {"type": "string"}}
    responses = {}
    for status, response in operation["responses"].items():
        contents = [response["content"], other["responses"][status]["content"]]
        responses[status] = {**response, "content": _any_of(contents)}
    parameters = [*operation.get("parameters", ()), optional]
    return {
        **operation,
        "parameters": parameters,
        "responses": responses,
        "security": other["security"],
    }


def _any_of(contents: list[JsonObject]) -> JsonObject:
    """By media type, what either has."""
    found: dict[str, list[JsonObject]] = {}
    for content in contents:
        for kind, body in content.items():
            schemas = found.setdefault(kind, [])
            schemas += [each for each in [body.get("schema")] if each and each not in schemas]
    return {
        kind: {"schema": schemas[0] if len(schemas) == 1 else {"anyOf": schemas}} if schemas else {}
        for kind, schemas in found.items()
    }


def _in_path(name: str) -> JsonObject:
    found: JsonObject = {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
    return {**found, "example": MODEL} if name == "model" else found


def _request_body(body: Body | None, schemas: JsonObject) -> JsonObject:
    if body is None:
        return {"content": {"application/json": {"schema": {"type": "object"}}}}
    schemas.update(_schemas(body))
    content = {"schema": _reference(body.name), "example": body.example}
    kinds: JsonObject = {"application/json": content} if body.json else {}
    if body.form:
        kinds["multipart/form-data"] = {"schema": _reference(body.name)}
    return {"required": True, "content": kinds}


def _schemas(body: Body) -> JsonObject:
    """The body's schema and those that it needs, by name; each field with its rule."""
    template = _reference(body.name + ".{model}")["$ref"]
    whole = body.model.model_json_schema(ref_template=template)
    inner = {f"{body.name}.{name}": made for name, made in whole.pop("$defs", {}).items()}
    fields = whole["properties"]
    for name, rule in body.rules.items():
        values = [None, *([body.no_effect[name]] if name in body.no_effect else [])]
        field = {"enum": values} if rule is FieldRule.REFUSED else fields.get(name, {})
        fields[name] = {**field, "description": SAYS[rule], "x-codexapi-rule": rule.value}
    whole["description"] = f"A field that is not listed: {body.unknown.value}."
    return {body.name: whole, **inner}


def _responses(reply: Reply | None, schemas: JsonObject, dialect: str) -> JsonObject:
    name, schema = _ERRORS.get(dialect, ("AnyError", {"type": "object"}))
    schemas[name] = schema
    error = {"application/json": {"schema": _reference(name)}}
    content: JsonObject = {"application/json": {"schema": {"type": "object"}}}
    if reply is not None and reply.kind != "application/json":
        content = {reply.kind: {}} if reply.kind else {}
    elif reply is not None:
        schemas[reply.name] = _reply_schema(reply)
        content = {"application/json": {"schema": _reference(reply.name)}}
        if reply.streamed:
            # No schema: validators read the events in forms of their own.
            content["text/event-stream"] = {}
    headers = {name: {"$ref": f"#/components/headers/{name}"} for name in _HEADERS}
    return {
        "200": {"description": "The answer.", "headers": headers, "content": content},
        "default": {"description": "What went wrong.", "content": error},
    }


def _reply_schema(reply: Reply) -> JsonObject:
    properties: JsonObject = {name: {} for name in reply.required}
    if reply.object is not None:
        properties["object"] = {"const": reply.object}
    if reply.type is not None:
        properties["type"] = {"const": reply.type}
    return {"type": "object", "required": list(reply.required), "properties": properties}


def _reference(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}
