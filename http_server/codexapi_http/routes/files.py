"""The Files endpoints: the files stay on this machine."""

from __future__ import annotations

from functools import partial
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from codexapi_engine.bounds import MAX_FILE_PAGE
from codexapi_engine.protocol.stored_files import (
    DELETED,
    FileContent,
    StoredFile,
    file_object,
)
from codexapi_engine.protocol.stored_files.media_type import media_type
from codexapi_engine.protocol.stored_files.request import from_client

from ..forms import Fields, FormFile
from ..requests import change_state, codex_of, read_state, settings_of, state_of
from .answer import ignored_header, json_response
from .lists import page


async def files_create(request: Request, fields: Fields, file: FormFile) -> Response:
    """POST /v1/files"""
    params, ignored = from_client(fields, strict=settings_of(request).strict)
    made = await store_file(request, file, purpose=params.purpose, lifetime=params.lifetime)
    return json_response(file_object(made), ignored_header(ignored))


async def files_list(request: Request) -> Response:
    """GET /v1/files"""
    found = await list_files(request, request.query_params.get("purpose"))
    objects, most = [file_object(file) for file in found], MAX_FILE_PAGE
    return page(request, objects, order="desc", limit=most, max_limit=most)


async def files_get(request: Request) -> Response:
    """GET /v1/files/{id}"""
    return json_response(file_object(await find_file(request)))


async def files_content(request: Request) -> Response:
    """GET /v1/files/{id}/content"""
    account, name = await codex_of(request).account(), request.path_params["id"]
    file = await read_state(partial(state_of(request).files.content, name, account=account))
    headers = {
        "content-disposition": f"attachment; filename*=utf-8''{quote(file.name)}",
        "x-content-type-options": "nosniff",
    }
    return Response(file.data, headers=headers, media_type="application/octet-stream")


async def files_delete(request: Request) -> Response:
    """DELETE /v1/files/{id}"""
    return json_response({"id": await delete_file(request), **DELETED})


# What Anthropic's form of these endpoints needs too.


async def store_file(
    request: Request, file: FormFile, *, purpose: str, lifetime: int | None
) -> StoredFile:
    create = partial(
        state_of(request).files.create,
        FileContent(file.name, file.data),
        media_type=media_type(file.data),
        purpose=purpose,
        lifetime=lifetime,
        account=await codex_of(request).account(),
    )
    return await change_state(request, create)


async def list_files(request: Request, purpose: str | None = None) -> list[StoredFile]:
    """The files of the present account, oldest first."""
    account = await codex_of(request).account()
    return await read_state(partial(state_of(request).files.all, account=account, purpose=purpose))


async def find_file(request: Request) -> StoredFile:
    """The file that the path names."""
    account, name = await codex_of(request).account(), request.path_params["id"]
    return await read_state(partial(state_of(request).files.get, name, account=account))


async def delete_file(request: Request) -> str:
    """Deletes the file that the path names, and returns its id."""
    account, name = await codex_of(request).account(), str(request.path_params["id"])
    await change_state(request, partial(state_of(request).files.delete, name, account=account))
    return name
