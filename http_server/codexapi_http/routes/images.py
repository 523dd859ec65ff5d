"""The image endpoints: generations, edits, variations, and files of finished pictures."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, Response

from codexapi_engine import EventStream
from codexapi_engine.aside import aside
from codexapi_engine.errors import JsonObject, missing
from codexapi_engine.http.event_stream import OnEvents
from codexapi_engine.images import processing
from codexapi_engine.images.batch import Batch
from codexapi_engine.protocol import Event, images, json
from codexapi_engine.protocol.images import request as asked_by

from ..errors import refusal
from ..multipart import Uploads
from ..pump import NOT_OPEN, EventStreamResponse, Run
from ..requests import codex_of, settings_of
from .answer import ignored_header, pieces_response, stream_response

FILES = "/v1/files/images/"


@dataclass(frozen=True, slots=True)
class Order:
    """What a client wants, in its words and in ours."""

    params: asked_by.ImageParams
    wanted: images.ImageRequest
    kind: str  # of its stream's events
    left_out: tuple[str, ...]
    created: int = field(default_factory=lambda: int(time.time()))

    @property
    def ignored(self) -> tuple[str, ...]:
        """Also what the hosted tool alone knows, where that does not draw."""
        lost = () if self.wanted.needs_the_tool else images.ONLY_THE_TOOL
        return (
            *self.left_out,
            *(name for name in lost if getattr(self.wanted, name) not in (None, "auto")),
        )


async def images_generations(request: Request, body: JsonObject) -> Response:
    """POST /v1/images/generations"""
    params, ignored = await _understood(request, body)
    return await _drawn(
        request, Order(params, params.to_image_request(), "image_generation", ignored)
    )


async def images_edits(request: Request, body: JsonObject, uploads: Uploads) -> Response:
    """POST /v1/images/edits"""
    params, ignored = await _understood(request, body, rules=asked_by.EDIT_RULES)
    masks = uploads["mask"]
    inputs, mask = await asyncio.to_thread(
        processing.to_edit, _some(uploads["image"]), masks[0] if masks else None
    )
    wanted = params.to_image_request(inputs=inputs, mask=mask)
    return await _drawn(request, Order(params, wanted, "image_edit", ignored))


async def images_variations(request: Request, body: JsonObject, uploads: Uploads) -> Response:
    """POST /v1/images/variations: the backend has none, so an edit stands in."""
    params, ignored = await _understood(
        request, body, model=asked_by.Variation, rules=asked_by.VARIATION_RULES
    )
    inputs, _ = await asyncio.to_thread(processing.to_edit, _some(uploads["image"])[:1], None)
    wanted = params.to_image_request(inputs=inputs)
    response = await _drawn(request, Order(params, wanted, "image_edit", ignored))
    response.headers["x-codexapi-emulated"] = "variations"
    return response


async def images_file(request: Request) -> Response:
    """GET /v1/files/images/{name}: needs no key, its name is one."""
    path = request.app.state.hosted_images.find(request.path_params["name"])
    if path is None:
        raise refusal(404, "not_found", "There is no such picture, or it is over an hour old.")
    headers = {"x-content-type-options": "nosniff", "cache-control": "private, max-age=3600"}
    return FileResponse(path, media_type=f"image/{path.suffix[1:]}", headers=headers)


async def _understood(
    request: Request, body: JsonObject, **options: Any
) -> tuple[asked_by.ImageParams, tuple[str, ...]]:
    strict = settings_of(request).strict
    return await aside(json.is_heavy(body), asked_by.from_client, body, strict=strict, **options)


def _some(inputs: list[processing.Input]) -> list[processing.Input]:
    if not inputs:
        raise missing("image")
    return inputs


async def _drawn(request: Request, order: Order) -> Response:
    if order.params.stream and order.wanted.needs_the_tool:
        return _streamed(request, order)
    if order.params.stream:
        run = Run(_Drawing(request, order), images.CompletedImage())
        headers = ignored_header(order.ignored)
        return EventStreamResponse(run, headers=headers)
    batch = await _draw_batch(request, order)
    failures = batch.errors()
    finished = [picture for pictures in batch.images for picture in pictures]
    if order.params.wants_urls:
        finished = [await _addressed(request, picture) for picture in finished]
    pieces = images.to_reply(finished, batch.answer, created=order.created)
    limits = codex_of(request).limits  # from the pictures' answers
    headers = {**(limits.as_headers() if limits else {}), **ignored_header(order.ignored)}
    if failures:
        code = failures[0].known_code
        headers["x-codexapi-failed"] = f"{len(failures)} of {order.params.n}: {code}"
    return pieces_response(pieces, headers)


def _streamed(request: Request, order: Order) -> Response:
    """With partial pictures, as the hosted tool draws them."""
    codex = codex_of(request)

    async def open_runs() -> Sequence[EventStream]:
        return [await codex.open_drawing(order.wanted)]

    stream = images.ImageStream(
        order.kind,
        created=order.created,
        size=order.wanted.size,
        quality=order.wanted.quality,
        background=order.wanted.background,
    )
    run = Run(NOT_OPEN, stream, lambda run: codex.observer.images_generated(1))
    return stream_response(open_runs, run, ignored=order.ignored)


class _Drawing:
    """A complete picture, as a stream of one event."""

    def __init__(self, request: Request, order: Order) -> None:
        self._request = request
        self._order = order

    async def push(self, on_events: OnEvents) -> bool:
        order = self._order
        batch = await _draw_batch(self._request, order)
        ((picture,),) = batch.images
        event = images.completed(
            order.kind, picture, batch.answer, created=order.created, quality=order.wanted.quality
        )
        on_events([Event(event.removesuffix(b"\n\n"))])
        return False

    async def aclose(self) -> None:
        pass  # the drawing ends with the task that waits for it


async def _draw_batch(request: Request, order: Order) -> Batch[list[images.Picture]]:
    """The pictures, in the format that the client wants. Raises CodexError if there is none."""

    async def finish(index: int, answer: images.Images) -> list[images.Picture]:
        return await asyncio.to_thread(_formed, order.params, answer.images)

    return await codex_of(request).draw_many(order.wanted, order.params.n or 1, finish)


def _formed(params: asked_by.ImageParams, drawn: Sequence[images.Image]) -> list[images.Picture]:
    return [
        processing.finished(
            image.data,
            format=params.output_format,
            compression=params.compression,
            revised_prompt=image.revised_prompt,
        )
        for image in drawn
    ]


async def _addressed(request: Request, picture: images.Picture) -> images.Picture:
    """The picture, kept for an hour, with its address on this host."""
    add = request.app.state.hosted_images.add
    name = await asyncio.to_thread(add, picture.data, picture.format)
    return replace(picture, data=b"", url=f"{str(request.base_url).rstrip('/')}{FILES}{name}")
