"""Stores chat completions."""

from __future__ import annotations

from collections.abc import Mapping

from ..errors import JsonObject
from ..protocol.shapes import get_dict, get_list, get_str
from .names import absent
from .sqlite import ObjectStore

_KIND = "chat"
_SHOWN = ("text", "image_url")
"""The parts of a message that can be listed."""


class Chats:
    """Chat completions by id. Where there is none of an id, InvalidRequest is raised, a 404."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects

    def keep(self, completion: JsonObject, request: JsonObject) -> None:
        """Stores a completion, with the metadata and messages of the client's body."""
        whole = {**completion, "metadata": get_dict(request, "metadata")}
        value = {"completion": whole, "messages": get_list(request, "messages")}
        self._objects.put(_KIND, get_str(completion, "id"), value)

    def get(self, id: str) -> JsonObject:  # noqa: A002  (the wire's word)
        return get_dict(self._require(id), "completion")

    def all(self, *, model: str | None, metadata: Mapping[str, str]) -> list[JsonObject]:
        """The completions of this model, if one is given, with all of this metadata; oldest first."""
        rows = self._objects.all(_KIND)
        completions = (
            get_dict(value, "completion") for name, value in rows if _is_ours(value, name)
        )
        return [
            completion
            for completion in completions
            if model in (None, completion.get("model"))
            and metadata.items() <= get_dict(completion, "metadata").items()
        ]

    def update(self, id: str, metadata: JsonObject) -> JsonObject:  # noqa: A002
        def changed(value: JsonObject) -> JsonObject:
            if not _is_ours(value, id):
                raise absent("Chat completion", id)
            return {**value, "completion": {**get_dict(value, "completion"), "metadata": metadata}}

        value = self._objects.change(_KIND, id, changed)
        if value is None:
            raise absent("Chat completion", id)
        return get_dict(value, "completion")

    def delete(self, id: str) -> None:  # noqa: A002
        if not self._objects.delete(_KIND, id):
            raise absent("Chat completion", id)

    def messages(self, id: str) -> list[JsonObject]:  # noqa: A002
        """The messages that were asked with, each with an id."""
        messages = get_list(self._require(id), "messages")
        return [_shown(message, f"{id}-{index}") for index, message in enumerate(messages)]

    def _require(self, id: str) -> JsonObject:  # noqa: A002
        value = self._objects.get(_KIND, id)
        if value is None or not _is_ours(value, id):
            raise absent("Chat completion", id)
        return value


def _is_ours(value: JsonObject, name: str) -> bool:
    """Whether a row has the shape that we give it."""
    return get_str(get_dict(value, "completion"), "id") == name


def _shown(message: JsonObject, name: str) -> JsonObject:
    content = message.get("content")
    parts = [part for part in get_list(message, "content") if part.get("type") in _SHOWN]
    return {
        **message,
        "id": name,
        "content": content if isinstance(content, str) else None,
        "content_parts": parts if isinstance(content, list) else None,
    }
