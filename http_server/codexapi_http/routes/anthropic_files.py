"""The Files endpoints in Anthropic's form: the same files."""

from __future__ import annotations

from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import Response

from codexapi_engine.bounds import DEFAULT_PAGE, MAX_DOCUMENT_PAGE
from codexapi_engine.errors import JsonObject
from codexapi_engine.protocol.anthropic import files
from codexapi_engine.protocol.anthropic.fields import invalid
from codexapi_engine.protocol.stored_files import StoredFile

from ..forms import Fields, FormFile
from ..requests import settings_of
from .answer import ignored_header, json_response
from .files import delete_file, find_file, list_files, store_file
from .lists import whole


async def documents_create(request: Request, fields: Fields, file: FormFile) -> Response:
    """POST /v1/files"""
    params, ignored = files.from_form(fields, strict=settings_of(request).strict)
    lifetime = params.expires_in_seconds
    made = await store_file(request, file, purpose=files.PURPOSE, lifetime=lifetime)
    return json_response(_metadata(made), ignored_header(ignored))


async def documents_list(request: Request) -> Response:
    """GET /v1/files"""
    found = [_metadata(file) for file in reversed(await list_files(request))]
    query = request.query_params
    if wanted := [*query.getlist("ids"), *query.getlist("ids[]")]:
        found = [file for file in found if file["id"] in wanted]
        return json_response(files.files_page(found, len(found), None))
    limit = whole(request, "limit", DEFAULT_PAGE)
    if not 1 <= limit <= MAX_DOCUMENT_PAGE:
        raise invalid("limit", f"Input should be between 1 and {MAX_DOCUMENT_PAGE}")
    return json_response(files.files_page(found, limit, query.get("page")))


async def documents_get(request: Request) -> Response:
    """GET /v1/files/{id}"""
    return json_response(_metadata(await find_file(request)))


async def documents_delete(request: Request) -> Response:
    """DELETE /v1/files/{id}"""
    return json_response({"id": await delete_file(request), "type": "file_deleted"})


def _metadata(file: StoredFile) -> JsonObject:
    return files.file_metadata(file, _timestamp)


def _timestamp(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
