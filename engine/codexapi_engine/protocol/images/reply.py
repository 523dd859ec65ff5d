"""Pictures as an Images reply: whole, or as a stream of partial ones."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass, field

from ...errors import CodexError, JsonObject, StreamInterrupted, from_event
from .. import sse
from ..shapes import inner, listed, number, word
from ..sse import Event
from .backend import Images, tool_usage, undrawn

_NO_USAGE: JsonObject = {
    "input_tokens": 0,
    "input_tokens_details": {"image_tokens": 0, "text_tokens": 0},
    "output_tokens": 0,
    "total_tokens": 0,
}


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture in its final form. Everything but the prompt is read from the bytes."""

    data: bytes = field(repr=False)
    format: str  # png, jpeg, webp or gif
    width: int
    height: int
    alpha: bool
    revised_prompt: str | None = None
    url: str | None = None  # where the reply names an address in place of the bytes

    @property
    def size(self) -> str:
        return f"{self.width}x{self.height}"

    @property
    def media_type(self) -> str:
        return f"image/{self.format}"


def to_reply(images: list[Picture], told: Images, *, created: int) -> JsonObject:
    """An ImagesResponse. Size, format and background are the pictures' own."""
    first = images[0]
    reply: JsonObject = {
        "created": told.created or created,
        "background": "transparent" if first.alpha else "opaque",
        "output_format": first.format,
        "size": first.size,
        "data": [_datum(image) for image in images],
    }
    if told.quality and told.quality != "auto":
        reply["quality"] = told.quality
    if told.usage:
        reply["usage"] = told.usage
    return reply


def _datum(image: Picture) -> JsonObject:
    datum: JsonObject = (
        {"url": image.url} if image.url else {"b64_json": base64.b64encode(image.data).decode()}
    )
    if image.revised_prompt:
        datum["revised_prompt"] = image.revised_prompt
    return datum


class Stream:
    """Images events, from the events of a run of the hosted tool. A Translator.

    `kind` is `image_generation` or `image_edit`. Pictures pass on as they came.
    """

    def __init__(
        self, kind: str, *, created: int, size: str, quality: str, background: str
    ) -> None:
        # set once
        self._kind = kind
        self._asked = {"size": size, "quality": quality, "background": background}
        # told by response.created
        self._created = created
        # moves as the stream moves
        self._drawn: JsonObject | None = None
        self._items: list[JsonObject] = []
        self.finished = False

    def feed(self, event: Event) -> Iterable[bytes]:
        kind = event.type
        if self.finished:
            return ()
        if kind == "response.created":
            self._created = number(inner(event.json, "response"), "created_at") or self._created
        elif kind == "response.image_generation_call.partial_image":
            return (self._partial(event.json),)
        elif kind == "response.output_item.done":
            self._items.append(inner(event.json, "item"))
        elif kind in ("response.completed", "response.done", "response.incomplete"):
            return self._complete(inner(event.json, "response"))
        elif kind in ("response.failed", "error"):
            raise from_event(event.json)
        return ()

    def close(self) -> Iterable[bytes]:
        if self.finished:
            return ()
        raise StreamInterrupted("the backend's stream ended before its last event")

    def fail(self, error: CodexError) -> Iterable[bytes]:
        self.finished = True
        return (sse.encode({"type": "error", "error": error.body()}, "error"),)

    def _partial(self, data: JsonObject) -> bytes:
        name = f"{self._kind}.partial_image"
        told = {
            "type": name,
            "b64_json": word(data, "partial_image_b64"),
            "partial_image_index": number(data, "partial_image_index") or 0,
            **self._described(data),
        }
        return sse.encode(told, name)

    def _complete(self, response: JsonObject) -> Iterable[bytes]:
        items = self._items or listed(response, "output")
        calls = [item for item in items if word(item, "type") == "image_generation_call"]
        drawn = [item for item in calls if word(item, "result")]
        if not drawn:
            raise undrawn(calls, items)
        self.finished = True
        name = f"{self._kind}.completed"
        told = {
            "type": name,
            "b64_json": word(drawn[-1], "result"),
            **self._described(drawn[-1]),
            "usage": {**_NO_USAGE, **(tool_usage(response) or {})},
        }
        return (sse.encode(told, name), sse.DONE)

    def _described(self, told: JsonObject) -> JsonObject:
        return {
            "created_at": self._created,
            "output_format": word(told, "output_format") or "png",
            **{name: word(told, name) or asked for name, asked in self._asked.items()},
        }


def completed(
    kind: str, image: Picture, told: Images, *, created: int, quality: str
) -> list[bytes]:
    """The events of a stream whose picture came whole: the last one, and the end."""
    name = f"{kind}.completed"
    data = {
        "type": name,
        "b64_json": base64.b64encode(image.data).decode(),
        "created_at": told.created or created,
        "size": image.size,
        "quality": told.quality or quality,
        "background": "transparent" if image.alpha else "opaque",
        "output_format": image.format,
        "usage": {**_NO_USAGE, **(told.usage or {})},
    }
    return [sse.encode(data, name), sse.DONE]
