"""Builds the backend's image requests, and reads its results.

There are two transports: the native endpoints and, for what they lack, the hosted tool inside a
Responses stream. Imports no pydantic, since the command line loads this module.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from ...bounds import MAX_EDGE, MAX_IMAGE_PROMPT, MIN_EDGE
from ...errors import (
    BackendError,
    CodexError,
    ContentRefused,
    InvalidRequest,
    JsonObject,
    StreamInterrupted,
    missing,
)
from ..choices import sum_usages
from ..responses.texts import complete_text, role_of
from ..shapes import get_dict, get_int, get_list, get_str

MODEL = "gpt-image-2"
"""The official client's request (0.169.0)."""

MAPPED = frozenset({"gpt-image-1", "gpt-image-1.5", "gpt-image-1-mini", "dall-e-2", "dall-e-3"})
"""Names that clients have hard-coded, of models that the backend does not offer."""

SIZES = ("1024x1024", "1024x1536", "1536x1024")
"""The backend's sizes; it normalises every other, so the nearest is requested."""

QUALITIES = {
    "standard": "medium", "hd": "high",  # the names of older models
    "low": "low", "medium": "medium", "high": "high", "xhigh": "xhigh", "max": "max",
    "auto": "auto",
}  # fmt: skip
ONLY_THE_TOOL = ("moderation", "input_fidelity")
"""What the native endpoints have no word for, and can be left out."""

BACKGROUNDS = ("auto", "opaque", "transparent")
FORMATS = ("png", "jpeg", "webp")

_SLICE = 3 * 4 * 2**15
"""Bytes at a time: whole groups of base64, both ways."""

_SIZE = re.compile(r"(\d{1,5})x(\d{1,5})\Z")
_DRAW = "Call image_generation exactly once, with the user's prompt verbatim. Say nothing else."


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """One picture to make. Checked by `checked`."""

    prompt: str
    model: str = MODEL
    size: str = "auto"
    quality: str = "auto"
    background: str = "auto"
    inputs: tuple[str, ...] = field(default=(), repr=False)  # data URLs: an edit
    mask: str | None = field(default=None, repr=False)  # a data URL
    partial_images: int = 0
    moderation: str | None = None
    input_fidelity: str | None = None
    output_format: str | None = None  # of the hosted tool; elsewhere we convert
    output_compression: int | None = None

    @property
    def needs_the_tool(self) -> bool:
        """Whether the native endpoints lack something of this."""
        return bool(self.mask or self.partial_images)

    def checked(self) -> ImageRequest:
        """With the backend's model and quality. Raises InvalidRequest, naming the field."""
        if not self.prompt.strip():
            raise missing("prompt")
        if len(self.prompt) > MAX_IMAGE_PROMPT:
            raise _invalid("prompt", f"The prompt exceeds {MAX_IMAGE_PROMPT} characters.")
        if self.quality not in QUALITIES:
            raise _one_of("quality", self.quality, QUALITIES)
        if self.background not in BACKGROUNDS:
            raise _one_of("background", self.background, BACKGROUNDS)
        pixels(self.size)
        model = MODEL if self.model in MAPPED else self.model
        return replace(self, model=model, quality=QUALITIES[self.quality])


@dataclass(frozen=True, slots=True)
class Image:
    """One picture as it came: its bytes, and the prompt that it was made from in the end."""

    data: bytes = field(repr=False)
    revised_prompt: str | None = None


class Images(NamedTuple):
    """What one answer brought."""

    images: tuple[Image, ...]
    created: int | None
    quality: str | None  # as the backend reports it, which may differ from the request
    usage: JsonObject | None


def pixels(size: str) -> tuple[int, int] | None:
    """Width and height of a size; None for `auto`. Raises InvalidRequest for nonsense."""
    if size == "auto":
        return None
    match = _SIZE.match(size)
    if match is None:
        raise _invalid("size", f"Invalid size '{size[:40]}': expected 'auto' or WIDTHxHEIGHT.")
    width, height = int(match[1]), int(match[2])
    if not all(MIN_EDGE <= edge <= MAX_EDGE for edge in (width, height)):
        raise _invalid(
            "size", f"Invalid size '{size}': each edge is {MIN_EDGE} to {MAX_EDGE} pixels."
        )
    return width, height


def nearest(size: str) -> str:
    """The size to ask for: the backend's own that is nearest in shape."""
    wanted = pixels(size)
    if wanted is None:
        return size

    def distance(candidate: str) -> float:
        width, height = map(int, candidate.split("x"))
        ratio = (wanted[0] * height) / (wanted[1] * width)
        return max(ratio, 1 / ratio)

    return min(SIZES, key=distance)


def to_backend(request: ImageRequest) -> tuple[str, JsonObject]:
    """The native endpoint's path and body."""
    body = {
        "prompt": request.prompt,
        "background": request.background,
        "model": request.model,
        "quality": request.quality,
        "size": nearest(request.size),
    }
    if request.inputs:
        return "/images/edits", {"images": [{"image_url": url} for url in request.inputs], **body}
    return "/images/generations", body


