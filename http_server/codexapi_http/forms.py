"""Reads forms with files: multipart/form-data."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Callable
from typing import NamedTuple

from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from codexapi_engine import CodexError, InvalidRequest
from codexapi_engine.bounds import MAX_FORM_BYTES, MIB
from codexapi_engine.errors import copy_of, missing

from .endpoint import Endpoint, Working
from .errors import refusal
from .requests import body_pieces, content_length, media_type, reserve

_MAX_FIELDS = 100
_LIST = re.compile(r"\[\d*\]\Z")


class FormFile(NamedTuple):
    """The file of a form."""

    name: str
    data: bytes


Fields = dict[str, str]
"""The other fields of a form by name; `name[]` is `name`."""


def with_file(work: Callable[[Request, Fields, FormFile], Working], *, max_bytes: int) -> Endpoint:
    """An endpoint out of a function of the request, and its form with one `file`."""

    async def begin(request: Request) -> Working:
        fields, file = await _fields_and_file(request)
        if not file.data:
            raise InvalidRequest("The file is empty.", code="invalid_file", param="file")
        if len(file.data) > max_bytes:
            raise refusal(
                413,
                "request_too_large",
                f"The file exceeds the limit of {max_bytes // MIB} MiB.",
                param="file",
            )
        return work(request, fields, file)

    return Endpoint(begin, work)


async def read_form(request: Request, *, max_files: int) -> FormData:
    """The form; close it. Raises InvalidRequest, or another refusal."""
    reserve(request.scope, content_length(request, MAX_FORM_BYTES))
    pieces = _pieces(request)
    parser = MultiPartParser(request.headers, pieces, max_files=max_files, max_fields=_MAX_FIELDS)
    try:
        return await parser.parse()
    except _Refused as refused:
        raise copy_of(refused.error) from None
    except MultiPartException as error:
        raise InvalidRequest(
            f"We could not read the form of your request: {error.message}", code="invalid_form"
        ) from None


class _Refused(MultiPartException):
    """An error of ours in the middle of a form: of this kind alone the parser closes its files."""

    def __init__(self, error: CodexError) -> None:
        super().__init__(error.message)
        self.error = error


async def _pieces(request: Request) -> AsyncGenerator[bytes, None]:
    try:
        async for piece in body_pieces(request, MAX_FORM_BYTES):
            yield piece
    except CodexError as error:
        raise _Refused(error) from None


async def _fields_and_file(request: Request) -> tuple[Fields, FormFile]:
    if media_type(request) != "multipart/form-data":
        raise refusal(
            415, "unsupported_media_type", "Unsupported media type: send multipart/form-data."
        )
    form = await read_form(request, max_files=1)
    try:
        fields, file = Fields(), None
        for name, value in form.multi_items():
            if not isinstance(value, UploadFile):
                fields[_LIST.sub("", name)] = value
            elif name == "file":
                file = FormFile(value.filename or "", await value.read())
            else:
                fields[name] = ""
    finally:
        await form.close()
    if file is not None:
        return fields, file
    if "file" in fields:
        raise InvalidRequest(
            "Invalid type for 'file': expected a file, with a name.",
            code="invalid_type",
            param="file",
        )
    raise missing("file")
