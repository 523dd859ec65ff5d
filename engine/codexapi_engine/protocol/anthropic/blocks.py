"""Content blocks of a message, as parts of a Responses message."""

from __future__ import annotations

from collections.abc import Callable

from ...errors import InvalidRequest, JsonObject
from ..images import data_urls
from ..responses.parts import file_part
from ..shapes import get_dict, get_list, get_str
from .fields import Ignored, content_blocks, invalid, required_object, required_text

_ToParts = Callable[[JsonObject, str, Ignored], list[JsonObject]]
_UNNAMED = "document.pdf"


def input_parts(content: list[JsonObject], path: str, ignored: Ignored) -> list[JsonObject]:
    """The parts of a user's blocks. Raises InvalidRequest, naming the block."""
    return [
        part
        for index, block in enumerate(content)
        for part in block_parts(block, f"{path}.{index}", ignored)
    ]


def block_parts(block: JsonObject, path: str, ignored: Ignored) -> list[JsonObject]:
    to_parts = _PARTS.get(get_str(block, "type"))
    if to_parts is None:
        raise invalid(f"{path}.type", f"Unsupported content block '{get_str(block, 'type')[:60]}'")
    return to_parts(block, path, ignored)


def text_parts(block: JsonObject, path: str, ignored: Ignored) -> list[JsonObject]:
    text = required_text(block, "text", path)
    return (
        [_text_part(text)] if text else []
    )  # an empty block is legal here, and not at the backend


def _text_part(text: str) -> JsonObject:
    return {"type": "input_text", "text": text}


def _image_part(block: JsonObject, path: str, ignored: Ignored) -> list[JsonObject]:
    source = required_object(block, "source", path)
    path, kind = f"{path}.source", get_str(source, "type")
    if kind == "base64":
        data, media = required_text(source, "data", path), get_str(source, "media_type")
        with_names = f"data:{media or 'image/png'};base64,{data}"
        try:
            url = data_urls.picture(with_names, f"{path}.data")
        except InvalidRequest as error:
            raise invalid(f"{path}.data", error.message) from None
    elif kind == "url":
        url = _web_address(source, path)
    elif kind == "file":
        return [{"type": "input_image", "file_id": required_text(source, "file_id", path)}]
    else:
        raise _no_source(path, kind)
    return [{"type": "input_image", "image_url": url}]


def _document(block: JsonObject, path: str, ignored: Ignored) -> list[JsonObject]:
    source, title = required_object(block, "source", path), get_str(block, "title")
    if get_dict(block, "citations").get("enabled"):
        ignored.add(f"{path}.citations")
    to_parts = _SOURCES.get(get_str(source, "type"))
    if to_parts is None:
        raise _no_source(f"{path}.source", get_str(source, "type"))
    about = [f"Title: {title}"] if title else []
    about += [f"Context: {context}"] if (context := get_str(block, "context")) else []
    before = [_text_part("\n".join(about))] if about else []
    return before + to_parts(source, title, f"{path}.source", ignored)


def _pdf(source: JsonObject, title: str, path: str, ignored: Ignored) -> list[JsonObject]:
    data = required_text(source, "data", path)
    url = f"data:{get_str(source, 'media_type') or 'application/pdf'};base64,{data}"
    try:
        return [file_part(url, title or _UNNAMED, f"{path}.data")]
    except InvalidRequest as error:
        raise invalid(f"{path}.data", error.message) from None


def _linked(source: JsonObject, title: str, path: str, ignored: Ignored) -> list[JsonObject]:
    return [{"type": "input_file", "file_url": _web_address(source, path)}]


def _file_reference(
    source: JsonObject, title: str, path: str, ignored: Ignored
) -> list[JsonObject]:
    return [{"type": "input_file", "file_id": required_text(source, "file_id", path)}]


def _plain_document(
    source: JsonObject, title: str, path: str, ignored: Ignored
) -> list[JsonObject]:
    text = required_text(source, "data", path)
    return [_text_part(f"<document>\n{text}\n</document>")]


def _composed(source: JsonObject, title: str, path: str, ignored: Ignored) -> list[JsonObject]:
    blocks = content_blocks(source.get("content"), f"{path}.content")
    return input_parts(blocks, f"{path}.content", ignored)


_SOURCES: dict[str, Callable[[JsonObject, str, str, Ignored], list[JsonObject]]] = {
    "base64": _pdf,
    "url": _linked,
    "file": _file_reference,
    "text": _plain_document,
    "content": _composed,
}


def _search_result(block: JsonObject, path: str, ignored: Ignored) -> list[JsonObject]:
    if get_dict(block, "citations").get("enabled"):
        ignored.add(f"{path}.citations")
    texts = [get_str(part, "text") for part in get_list(block, "content")]
    return [_text_part("\n".join([get_str(block, "title"), get_str(block, "source"), *texts]))]


def _no_parts(block: JsonObject, path: str, ignored: Ignored) -> list[JsonObject]:
    return []


_PARTS: dict[str, _ToParts] = {
    "text": text_parts,
    "image": _image_part,
    "document": _document,
    "search_result": _search_result,
    "container_upload": _no_parts,
    "fallback": _no_parts,
}
"""Blocks that a user's message and a tool's result may have."""


def _web_address(source: JsonObject, path: str) -> str:
    url = required_text(source, "url", path)
    if not url.startswith(("https://", "http://")):
        raise invalid(f"{path}.url", "Input should be an http or https URL")
    return url


def _no_source(path: str, kind: str) -> InvalidRequest:
    return invalid(f"{path}.type", f"Unsupported source '{kind[:60]}'")
