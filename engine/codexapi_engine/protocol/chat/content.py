"""Translates the content parts of a chat message into parts of a Responses message."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ...errors import InvalidRequest, JsonObject, missing
from ..images import data_urls
from ..responses.parts import file_part, has_file_id, is_data, translate_part
from ..shapes import get_str
from .fields import require_field, without_nulls
from .schema import Message

_ToPart = Callable[[JsonObject, str], JsonObject]


def translate_parts(
    message: Message, path: str, known: Mapping[str, _ToPart], kind: str = "input_text"
) -> list[JsonObject]:
    content = message.content
    if content is None:
        raise InvalidRequest(
            f"Invalid value for '{path}.content': expected a string or a list of parts, got null.",
            code="invalid_type",
            param=f"{path}.content",
        )
    if isinstance(content, str):
        return [_text_of(kind, content)]
    if not content:
        raise InvalidRequest(
            f"Invalid value for '{path}.content': the list of parts is empty.",
            code="invalid_value",
            param=f"{path}.content",
        )
    return [_content_part(part, f"{path}.content[{n}]", known) for n, part in enumerate(content)]


def _content_part(part: JsonObject, path: str, known: Mapping[str, _ToPart]) -> JsonObject:
    kind = part.get("type")
    to_part = known.get(kind) if isinstance(kind, str) else None
    if to_part is None:
        supported = ", ".join(f"'{name}'" for name in known)
        raise InvalidRequest(
            f"Invalid value: '{kind}'. Supported values are: {supported}.",
            code="invalid_value",
            param=f"{path}.type",
        )
    return to_part(part, path)


def _text_of(kind: str, text: str) -> JsonObject:
    part: JsonObject = {"type": kind, "text": text}
    return {**part, "annotations": []} if kind == "output_text" else part


def text_part(part: JsonObject, path: str) -> JsonObject:
    return {"type": "input_text", "text": require_field(part, "text", path)}


def _output_text_part(part: JsonObject, path: str) -> JsonObject:
    return _text_of("output_text", require_field(part, "text", path))


def _refusal_part(part: JsonObject, path: str) -> JsonObject:
    return {"type": "refusal", "refusal": require_field(part, "refusal", path)}


def _image_part(part: JsonObject, path: str) -> JsonObject:
    value = part.get("image_url")
    image = {"url": value} if isinstance(value, str) else value  # the Responses form, tolerated
    if not isinstance(image, dict):
        raise missing(f"{path}.image_url.url")
    url = require_field(image, "url", f"{path}.image_url")
    if is_data(url):
        url = data_urls.picture(url, f"{path}.image_url.url")
    elif not url.startswith(("https://", "http://")):
        raise InvalidRequest(
            "Invalid image URL: expected an http(s) or a data URL.",
            code="invalid_image_url",
            param=f"{path}.image_url.url",
        )
    return {"type": "input_image", "image_url": url, **without_nulls(detail=image.get("detail"))}


def _file_part(part: JsonObject, path: str) -> JsonObject:
    file = part.get("file")
    if not isinstance(file, dict):
        raise missing(f"{path}.file")
    if has_file_id(file, f"{path}.file", "file_data"):
        return {
            "type": "input_file",
            **without_nulls(**{n: file.get(n) for n in ("file_id", "filename")}),
        }
    data = require_field(file, "file_data", f"{path}.file")
    return file_part(data, get_str(file, "filename"), f"{path}.file.file_data")


def _already(part: JsonObject, path: str) -> JsonObject:
    """In the Responses form: some clients mix them."""
    return dict(translate_part(part, path))


USER_PARTS: dict[str, _ToPart] = {
    "text": text_part,
    "image_url": _image_part,
    "file": _file_part,
    "input_text": _already,
    "input_image": _already,
    "input_file": _already,
    "input_audio": _already,
}


ASSISTANT_PARTS: dict[str, _ToPart] = {
    "text": _output_text_part,
    "refusal": _refusal_part,
    "output_text": _already,
}
