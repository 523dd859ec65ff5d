"""Translates parts of a message or of a tool's output: pictures and files in the backend's form."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from ...errors import InvalidRequest, JsonObject
from .. import files
from ..audio.parts import KIND, translate_audio
from ..images import data_urls
from ..shapes import get_str

_PICTURES = ("input_image", "computer_screenshot")
_UNNAMED = "file.pdf"


def translate_parts(parts: Sequence[Any], path: str) -> list[Any]:
    """Parts in the Responses form. Raises InvalidRequest, naming the part."""
    return [
        translate_part(part, f"{path}[{index}]") if isinstance(part, dict) else part
        for index, part in enumerate(parts)
    ]


def translate_part(part: JsonObject, path: str) -> JsonObject:
    """The part itself, where nothing has to change."""
    kind, url, data = part.get("type"), part.get("image_url"), part.get("file_data")
    if kind in _PICTURES:
        if has_file_id(part, path, "image_url"):
            return {name: value for name, value in part.items() if name != "image_url"}
        if isinstance(url, str) and is_data(url):
            right = data_urls.picture(url, f"{path}.image_url")
            return part if right is url else {**part, "image_url": right}
    if kind == KIND:
        return translate_audio(part, path)
    if kind == "input_file":
        if has_file_id(part, path, "file_data", "file_url"):
            return {name: part[name] for name in ("type", "file_id", "filename") if name in part}
        if isinstance(data, str):
            new = file_part(data, get_str(part, "filename"), f"{path}.file_data")
            return part if new.get("file_data") == data else new
    return part


def file_part(data: str, name: str, param: str) -> JsonObject:
    """`content_part` of a file that is a data URL, or base64. Raises InvalidRequest, naming `param`."""
    kind, encoded = data_urls.split(data) or ("", data)
    encoded = data_urls.plain(encoded)
    try:
        content = data_urls.decode(encoded)
    except ValueError:
        raise InvalidRequest(
            "Invalid base64 data.", code="invalid_file_data", param=param
        ) from None
    return content_part(content, name, kind=kind, encoded=encoded, param=param)


def content_part(
    content: bytes, name: str, *, kind: str = "", encoded: str = "", param: str | None = None
) -> JsonObject:
    """A file as a part: a PDF or an unknown kind of file as it is, text as text. `kind` is its media
    type and `encoded` its base64, where they are known. Raises InvalidRequest, naming `param`."""
    if files.is_pdf(content):
        kind = files.PDF
    elif kind != files.PDF and (text := files.text(content)) is not None:
        return {"type": "input_text", "text": files.inline(name or "file", text)}
    elif files.claims_text(kind, name):
        raise InvalidRequest(
            f"The file '{name}' is said to be text and is not UTF-8.",
            code="invalid_file_data",
            param=param,
        )
    encoded = encoded or base64.b64encode(content).decode()
    return {
        "type": "input_file",
        "filename": name or _UNNAMED,
        "file_data": f"data:{kind or files.OCTETS};base64,{encoded}",
    }


def has_file_id(holder: JsonObject, path: str, *others: str) -> bool:
    """Whether a stored file is named. Raises InvalidRequest where that is ambiguous."""
    name = holder.get("file_id")
    if name in (None, ""):
        return False
    if not isinstance(name, str):
        raise InvalidRequest(
            f"Invalid type for '{path}.file_id': expected a string.",
            code="invalid_type",
            param=f"{path}.file_id",
        )
    if beside := [other for other in others if holder.get(other)]:
        raise InvalidRequest(
            f"Mutually exclusive parameters: 'file_id' and '{beside[0]}'. "
            "Ensure you are only providing one of them.",
            code="mutually_exclusive_parameters",
            param=f"{path}.file_id",
        )
    return True


def is_data(url: str) -> bool:
    return url[:5].lower() == "data:"
