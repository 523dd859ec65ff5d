"""Replaces the file ids of a request by the stored files."""

from __future__ import annotations

from collections import Counter
from functools import partial

from starlette.requests import Request

from codexapi_engine import InvalidRequest
from codexapi_engine.aside import aside
from codexapi_engine.bounds import MAX_BODY_BYTES, MAX_FILE_BYTES, MIB
from codexapi_engine.errors import JsonObject
from codexapi_engine.protocol.stored_files import FileContent
from codexapi_engine.protocol.stored_files.references import file_ids, fill, path_of
from codexapi_engine.storage import no_such_file

from .requests import codex_of, content_length, read_state, reserve, state_of


async def with_files(
    request: Request, body: JsonObject, sent: JsonObject, *, heavy: bool
) -> JsonObject:
    """The translated request with the file in place of each id; the same object where it has none.
    `body` is the client's request; `heavy`: to walk through `sent` is for a thread. Raises
    CodexError, naming the client's field."""
    ids = await aside(heavy, file_ids, sent)
    if not ids:
        return sent
    counts = Counter(ids)
    size = await _size_of_files(request, body, counts)
    reserve(request.scope, content_length(request, MAX_BODY_BYTES) + size)
    files = {name: await file_content(request, name, _param(body, name)) for name in counts}
    return await aside(True, fill, sent, files, body)


async def check_files(
    request: Request, body: JsonObject, items: list[JsonObject], *, heavy: bool
) -> None:
    """Raises CodexError for an id that no file has, naming the client's field."""
    if ids := await aside(heavy, file_ids, {"input": items}):
        await _size_of_files(request, body, Counter(ids))


async def file_content(request: Request, name: str, param: str | None) -> FileContent:
    """A file of the present account. Raises CodexError, naming the client's field."""
    account = await codex_of(request).account()
    try:
        return await read_state(partial(state_of(request).files.content, name, account=account))
    except InvalidRequest:
        raise no_such_file(name, param) from None


async def _size_of_files(request: Request, body: JsonObject, counts: Counter[str]) -> int:
    """How many bytes a request gets by its file ids. Raises CodexError."""
    account, files, size = await codex_of(request).account(), state_of(request).files, 0
    for name, count in counts.items():
        try:
            found = await read_state(partial(files.get, name, account=account))
        except InvalidRequest:
            raise no_such_file(name, _param(body, name)) from None
        size += count * found.size
        if size > MAX_FILE_BYTES:
            raise InvalidRequest(
                f"The stored files of one request have over {MAX_FILE_BYTES // MIB} MiB together.",
                code="file_too_large",
                param=_param(body, name),
            )
    return size


def _param(body: JsonObject, name: str) -> str:
    """Where the client's request has the id; an earlier turn may have it."""
    earlier = "conversation" if body.get("conversation") else "previous_response_id"
    return path_of(body, name) or earlier
