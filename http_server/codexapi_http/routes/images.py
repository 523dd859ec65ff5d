"""Images: generations, edits, variations, and the addresses of finished pictures."""

from __future__ import annotations

import asyncio
import time

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from codexapi_engine import pictures
from codexapi_engine.errors import InvalidRequest, JsonObject
from codexapi_engine.protocol import images
from codexapi_engine.protocol.images.request import Request as ImageRequest
from codexapi_engine.protocol.images.request import from_client

from ..multipart import Upload
from ..requests import all_of, codex_of, settings_of
from ..streaming import EventStreamResponse, Run
from .answer import answer_headers, ignored_header, json_response

AT_ONCE = 2
"""Pictures of one request that are made at the same time."""

VARIATION = (
    "Create a variation of this image: the same subject, style and mood, in a new composition."
)


async def generations(request: Request, body: JsonObject) -> Response:
    """POST /v1/images/generations"""
    asked, ignored = from_client(body, strict=settings_of(request).strict)
    return await _drawn(request, asked, asked.asked(), ignored, "image_generation")


async def edits(request: Request, body: JsonObject, uploads: list[Upload]) -> Response:
    """POST /v1/images/edits"""
    asked, ignored = from_client(body, strict=settings_of(request).strict)
    inputs, mask = _inputs(body, uploads)
    wanted = asked.asked(inputs=inputs, mask=mask)
    return await _drawn(request, asked, wanted, ignored, "image_edit")


async def variations(request: Request, body: JsonObject, uploads: list[Upload]) -> Response:
    """POST /v1/images/variations: the backend has none, so an edit stands in."""
    asked, ignored = from_client(
        {"size": "1024x1024", **body, "prompt": VARIATION}, strict=settings_of(request).strict
    )
    inputs, _ = _inputs(body, uploads)
    response = await _drawn(request, asked, asked.asked(inputs=inputs[:1]), ignored, "image_edit")
    response.headers["x-codexapi-emulated"] = "variations"
    return response


async def file(request: Request) -> Response:
    """GET /v1/files/images/{name}"""
    path = request.app.state.gallery.find(request.path_params["name"])
    if path is None:
        raise HTTPException(404)
    headers = {"x-content-type-options": "nosniff", "cache-control": "private, max-age=3600"}
    return FileResponse(path, media_type=f"image/{path.suffix[1:]}", headers=headers)


async def _drawn(
    request: Request,
    asked: ImageRequest,
    wanted: images.Asked,
    ignored: tuple[str, ...],
    kind: str,
) -> Response:
    codex, created = codex_of(request), int(time.time())
    if asked.stream:
        events = await codex.open(await codex.drawing(wanted))
        stream = images.Stream(
            kind,
            created=created,
            size=wanted.size,
            quality=wanted.quality,
            background=wanted.background,
        )
        headers = answer_headers(events, ignored)
        return await EventStreamResponse.begin(request, Run(events, stream), headers=headers)
    told = await _several(request, wanted, asked.n or 1)
    finished = [
        await asyncio.to_thread(
            pictures.finished,
            image.data,
            format=asked.output_format,
            compression=asked.output_compression,
            revised_prompt=image.revised_prompt,
        )
        for one in told
        for image in one.images
    ]
    if asked.response_format == "url":
        finished = [_addressed(request, picture) for picture in finished]
    reply = images.to_reply(finished, images.together(told), created=created)
    return json_response(reply, ignored_header(ignored))


async def _several(request: Request, wanted: images.Asked, count: int) -> list[images.Images]:
    """So many pictures, each a call of its own. The first failure ends the others."""
    codex, turns = codex_of(request), asyncio.Semaphore(AT_ONCE)

    async def one() -> images.Images:
        async with turns:
            return await codex.draw(wanted)

    return await all_of(one() for _ in range(count))


def _inputs(body: JsonObject, uploads: list[Upload]) -> tuple[tuple[str, ...], str | None]:
    """The pictures to edit, and the mask, as data URLs. Raises InvalidRequest, naming the field."""
    found = [upload for upload in uploads if upload.field == "image"]
    masks = [upload for upload in uploads if upload.field == "mask"]
    if not found:
        raise InvalidRequest(
            "Missing required parameter: 'image'.",
            code="missing_required_parameter",
            param="image",
        )
    if len(found) > 16:
        raise InvalidRequest("At most 16 pictures.", code="invalid_value", param="image")
    seen = [pictures.looked_at(upload.data, param="image") for upload in found]
    urls = tuple(images.data_url(picture.media_type, picture.data) for picture in seen)
    if not masks:
        return urls, None
    mask = pictures.looked_at(masks[0].data, param="mask")
    if mask.format != "png" or not mask.alpha:
        raise InvalidRequest(
            "The mask has to be a PNG with an alpha channel: transparent is what may change.",
            code="invalid_image",
            param="mask",
        )
    if (mask.width, mask.height) != (seen[0].width, seen[0].height):
        raise InvalidRequest(
            "The mask has to have the size of the first picture.",
            code="invalid_image",
            param="mask",
        )
    return urls, images.data_url("image/png", mask.data)