def to_responses(request: ImageRequest, *, host: str) -> JsonObject:
    """A Responses request for the hosted tool; `host` is the model that calls it."""
    tool: JsonObject = {
        "type": "image_generation",
        "action": "edit" if request.inputs else "generate",
        "size": nearest(request.size),
        "quality": request.quality,
        "background": request.background,
        "output_format": request.output_format or "png",
    }
    if request.partial_images:
        tool["partial_images"] = request.partial_images
    if request.mask:
        tool["input_image_mask"] = {"image_url": request.mask}
    for name in (*ONLY_THE_TOOL, "output_compression"):
        if getattr(request, name) is not None:
            tool[name] = getattr(request, name)
    content = [
        {"type": "input_text", "text": request.prompt},
        *({"type": "input_image", "image_url": url} for url in request.inputs),
    ]
    return {
        "model": host,
        "instructions": _DRAW,
        "input": [{"type": "message", "role": "user", "content": content}],
        "tools": [tool],
        "tool_choice": {"type": "image_generation"},
    }


def from_backend(reply: JsonObject) -> Images:
    """What a native endpoint answered; its pictures are taken out of the answer, so that none is
    in memory twice. Raises BackendError for one without a picture."""
    images = tuple(
        Image(decoded(_taken(datum, "b64_json")), get_str(datum, "revised_prompt") or None)
        for datum in get_list(reply, "data")
    )
    if not images:
        raise BackendError("the backend's answer holds no picture", code="upstream_empty_response")
    return Images(
        images,
        get_int(reply, "created"),
        get_str(reply, "quality") or None,
        get_dict(reply, "usage") or None,
    )


def from_response(response: JsonObject) -> Images:
    """The result of the hosted tool. Raises CodexError where the model wrote something
    in place of drawing."""
    items = get_list(response, "output")
    calls = [item for item in items if get_str(item, "type") == "image_generation_call"]
    drawn = [item for item in calls if get_str(item, "result")]
    if not drawn:
        raise undrawn(calls, items)
    last = drawn[-1]  # a model may draw twice for one request: the last picture counts
    image = Image(decoded(_taken(last, "result")), get_str(last, "revised_prompt") or None)
    return Images(
        (image,),
        get_int(response, "created_at"),
        get_str(last, "quality") or None,
        tool_usage(response),
    )


def merge(answers: Sequence[Images]) -> Images:
    """Several answers as one: the pictures of all, and what they cost in all. At least one."""
    first = answers[0]
    return Images(
        tuple(image for one in answers for image in one.images),
        first.created,
        first.quality,
        sum_usages(one.usage for one in answers),
    )


def tool_usage(response: JsonObject) -> JsonObject | None:
    """The hosted tool's usage, which is beside the stream's own
    (`tests/wires/image_generation.sse`)."""
    return get_dict(get_dict(response, "tool_usage"), "image_gen") or None


def undrawn(calls: Sequence[JsonObject], items: Sequence[JsonObject]) -> CodexError:
    """Why a run ended without a picture."""
    for call in calls:
        if error := get_dict(call, "error"):
            return ContentRefused(
                get_str(error, "message") or "the picture was refused",
                code=get_str(error, "code") or "moderation_blocked",
                type="image_generation_user_error",
            )
    parts = [part for item in items for part in get_list(item, "content")]
    texts = [complete_text(part) for part in parts if role_of(part) != "reasoning"]
    words = " ".join(text for text in texts if text)
    if words:
        return ContentRefused(
            f"the model answered in place of drawing: {words[:500]}",
            code="image_generation_refused",
            type="image_generation_user_error",
        )
    return BackendError("the backend finished without a picture", code="upstream_empty_response")


def decoded(data: str) -> bytes:
    """Raises StreamInterrupted for what is not base64."""
    try:
        # In slices: what runs beside it in other threads gets its turn between them.
        pieces = [
            binascii.a2b_base64(data[at : at + _SLICE], strict_mode=True)
            for at in range(0, len(data), _SLICE)
        ]
    except (binascii.Error, ValueError) as error:
        raise StreamInterrupted(
            "the backend sent a picture that is not base64", code="upstream_protocol_error"
        ) from error
    del data  # 27 MB for a picture of 20, if this was the last that held it
    return b"".join(pieces)


def _taken(holder: JsonObject, name: str) -> str:
    value = holder.pop(name, None)
    return value if isinstance(value, str) else ""


def encoded(data: bytes) -> Iterator[bytes]:
    """Base64, in slices: 20 MB at once would hold everything else up."""
    for at in range(0, len(data), _SLICE):
        yield base64.b64encode(data[at : at + _SLICE])


def data_url(kind: str, data: bytes) -> str:
    return f"data:{kind};base64," + b"".join(encoded(data)).decode()


def _invalid(param: str, message: str) -> InvalidRequest:
    return InvalidRequest(message, code="invalid_value", param=param)


def _one_of(param: str, value: str, known: Sequence[str] | dict[str, str]) -> InvalidRequest:
    names = ", ".join(f"'{name}'" for name in known)
    return _invalid(param, f"Invalid value '{value[:40]}': supported values are {names}.")
