"""Parses the bodies of image requests: multipart forms, and JSON with data URLs."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Callable
from typing import Any

from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request
from starlette.responses import Response

from codexapi_engine.bounds import MAX_FORM_BYTES, MAX_INPUTS
from codexapi_engine.errors import CodexError, InvalidRequest, JsonObject
from codexapi_engine.images.processing import Input
from codexapi_engine.protocol.images import data_urls

from .endpoint import Endpoint, Working
from .errors import refusal
from .requests import body_pieces, codex_of, content_length, json_body, media_type, reserve

MAX_FILES = MAX_INPUTS + 4  # so that one too many is refused in words about pictures
_INTEGERS = ("n", "partial_images", "output_compression")
_INTEGER = re.compile(r"-?[0-9]{1,18}")
_PICTURES = ("image", "images", "mask")
_INDEX = re.compile(r"\[\d*\]\Z")

Uploads = dict[str, list[Input]]
"""The pictures of a request: those of `image`, and the `mask`."""

Work = Callable[[Request, JsonObject, Uploads], Working]


def uploaded(work: Work) -> Endpoint:
    """An endpoint out of a function of the request, its fields and its pictures.

    Cancelled as `posted` says; pictures that the request names by address are fetched meanwhile.
    """

    async def begin(request: Request) -> Working:
        fields, files = await _fields_and_files(request)
        return _work(work, request, fields, files)

    return Endpoint(begin, work)


async def _work(
    work: Work, request: Request, fields: JsonObject, files: list[tuple[str, Input]]
) -> Response:
    uploads: Uploads = {"image": [], "mask": []}
    for name, upload in [*files, *await _named_in(request, fields)]:
        uploads["mask" if name == "mask" else "image"].append(upload)
    return await work(request, fields, uploads)


async def _fields_and_files(request: Request) -> tuple[JsonObject, list[tuple[str, Input]]]:
    if media_type(request) == "application/json":
        return await json_body(request, MAX_FORM_BYTES), []
    if media_type(request) != "multipart/form-data":
        raise refusal(
            415,
            "unsupported_media_type",
            "Unsupported media type: send multipart/form-data or application/json.",
        )
    form = await _parse_form(request)
    try:
        return await _sorted(form)
    finally:
        await form.close()


async def _parse_form(request: Request) -> FormData:
    reserve(request.scope, content_length(request, MAX_FORM_BYTES))
    parser = MultiPartParser(request.headers, _pieces(request), max_files=MAX_FILES, max_fields=100)
    try:
        return await parser.parse()
    except _Refused as refused:
        raise refused.error from None
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


async def _sorted(form: FormData) -> tuple[JsonObject, list[tuple[str, Input]]]:
    fields: JsonObject = {}
    files = []
    for name, value in form.multi_items():
        plain = _INDEX.sub("", name)
        if isinstance(value, UploadFile):
            files.append((plain, Input(plain, await value.read())))
        elif plain in _PICTURES and plain != "mask":
            fields.setdefault(plain, []).append(value)
        else:
            fields[name] = _typed(name, value)
    return fields, files


def _typed(name: str, value: str) -> Any:
    """A form knows only text; the fields that are not keep their types."""
    if name in _INTEGERS:
        if not _INTEGER.fullmatch(value):
            raise InvalidRequest(
                f"Invalid value for '{name}': expected a whole number.",
                code="invalid_value",
                param=name,
            )
        return int(value)
    if name == "stream":
        return value.strip().lower() in ("true", "1")
    return value


async def _named_in(request: Request, body: JsonObject) -> list[tuple[str, Input]]:
    """The pictures that stand in the fields: `images: [{"image_url": …}]`, `mask` likewise."""
    found, size = [], 0
    for name in _PICTURES:
        value = body.get(name)
        listed = value if isinstance(value, list) else [value] if value is not None else []
        if len(listed) > MAX_INPUTS:  # refused before each is downloaded
            raise InvalidRequest(
                f"At most {MAX_INPUTS} pictures can be edited at once.",
                code="invalid_value",
                param=f"{name}[{MAX_INPUTS}]",
            )
        for index, one in enumerate(listed):
            at = f"{name}[{index}]" if isinstance(value, list) else name
            named = await _load(request, one, at)
            size += len(named.data)
            if size > MAX_FORM_BYTES:  # a short body can name a lot to fetch
                raise InvalidRequest(
                    f"With '{at}', the pictures have over {MAX_FORM_BYTES >> 20} MiB together.",
                    code="image_too_large",
                    param=named.param,
                )
            found.append((name, named))
    return found


async def _load(request: Request, value: Any, at: str) -> Input:
    if isinstance(value, dict):
        if value.get("file_id") is not None:
            raise InvalidRequest(
                f"Invalid value for '{at}.file_id': the Codex backend has no file store; send the "
                "picture itself, or an https address.",
                code="invalid_value",
                param=f"{at}.file_id",
            )
        value, at = value.get("image_url"), f"{at}.image_url"
        value = value.get("url") if isinstance(value, dict) else value
    if not isinstance(value, str):
        raise _no_address(at)
    if parts := data_urls.split(value):
        return Input(at, _decoded(parts[1], at))
    if "://" in value[:20]:
        return await codex_of(request).fetcher.fetch(value, param=at)
    raise _no_address(at)


def _decoded(text: str, at: str) -> bytes:
    try:
        return data_urls.decode(text)
    except ValueError:
        raise InvalidRequest(
            f"Invalid base64 in '{at}'.", code="invalid_base64_image", param=at
        ) from None


def _no_address(at: str) -> InvalidRequest:
    return InvalidRequest(
        f"Invalid value for '{at}': expected a base64 data URL or an https address of a picture.",
        code="invalid_image_url",
        param=at,
    )
