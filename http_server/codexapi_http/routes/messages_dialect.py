"""What the server needs of Anthropic's dialect before its first request: `messages.py` answers."""

from __future__ import annotations

from collections.abc import Mapping
from functools import wraps
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from codexapi_engine import CodexError
from codexapi_engine.bounds import MAX_FILE_BYTES
from codexapi_engine.errors import JsonObject
from codexapi_engine.protocol import anthropic

from ..dialect import Dialect, DialectRoutes, retry_headers, traceable_message
from ..endpoint import got, posted
from ..forms import with_file
from .later import Later, Work

_anthropic_files = Later("anthropic_files")
_files = Later("files")
_messages = Later("messages")


def error_body(error: CodexError, request_id: str) -> JsonObject:
    return {
        "type": "error",
        "error": anthropic.error_object(error, traceable_message(error, request_id)),
        "request_id": request_id,
    }


def error_headers(error: CodexError, request_id: str) -> Mapping[str, str]:
    return {**retry_headers(error, request_id), **anthropic.error_headers(error, request_id)}


MESSAGES = Dialect(
    "anthropic",
    error_body=error_body,
    error_status=anthropic.error_status,
    error_headers=error_headers,
    keep_alive=anthropic.PING,
    key_headers=(b"x-api-key", b"authorization"),
)


def with_request_id(work: Work) -> Work:
    """Gives an answer the header by which the official clients name a request."""

    @wraps(work)
    async def answer(request: Request, *body: Any) -> Response:
        response = await work(request, *body)
        response.raw_headers.append((b"request-id", request.scope["request_id"].encode()))
        return response

    return answer


ROUTES = DialectRoutes(
    MESSAGES,
    [
        Route("/v1/messages", posted(_messages.messages_create), methods=["POST"]),
        Route(
            "/v1/messages/count_tokens", posted(_messages.messages_count_tokens), methods=["POST"]
        ),
        Route("/v1/models", got(_messages.models_page), methods=["GET"]),
        Route("/v1/models/{model:path}", got(_messages.model_get), methods=["GET"]),
        Route("/api/hello", got(_messages.hello), methods=["GET"]),
        Route(
            "/v1/files",
            with_file(with_request_id(_anthropic_files.documents_create), max_bytes=MAX_FILE_BYTES),
            methods=["POST"],
        ),
        Route("/v1/files", got(with_request_id(_anthropic_files.documents_list)), methods=["GET"]),
        Route(
            "/v1/files/{id}", got(with_request_id(_anthropic_files.documents_get)), methods=["GET"]
        ),
        Route(
            "/v1/files/{id}",
            got(with_request_id(_anthropic_files.documents_delete)),
            methods=["DELETE"],
        ),
        Route(
            "/v1/files/{id}/content", got(with_request_id(_files.files_content)), methods=["GET"]
        ),
        Route("/v1/messages/batches", got(_messages.absent)),
        Route("/v1/messages/batches/{rest:path}", got(_messages.absent)),
        Route("/v1/complete", got(_messages.absent)),
    ],
    prefixes=("/v1/messages", "/v1/complete", "/api/hello"),
    header=b"anthropic-version",
)
