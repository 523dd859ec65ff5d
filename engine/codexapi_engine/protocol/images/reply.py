"""Renders pictures as an Images reply: complete, or as a stream of partial images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from ...errors import CodexError, JsonObject
from .. import json, sse
from ..responses import ANSWER_ENDS
from ..shapes import get_dict, get_int, get_list, get_str
from ..sse import Event
from ..translator import EventTranslator, Handler
from .backend import Images, decoded, encoded, tool_usage, undrawn
from .header import header

PARTIAL = "response.image_generation_call.partial_image"
_HEAD = 64 * 1024
"""Characters of base64 in which a picture says what it is."""

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

    @property
    def background(self) -> str:
        return "transparent" if self.alpha else "opaque"


def to_reply(pictures: Sequence[Picture], answer: Images, *, created: int) -> Iterator[bytes]:
    """An ImagesResponse, in chunks: a picture of 20 MB is never copied. Size, format and
    background are the first picture's own."""
    first = pictures[0]
    reply: JsonObject = {
        "created": answer.created or created,
        "background": first.background,
        "output_format": first.format,
        "size": first.size,
        "data": [_datum(picture) for picture in pictures],
    }
    if answer.quality and answer.quality != "auto":
        reply["quality"] = answer.quality
    if answer.usage:
        reply["usage"] = answer.usage
    carried = iter([picture for picture in pictures if not picture.url])
    start, *rest = json.dumps(reply).split(_HERE)
    yield start
    for piece in rest:
        yield from encoded(next(carried).data)
        yield piece


_HERE = b"{the picture's bytes}"
_PLACE = _HERE.decode()


def _datum(picture: Picture) -> JsonObject:
    prompt = picture.revised_prompt
    return {
        **({"url": picture.url} if picture.url else {"b64_json": _PLACE}),
        **({"revised_prompt": prompt.replace(_PLACE, "")} if prompt else {}),
    }


class ImageStream(EventTranslator):
    """Images events, from the events of a run of the hosted tool. A Translator.

    `kind` is `image_generation` or `image_edit`. Pictures pass on as they came.
    """

    def __init__(
        self, kind: str, *, created: int, size: str, quality: str, background: str
    ) -> None:
        # set once
        self._kind = kind
        self._options = {"size": size, "quality": quality, "background": background}
        # from response.created
        self._created = created
        # moves as the stream moves
        self._items: list[JsonObject] = []

    def fail(self, error: CodexError) -> Iterable[bytes]:
        self.finished = True
        return (sse.encode({"type": "error", "error": error.body()}, "error"),)

    def _on_created(self, data: JsonObject) -> Iterable[bytes]:
        self._created = get_int(get_dict(data, "response"), "created_at") or self._created
        return ()

    def _on_item(self, data: JsonObject) -> Iterable[bytes]:
        self._items.append(get_dict(data, "item"))
        return ()

    def _on_partial(self, data: JsonObject) -> Iterable[bytes]:
        name = f"{self._kind}.partial_image"
        picture = get_str(data, "partial_image_b64")
        event = {
            "type": name,
            "b64_json": picture,
            "partial_image_index": get_int(data, "partial_image_index") or 0,
            **self._described(data, picture),
        }
        return (sse.encode(event, name),)

    def _on_last_event(self, data: JsonObject) -> Iterable[bytes]:
        response = get_dict(data, "response")
        items = self._items or get_list(response, "output")
        calls = [item for item in items if get_str(item, "type") == "image_generation_call"]
        drawn = [item for item in calls if get_str(item, "result")]
        if not drawn:
            raise undrawn(calls, items)
        self.finished = True
        name, picture = f"{self._kind}.completed", get_str(drawn[-1], "result")
        event = {
            "type": name,
            "b64_json": picture,
            **self._described(drawn[-1], picture),
            "usage": {**_NO_USAGE, **(tool_usage(response) or {})},
        }
        return (sse.encode(event, name), sse.DONE)

    def _described(self, data: JsonObject, picture: str) -> JsonObject:
        """What the bytes say, where they say it; then the backend; then the request."""
        options = {name: get_str(data, name) or options for name, options in self._options.items()}
        beginning = picture[:_HEAD]
        seen = header(decoded(beginning[: len(beginning) // 4 * 4]))
        if seen is None:
            return {"created_at": self._created, "output_format": "png", **options}
        return {
            "created_at": self._created,
            **options,
            "output_format": seen.format,
            "size": f"{seen.width}x{seen.height}",
            "background": "transparent" if seen.alpha else "opaque",
        }

    HANDLERS: ClassVar[dict[str, Handler]] = {
        "response.created": _on_created,
        PARTIAL: _on_partial,
        "response.output_item.done": _on_item,
        **dict.fromkeys(ANSWER_ENDS, _on_last_event),
        "response.failed": EventTranslator._failed,
        "error": EventTranslator._failed,
    }


def completed(kind: str, picture: Picture, answer: Images, *, created: int, quality: str) -> bytes:
    """The one event of a stream whose picture is complete."""
    name = f"{kind}.completed"
    data = {
        "type": name,
        "b64_json": b"".join(encoded(picture.data)).decode(),
        "created_at": answer.created or created,
        "size": picture.size,
        "quality": answer.quality or quality,
        "background": picture.background,
        "output_format": picture.format,
        "usage": {**_NO_USAGE, **(answer.usage or {})},
    }
    return sse.encode(data, name)


class CompletedImage:
    """Passes on the event that `completed` has made. A Translator."""

    def __init__(self) -> None:
        self.finished = False

    def feed(self, event: Event) -> Iterable[bytes]:
        self.finished = True
        return (event.raw + b"\n\n", sse.DONE)

    def close(self) -> Iterable[bytes]:
        return ()

    def fail(self, error: CodexError) -> Iterable[bytes]:
        self.finished = True
        return (sse.encode({"type": "error", "error": error.body()}, "error"),)
