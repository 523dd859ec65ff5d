"""Audio files in requests: the part of Chat and Responses, the backend's, and text in its place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ...errors import InvalidRequest, JsonObject, missing
from ..images import data_urls
from ..request_parts import each_part, replace_parts
from ..shapes import get_dict, get_str
from .backend import MEDIA_TYPES, AudioFile

KIND = "input_audio"
SILENCE = "[audio in which nothing is said]"


def translate_audio(part: JsonObject, path: str) -> JsonObject:
    """The part in the backend's form. Raises InvalidRequest, naming the field."""
    if get_str(part, "audio_url"):
        return part
    audio, path = get_dict(part, KIND), f"{path}.{KIND}"
    for name in ("data", "format"):
        if not get_str(audio, name):
            raise missing(f"{path}.{name}")
    kind, data = get_str(audio, "format").lower(), data_urls.plain(get_str(audio, "data"))
    if kind not in MEDIA_TYPES:
        supported = ", ".join(f"'{name}'" for name in MEDIA_TYPES)
        raise InvalidRequest(
            f"Invalid value: '{kind[:60]}'. Supported values are: {supported}.",
            code="invalid_value",
            param=f"{path}.format",
        )
    if not data_urls.is_base64(data):
        raise InvalidRequest("Invalid base64 data.", code="invalid_audio", param=f"{path}.data")
    return {"type": KIND, "audio_url": f"data:{MEDIA_TYPES[kind]};base64,{data}"}


def has_audio(request: JsonObject) -> bool:
    """Whether a translated request has an audio file. No text is read for it."""
    return any(map(_is_audio, each_part(request)))


def addresses(request: JsonObject) -> list[str]:
    """The data URLs of the audio files in a translated request."""
    found = filter(_is_audio, each_part(request))
    return list(dict.fromkeys([get_str(part, "audio_url") for part in found]))


def audio_file(url: str, param: str) -> AudioFile:
    """Raises InvalidRequest for what is no data URL, or an empty one, naming `param`."""
    kind, text = data_urls.split(url) or ("", "")
    endings = (ending for ending, media_type in MEDIA_TYPES.items() if media_type == kind)
    try:
        data = data_urls.decode(text)
        if not data:
            raise ValueError("it is empty")
        return AudioFile(data, f"audio.{next(endings, '')}")
    except ValueError:
        raise InvalidRequest(
            "Invalid audio: expected base64, or a data URL of it.",
            code="invalid_audio",
            param=param,
        ) from None


def with_texts(request: JsonObject, texts: Mapping[str, str]) -> JsonObject:
    """The translated request, with what is said in each audio file in its place."""

    def to_text(part: JsonObject) -> JsonObject:
        return {"type": "input_text", "text": texts[get_str(part, "audio_url")] or SILENCE}

    return {**request, "input": replace_parts(request["input"], _is_audio, to_text)}


def paths(value: Any, path: str = "") -> Iterator[str]:
    """Where a client's request has audio files: `messages[0].content[1]`."""
    if _is_audio(value):
        yield path
    elif isinstance(value, dict):
        for name, member in value.items():
            yield from paths(member, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for index, member in enumerate(value):
            yield from paths(member, f"{path}[{index}]")


def _is_audio(part: Any) -> bool:
    return isinstance(part, dict) and part.get("type") == KIND
