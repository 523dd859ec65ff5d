"""Translates the messages of an Ollama request into those of a Chat request."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ...errors import InvalidRequest, JsonObject, missing
from .. import json
from ..images import data_urls
from ..responses.parts import is_data
from ..shapes import get_dict
from .call_ids import CallIds
from .schema import OllamaMessage


class OllamaHistory:
    """The messages of one request. The results of calls have no ids in most clients' requests, so
    they belong to the open calls by name, and else in their order."""

    def __init__(self) -> None:
        self.call_ids = CallIds()
        self._open: dict[str, str] = {}  # call id -> the tool's name, while it waits for a result
        self._calls = 0  # of the newest message that has calls
        self._place = ""  # that message

    def translate(self, messages: Sequence[OllamaMessage]) -> list[JsonObject]:
        """Raises InvalidRequest, naming the field."""
        made = []
        for index, message in enumerate(messages):
            translate = _BY_ROLE.get(message.role, OllamaHistory._plain)
            made.append(translate(self, message, f"messages[{index}]"))
            self.call_ids.add(message.role, message.content or "")
        self._end_results()
        return made

    def _plain(self, message: OllamaMessage, path: str) -> JsonObject:
        self._end_results()
        if message.images:
            raise InvalidRequest(
                f"Invalid value for '{path}.images': only user and tool messages have images.",
                code="invalid_value",
                param=f"{path}.images",
            )
        return {"role": message.role, "content": message.content or ""}

    def _user(self, message: OllamaMessage, path: str) -> JsonObject:
        self._end_results()
        return {"role": "user", "content": content_of(message.content, message.images, path)}

    def _assistant(self, message: OllamaMessage, path: str) -> JsonObject:
        made = self._plain(message, path)
        calls = [
            self._translate_call(call, f"{path}.tool_calls[{index}]")
            for index, call in enumerate(message.tool_calls or ())
        ]
        if calls:
            made["tool_calls"] = calls
            self._open = {call["id"]: call["function"]["name"] for call in calls}
            self._calls, self._place = len(calls), f"{path}.tool_calls"
        return made

    def _translate_call(self, call: JsonObject, path: str) -> JsonObject:
        function, name = get_dict(call, "function"), get_dict(call, "function").get("name")
        if not isinstance(name, str) or not name:
            raise missing(f"{path}.function.name")
        arguments = _object(function.get("arguments"), f"{path}.function.arguments")
        made_id, own = self.call_ids.next(name, arguments), call.get("id")
        return {
            "id": own if isinstance(own, str) and own else made_id,
            "type": "function",
            "function": {"name": name, "arguments": json.dumps(arguments).decode()},
        }

    def _result(self, message: OllamaMessage, path: str) -> JsonObject:
        if not self._place:
            return _early_result(message, path)
        call_id = self._call_of(message)
        if call_id is None:
            raise InvalidRequest(
                f"Invalid value for '{path}': a tool's result, and no call before it waits for one.",
                code="invalid_value",
                param=path,
            )
        del self._open[call_id]
        content = content_of(message.content, message.images, path)
        return {"role": "tool", "tool_call_id": call_id, "content": content}

    def _call_of(self, message: OllamaMessage) -> str | None:
        """The open call that a result belongs to."""
        if message.tool_call_id:
            return message.tool_call_id if message.tool_call_id in self._open else None
        named = (call for call, name in self._open.items() if name == message.tool_name)
        return next(named, None) or next(iter(self._open), None)

    def _end_results(self) -> None:
        """Raises InvalidRequest where a call has no result: the backend refuses it."""
        if self._open:
            names = ", ".join(f"'{name}'" for name in self._open.values())
            raise InvalidRequest(
                f"Invalid value for '{self._place}': of {self._calls} calls, {names} has no result "
                "in a message of role 'tool' behind it.",
                code="invalid_value",
                param=self._place,
            )


def _early_result(message: OllamaMessage, path: str) -> JsonObject:
    """A result before any call, as what a user says: Home Assistant cuts a long history at its
    beginning, wherever that is."""
    text = f"[result of an earlier call]\n{message.content or ''}"
    return {"role": "user", "content": content_of(text, message.images, path)}


_BY_ROLE: dict[str, Callable[[OllamaHistory, OllamaMessage, str], JsonObject]] = {
    "user": OllamaHistory._user,
    "assistant": OllamaHistory._assistant,
    "tool": OllamaHistory._result,
}


def content_of(text: str | None, images: Sequence[str] | None, path: str) -> str | list[JsonObject]:
    """Chat's content. `path` is the holder of `images`; empty where that is the request."""
    if not images:
        return text or ""
    holder = f"{path}.images" if path else "images"
    parts = [_image_part(image, f"{holder}[{index}]") for index, image in enumerate(images)]
    return [{"type": "text", "text": text}, *parts] if text else parts


def _image_part(image: str, param: str) -> JsonObject:
    """Base64 without a media type, which its bytes tell; some clients send a data URL all the same."""
    url = data_urls.picture(image if is_data(image) else f"data:;base64,{image}", param)
    return {"type": "image_url", "image_url": {"url": url}}


def _object(value: Any, param: str) -> JsonObject:
    """The arguments of a call; some clients send them as JSON in a string."""
    if isinstance(value, str):
        try:
            value = json.loads(value) if value else {}
        except ValueError:
            value = None
    elif value is None:
        value = {}
    if not isinstance(value, dict):
        raise InvalidRequest(
            f"Invalid type for '{param}': expected an object.", code="invalid_type", param=param
        )
    return value
