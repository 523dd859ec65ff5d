"""Forms with files, and JSON that stands for them: what the image doors take."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from codexapi_engine.errors import InvalidRequest, JsonObject
from codexapi_engine.pictures import MAX_BYTES

from .errors import refusal
from .requests import Endpoint, check_size, json_body, media_type, present

MAX_IMAGE_BODY = 64 * 1024 * 1024
MAX_FILES = 20
_INTEGERS = ("n", "partial_images", "output_compression")
_INDEX = re.compile(r"\[\d*\]\Z")
_DATA_URL = re.compile(r"data:[\w.+-]*/?[\w.+-]*(?:;[\w=.+-]+)*;base64,", re.ASCII)


@dataclass(frozen=True, slots=True)
class Upload:
    """A file of a request: the field's name without an index, and the bytes."""

    field: str
    data: bytes = field(repr=False)


Work = Callable[[Request, JsonObject, list[Upload]], Coroutine[Any, Any, Response]]


def uploaded(work: Work) -> Endpoint:
    """An endpoint out of a function of the request, its fields and its files."""

    async def endpoint(request: Request) -> Response:
        try:
            fields, uploads = await _read(request)
        except ClientDisconnect:
            return Response(status_code=400)
        return await present(request, work(request, fields, uploads))

    endpoint.__name__, endpoint.__doc__ = work.__name__, work.__doc__
    return endpoint


async def _read(request: Request) -> tuple[JsonObject, list[Upload]]:
    if media_type(request) == "application/json":
        body = await json_body(request, MAX_IMAGE_BODY)
        return body, _named_in(body)
    if media_type(request) != "multipart/form-data":
        raise refusal(
            415,
            "unsupported_media_type",
            "Unsupported media type: send multipart/form-data or application/json.",
        )
    return await _form(request)


async def _form(request: Request) -> tuple[JsonObject, list[Upload]]:
    check_size(request, MAX_IMAGE_BODY)
    fields: JsonObject = {}
    uploads = []
    try:
        async with request.form(max_files=MAX_FILES, max_fields=100, max_part_size=1 << 20) as form:
            for name, value in form.multi_items():
                if isinstance(value, UploadFile):
                    uploads.append(await _upload(name, value))
                else:
                    fields[name] = _typed(name, value)
    except MultiPartException as error:
        raise InvalidRequest(
            f"We could not read the form of your request: {error.message}", code="invalid_form"
        ) from None
    return fields, uploads


async def _upload(name: str, file: UploadFile) -> Upload:
    name = _INDEX.sub("", name)
    if (file.size or 0) > MAX_BYTES:
        raise InvalidRequest(
            f"The file in '{name}' has over {MAX_BYTES >> 20} MB.",
            code="image_too_large",
            param=name,
        )
    return Upload(name, await file.read())


def _typed(name: str, value: str) -> Any:
    """A form knows only text; the fields that are not keep their types."""
    if name in _INTEGERS and value.strip().lstrip("-").isdecimal():
        return int(value)
    if name == "stream":
        return value.strip().lower() in ("true", "1")
    return value


def _named_in(body: JsonObject) -> list[Upload]:
    """The pictures of a JSON body: `images: [{"image_url": …}]` and `mask: {"image_url": …}`."""
    given = body.get("images") or body.get("image") or []
    listed = given if isinstance(given, list) else [given]
    uploads = [
        Upload("image", _from_url(one, f"images[{index}].image_url"))
        for index, one in enumerate(listed)
    ]
    if body.get("mask") is not None:
        uploads.append(Upload("mask", _from_url(body["mask"], "mask.image_url")))
    return uploads


def _from_url(given: Any, path: str) -> bytes:
    url = given.get("image_url") if isinstance(given, dict) else given
    url = url.get("url") if isinstance(url, dict) else url
    match = _DATA_URL.match(url) if isinstance(url, str) else None
    if match is None or not isinstance(url, str):
        raise InvalidRequest(
            f"Invalid value for '{path}': expected a base64 data URL of a picture.",
            code="invalid_image_url",
            param=path,
        )
    try:
        return base64.b64decode(url[match.end() :], validate=True)
    except (binascii.Error, ValueError):
        raise InvalidRequest(
            f"Invalid base64 in '{path}'.", code="invalid_base64_image", param=path
        ) from None
