"""A finished response as a complete Chat Completions reply."""

from __future__ import annotations

from dataclasses import dataclass, field

from ...errors import JsonObject
from ..choices import empty_response, envelope_fields, usage
from ..responses.texts import complete_text, role_of
from ..shapes import get_list, get_str
from .reply_parts import (
    CALLS,
    PREFIX,
    ReplyOptions,
    annotations_of,
    finish_reason,
    indexed_parts,
    is_aside,
    picture_of,
    tool_call,
)

_GAP = "\n\n"  # between two items


def from_response(response: JsonObject, form: ReplyOptions, *, created: int) -> JsonObject:
    """The whole reply, a `chat.completion`. Raises BackendError if the response says nothing.

    Knows no stop sequences: they end a run, so such a reply is `collected` from its chunks.
    """
    message = _message_of(get_list(response, "output"), form)
    called = "tool_calls" in message or "function_call" in message
    reason = finish_reason(response, called, form)
    if reason == "stop" and not called and not _says_something(message):
        raise empty_response()
    reply: JsonObject = {
        "id": PREFIX,
        "object": "chat.completion",
        "created": created,
        "model": form.model,
        **envelope_fields(response, PREFIX),
    }
    if form.service_tier:
        reply["service_tier"] = response.get("service_tier") or form.service_tier
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reason}
    reply["choices"] = [choice]
    if counts := usage(response):
        reply["usage"] = counts
    return reply


def _message_of(items: list[JsonObject], form: ReplyOptions) -> JsonObject:
    contents = _Contents(form)
    for item in items:
        contents.add(item)
    return contents.message()


@dataclass(slots=True)
class _Contents:
    """What the items of a response say, by the fields of a message."""

    form: ReplyOptions
    texts: list[str] = field(default_factory=list)
    length: int = 0  # characters of the texts, and of the gaps between them
    thoughts: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    calls: list[JsonObject] = field(default_factory=list)
    annotations: list[JsonObject] = field(default_factory=list)
    images: list[JsonObject] = field(default_factory=list)

    def add(self, item: JsonObject) -> None:
        if picture := picture_of(item, len(self.images)):
            self.images.append(picture)
        if get_str(item, "type") in CALLS:
            self.calls.append(item)
            return
        start = self.length + (len(_GAP) if self.texts else 0)
        if text := self._add_parts(item, start):
            self.texts.append(text)
            self.length = start + len(text)

    def _add_parts(self, item: JsonObject, start: int) -> str:
        """Returns the content of an item, which begins at `start`."""
        content, aside = "", is_aside(item, as_json=self.form.json)
        for _, part in indexed_parts(item):
            role, text = role_of(part), complete_text(part)
            if role == "refusal":
                self.refusals.append(text)
            elif role == "reasoning" or (role == "answer" and aside):
                self.thoughts.append(text)
            elif role == "answer" and text:
                self.annotations += annotations_of(part, start + len(content))
                content += text
        return content

    def message(self) -> JsonObject:
        thoughts = _GAP.join(filter(None, self.thoughts)) if self.form.reasoning else ""
        refusal = "".join(self.refusals) or None
        other = self.calls or self.images or refusal or thoughts
        message: JsonObject = {
            "role": "assistant",
            "content": _GAP.join(self.texts) or (None if other else ""),
            "refusal": refusal,
            "annotations": self.annotations,
        }
        if thoughts:
            message["reasoning_content"] = thoughts
        if self.images:
            message["images"] = self.images
        return {**message, **self._call_fields()}

    def _call_fields(self) -> JsonObject:
        if not self.calls:
            return {}
        if not self.form.legacy:
            return {"tool_calls": [tool_call(call) for call in self.calls]}
        first = self.calls[0]
        arguments = get_str(first, CALLS[first["type"]][1])
        return {"function_call": {"name": get_str(first, "name"), "arguments": arguments}}


def _says_something(message: JsonObject) -> bool:
    fields = ("content", "refusal", "reasoning_content", "images")
    return any(message.get(field) for field in fields)
