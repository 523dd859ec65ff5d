"""Members of a request's objects, and their names as this API writes them: `messages.0.content`."""

from __future__ import annotations

import re
from typing import Any, TypeVar

from pydantic import BaseModel

from ...errors import InvalidRequest, JsonObject
from ..rules import unsupported
from ..validation import validated

M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")
_INDEX = re.compile(r"\[(\d+)\]")


class Ignored:
    """The paths of what a request asks for in vain. When `strict`, each is refused instead."""

    def __init__(self, strict: bool) -> None:
        self._strict = strict
        self.paths: list[str] = []

    def add(self, path: str) -> None:
        """Raises InvalidRequest when strict."""
        if self._strict:
            raise unsupported(path)
        if path not in self.paths:
            self.paths.append(path)


def check(model: type[M], body: JsonObject) -> M:
    """`body` as a `model`. Raises InvalidRequest, in the words of this API."""
    try:
        return validated(model, body)
    except InvalidRequest as error:
        path = dotted(error.param or "")
        if error.code == "missing_required_parameter":
            raise invalid(path, "Field required") from None
        raise invalid(path, error.message.partition("': ")[2]) from None


def dotted(path: str) -> str:
    """`messages[0].role` as `messages.0.role`."""
    return _INDEX.sub(r".\1", path)


def invalid(path: str, why: str) -> InvalidRequest:
    return InvalidRequest(f"{path}: {why}", param=path)


def required_text(holder: JsonObject, name: str, path: str) -> str:
    return _required(holder, name, path, str, "a valid string")


def required_object(holder: JsonObject, name: str, path: str) -> JsonObject:
    return _required(holder, name, path, dict, "an object")


def _required(holder: JsonObject, name: str, path: str, kind: type[T], noun: str) -> T:
    value = holder.get(name)
    if isinstance(value, kind):
        return value
    why = "Field required" if value is None else f"Input should be {noun}"
    raise invalid(f"{path}.{name}", why)


def content_blocks(content: Any, path: str) -> list[JsonObject]:
    """Content as blocks, whether it is a text, blocks or nothing."""
    if content is None:
        return []
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    if not isinstance(content, list):
        raise invalid(path, "Input should be a string or a list of blocks")
    for index, block in enumerate(content):
        if not isinstance(block, dict):
            raise invalid(f"{path}.{index}", "Input should be an object")
    return content
