"""The file ids of a request, and the files in their place.

A translated request refers to a file by a part with a `file_id`: in the content of a message, in the
output of a tool, or as the mask of a tool that draws. The backend has no file of that id, so the part
gets the data of the file before it is sent.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeGuard

from ...errors import InvalidRequest, JsonObject
from ..images.header import format_of
from ..request_parts import each_part, replace_parts
from ..responses.parts import content_part
from ..shapes import get_dict, get_list, get_str
from .objects import FileContent

_MASK = "input_image_mask"

Change = Callable[[JsonObject], JsonObject]


def file_ids(request: JsonObject) -> list[str]:
    """The ids in a translated request, as often as they stand there."""
    masks = (get_dict(tool, _MASK) for tool in get_list(request, "tools"))
    return [name for part in (*each_part(request), *masks) if (name := get_str(part, "file_id"))]


def fill(request: JsonObject, files: Mapping[str, FileContent], body: JsonObject) -> JsonObject:
    """The translated request with the file in place of each id. `body` is the client's request.

    Raises InvalidRequest for a file of the wrong kind, naming the client's field.
    """

    def fill_part(part: JsonObject) -> JsonObject:
        name = get_str(part, "file_id")
        try:
            return _with_data(part, files[name])
        except InvalidRequest as error:
            error.param = path_of(body, name)
            raise

    sent = dict(request)
    if "input" in request:
        sent["input"] = replace_parts(request["input"], _is_reference, fill_part)
    if any(_mask_of(tool) for tool in get_list(request, "tools")):
        sent["tools"] = [_with_mask(tool, fill_part) for tool in request["tools"]]
    return sent


def path_of(body: JsonObject, file_id: str) -> str | None:
    """Where a client's request has this id: `messages[0].content[1].file.file_id`."""
    for path, value in _paths(body, ""):
        if value == file_id:
            return path
    return None


def _is_reference(part: Any) -> TypeGuard[JsonObject]:
    return isinstance(part, dict) and bool(get_str(part, "file_id"))


def _mask_of(tool: Any) -> JsonObject | None:
    mask = get_dict(tool, _MASK) if isinstance(tool, dict) else {}
    return mask if _is_reference(mask) else None


def _with_mask(tool: Any, change: Change) -> Any:
    mask = _mask_of(tool)
    return tool if mask is None else {**tool, _MASK: change(mask)}


def _with_data(part: JsonObject, file: FileContent) -> JsonObject:
    if part.get("type") == "input_file":
        return content_part(file.data, get_str(part, "filename") or file.name)
    kind = format_of(file.data)
    if kind is None:
        raise InvalidRequest(
            f"The file '{file.name}' is no picture: expected a PNG, JPEG, WebP or GIF.",
            code="invalid_image_format",
        )
    rest = {name: value for name, value in part.items() if name != "file_id"}
    return {**rest, "image_url": f"data:image/{kind};base64,{base64.b64encode(file.data).decode()}"}


def _paths(value: Any, path: str) -> Iterable[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, member in value.items():
            inside = f"{path}.{name}" if path else name
            if name == "file_id":
                yield inside, member
            else:
                yield from _paths(member, inside)
    elif isinstance(value, list):
        for index, member in enumerate(value):
            yield from _paths(member, f"{path}[{index}]")
