"""The schema of a client's Images requests: a generation, an edit, a variation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from ...bounds import MAX_IMAGES
from ...errors import InvalidRequest, JsonObject
from ..rules import FieldRule, apply, unsupported
from ..validation import validated
from .backend import FORMATS, MODEL, ImageRequest

VARIATION = (
    "Create a variation of this image: the same subject, style and mood, in a new composition."
)
ADDRESSES = frozenset({"dall-e-2", "dall-e-3"})
"""Models whose clients expect an address where they ask for nothing."""

RULES: dict[str, FieldRule] = {
    "prompt": FieldRule.TRANSLATED,
    "model": FieldRule.TRANSLATED,
    "size": FieldRule.TRANSLATED,
    "quality": FieldRule.TRANSLATED,
    "background": FieldRule.TRANSLATED,
    "moderation": FieldRule.TRANSLATED,
    "partial_images": FieldRule.TRANSLATED,
    "n": FieldRule.HONOURED,
    "stream": FieldRule.HONOURED,
    "response_format": FieldRule.HONOURED,
    "output_format": FieldRule.HONOURED,
    "output_compression": FieldRule.HONOURED,
    "style": FieldRule.IGNORED,
    "user": FieldRule.IGNORED,
    "safety_identifier": FieldRule.IGNORED,
    "markup": FieldRule.REFUSED,
}
"""What becomes of each field of a generation. What is not here is ignored."""

EDIT_RULES: dict[str, FieldRule] = {
    "image": FieldRule.TRANSLATED,
    "images": FieldRule.TRANSLATED,
    "mask": FieldRule.TRANSLATED,
    "input_fidelity": FieldRule.TRANSLATED,
    **RULES,
}
VARIATION_RULES = {**EDIT_RULES, "prompt": FieldRule.IGNORED, "mask": FieldRule.IGNORED}

ASKS_NOTHING: dict[str, object] = {}
"""Values of fields that are ignored or refused, and that ask for nothing."""


class ImageParams(BaseModel):
    """A generation, or an edit: then with pictures, which the front end made data URLs of."""

    model_config = ConfigDict(extra="allow", strict=True, defer_build=True)

    prompt: str
    model: str | None = None
    size: str | None = None
    quality: str | None = None
    background: str | None = None
    moderation: Literal["auto", "low"] | None = None
    input_fidelity: Literal["high", "low"] | None = None
    partial_images: int | None = Field(None, ge=0, le=3)
    n: int | None = Field(None, ge=1, le=MAX_IMAGES)
    stream: bool | None = None
    response_format: Literal["b64_json", "url"] | None = None
    output_format: str | None = None
    output_compression: int | None = Field(None, ge=0, le=100)

    @property
    def wants_urls(self) -> bool:
        return (self.response_format or ("url" if self.model in ADDRESSES else "")) == "url"

    @property
    def compression(self) -> int | None:
        return None if self.output_format in (None, "png") else self.output_compression

    def to_image_request(
        self, *, inputs: tuple[str, ...] = (), mask: str | None = None
    ) -> ImageRequest:
        """The picture to make. Raises InvalidRequest, naming the field."""
        return ImageRequest(
            prompt=self.prompt,
            model=self.model or MODEL,
            size=self.size or "auto",
            quality=self.quality or "auto",
            background=self.background or "auto",
            inputs=inputs,
            mask=mask,
            moderation=self.moderation,
            input_fidelity=self.input_fidelity,
            # A stream's pictures pass as the tool makes them; elsewhere we convert.
            partial_images=(self.partial_images or 0) if self.stream else 0,
            output_format=self.output_format if self.stream else None,
            output_compression=self.compression if self.stream else None,
        ).checked()


class Variation(ImageParams):
    """A variation: its prompt is ours, and the rest is what the official endpoint does."""

    prompt: str = VARIATION
    size: str | None = "1024x1024"
    response_format: Literal["b64_json", "url"] | None = "url"


def from_client(
    body: JsonObject,
    *,
    strict: bool = False,
    model: type[ImageParams] = ImageParams,
    rules: Mapping[str, FieldRule] = RULES,
) -> tuple[ImageParams, tuple[str, ...]]:
    """A client's body, checked, and the names of the ignored fields.

    Raises InvalidRequest, naming the field.
    """
    ignored = apply(rules, body, strict=strict, no_effect=ASKS_NOTHING, unknown=FieldRule.IGNORED)
    request = validated(model, {name: body[name] for name in body.keys() - ignored})
    if request.output_format not in (None, *FORMATS):
        raise _invalid("output_format", "supported values are 'png', 'jpeg' and 'webp'")
    # 100 is the official API's default.
    if request.output_compression not in (None, 100) and request.output_format in (None, "png"):
        raise _invalid("output_compression", "png has none: ask for 'jpeg' or 'webp'")
    if request.background == "transparent" and request.output_format == "jpeg":
        raise _invalid("background", "jpeg cannot be transparent: ask for 'png' or 'webp'")
    if request.stream and (request.n or 1) > 1:
        raise _invalid("n", "a stream has one picture: its events carry no index")
    if request.stream and request.response_format == "url":
        raise _invalid("response_format", "a stream carries pictures, not addresses")
    if request.partial_images and not request.stream:
        if strict:
            raise unsupported("partial_images", "they come in a stream: send 'stream'")
        ignored = (*ignored, "partial_images")
    return request, ignored


def _invalid(param: str, why: str) -> InvalidRequest:
    return InvalidRequest(f"Invalid value for '{param}': {why}.", code="invalid_value", param=param)
