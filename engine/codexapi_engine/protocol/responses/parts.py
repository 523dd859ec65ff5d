"""Translates parts of a message or of a tool's output: pictures and files in the backend's form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...errors import InvalidRequest, JsonObject
from .. import files
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
        refuse_file_id(part, path, "image_url")
        if isinstance(url, str) and is_data(url):
            right = data_urls.picture(url, f"{path}.image_url")
            return part if right is url else {**part, "image_url": right}
    if kind == "input_file":
        refuse_file_id(part, path, "file_data")
        if isinstance(data, str):
            new = file_part(data, get_str(part, "filename"), f"{path}.file_data")
            return part if new.get("file_data") == data else new
    return part


def file_part(data: str, name: str, param: str) -> JsonObject:
    """A file, given as a data URL or in base64: a PDF or an unknown kind of file as it is, text as
    text. Raises InvalidRequest, naming `param`."""
    kind, encoded = data_urls.split(data) or ("", data)
    encoded = data_urls.plain(encoded)
    try:
        content = data_urls.decode(encoded)
    except ValueError:
        raise InvalidRequest(
            "Invalid base64 data.", code="invalid_file_data", param=param
        ) from None
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
    return {
        "type": "input_file",
        "filename": name or _UNNAMED,
        "file_data": f"data:{kind or 'application/octet-stream'};base64,{encoded}",
    }


def refuse_file_id(holder: JsonObject, path: str, instead: str) -> None:
    """Raises InvalidRequest where a file is named that OpenAI would keep."""
    if holder.get("file_id"):
        raise InvalidRequest(
            f"File ids are not supported: the Codex backend stores no files. Send '{instead}'.",
            code="unsupported_value",
            param=f"{path}.file_id",
        )


def is_data(url: str) -> bool:
    return url[:5].lower() == "data:"
