"""Builds Responses requests of our own, and sets the fields that the backend requires.

Imports no pydantic, since the command line loads this module.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from ...bounds import MAX_CACHE_KEY
from ...errors import JsonObject
from .. import json
from ..shapes import get_dict, get_list, get_str
from .ids import repair_choice, repair_items
from .schemas import complete, complete_tools

INSTRUCTIONS = "You are a helpful assistant."
"""Sent where a client gave none: the classic shape is refused without."""

ENCRYPTED_REASONING = "reasoning.encrypted_content"
SERVICE_TIERS = {"priority": "priority", "fast": "priority", "flex": "flex"}
"""The public tiers that the backend takes, and its words for them. It refuses others."""

_TEXTS = ("input_text", "output_text")

_BEGINNING = 16 * 1024
"""Characters of a text by which two conversations differ, with its length."""


def to_backend(body: JsonObject) -> JsonObject:
    """What the backend insists on, laid over any request of ours.

    Whatever dialect a request came in, and whatever was put before it of what is kept here, passes
    this function last.
    """
    sent = {**body, "stream": True, "store": False}
    if not sent.get("instructions"):
        sent["instructions"] = INSTRUCTIONS
    include = list(sent.get("include") or [])
    if ENCRYPTED_REASONING not in include:
        include.append(ENCRYPTED_REASONING)
    sent["include"] = include
    sent["prompt_cache_key"] = body.get("prompt_cache_key") or conversation_key(body)
    return _with_valid_tools(_with_valid_input(sent))


def _with_valid_input(body: JsonObject) -> JsonObject:
    if not isinstance(body.get("input"), list):
        return body
    items = [
        {**item, "tools": complete_tools(item["tools"])}
        if isinstance(item.get("tools"), list)  # `additional_tools`, and what a tool search found
        else item
        for item in repair_items(body["input"])
    ]
    wants_json = get_dict(get_dict(body, "text"), "format").get("type") == "json_object"
    if wants_json and not mentions_json(items):
        items.insert(0, message("developer", "Respond in JSON."))
    return {**body, "input": items}


def _with_valid_tools(body: JsonObject) -> JsonObject:
    changes: JsonObject = {}
    if isinstance(body.get("tools"), list):
        changes["tools"] = complete_tools(body["tools"])
    if isinstance(body.get("tool_choice"), dict):
        changes["tool_choice"] = repair_choice(body["tool_choice"])
    form = get_dict(get_dict(body, "text"), "format")
    if form.get("type") == "json_schema":
        form = {**form, "schema": complete(form.get("schema"))}
        changes["text"] = {**body["text"], "format": form}
    return {**body, **changes}


def mentions_json(items: Sequence[JsonObject]) -> bool:
    """Whether the word stands where the backend looks for it, which refuses `json_object` without:
    in the text of messages. Not in instructions, names, arguments, outputs, nor in base64."""
    return any("json" in text.lower() for item in items for text in _texts(item))


def _texts(item: JsonObject) -> list[str]:
    if item.get("type", "message") != "message":
        return []
    content = item.get("content")
    return [content] if isinstance(content, str) else [
        get_str(part, "text") for part in get_list(item, "content") if part.get("type") in _TEXTS
    ]  # fmt: skip


def request(
    input: str | Sequence[JsonObject],  # noqa: A002  (the wire's word)
    *,
    model: str,
    instructions: str | None = None,
    effort: str | None = None,
    summary: bool = False,
    form: JsonObject | None = None,
    search: bool = False,
) -> JsonObject:
    """A request of our own front ends: a text, or items such as `user()` makes.

    `summary` asks for summaries of the reasoning, `form` is a `text.format` such as `json_form()`
    makes, and `search` lets the model search the web.
    """
    items = [user(input)] if isinstance(input, str) else list(input)
    made: JsonObject = {"model": model, "input": items}
    if instructions:
        made["instructions"] = instructions
    if effort or summary:
        made["reasoning"] = {
            **({"effort": effort} if effort else {}),
            **({"summary": "auto"} if summary else {}),
        }
    if form:
        made["text"] = {"format": form}
    if search:
        made["tools"] = [{"type": "web_search", "external_web_access": True}]
    return made


def user(
    text: str, images: Sequence[str] = (), files: Sequence[tuple[str, str]] = ()
) -> JsonObject:
    """A user's message: its text, then images as data or https URLs, then files, each a name and
    a data or https URL."""
    content: list[JsonObject] = [{"type": "input_image", "image_url": url} for url in images]
    content += [_file_part(name, url) for name, url in files]
    if text or not content:
        content.insert(0, {"type": "input_text", "text": text})
    return {"type": "message", "role": "user", "content": content}


def message(role: str, text: str) -> JsonObject:
    kind = "output_text" if role == "assistant" else "input_text"
    return {"type": "message", "role": role, "content": [{"type": kind, "text": text}]}


def json_form(schema: JsonObject, name: str = "answer") -> JsonObject:
    """The `text.format` that makes an answer fit a JSON Schema. Strict wherever the schema is one
    that the backend can be strict about."""
    return {"type": "json_schema", "name": name, "schema": schema, "strict": can_be_strict(schema)}


def _file_part(name: str, url: str) -> JsonObject:
    if url.startswith("data:"):
        return {"type": "input_file", "filename": name, "file_data": url}
    return {"type": "input_file", "file_url": url}


def can_be_strict(schema: object) -> bool:
    """Whether the backend can be strict about a schema: every object in it is closed, and needs all
    that it has."""
    if isinstance(schema, list):
        return all(map(can_be_strict, schema))
    if not isinstance(schema, dict):
        return True
    properties = schema.get("properties")
    if schema.get("type") == "object" or isinstance(properties, dict):
        wanted = set(properties) if isinstance(properties, dict) else set()
        required = schema.get("required")
        needed = set(map(str, required)) if isinstance(required, list) else set()
        if schema.get("additionalProperties") is not False or wanted != needed:
            return False
    return all(map(can_be_strict, schema.values()))


def conversation_key(request: JsonObject) -> str:
    """A cache key that stays the same over the turns of a conversation: of how it begins."""
    items = request.get("input")
    first = (
        next(
            (item for item in items if isinstance(item, dict) and item.get("role") == "user"), None
        )
        if isinstance(items, list)
        else items
    )
    spoken = json.mapped([request.get("instructions"), first], beginning)
    start = [request.get("model"), spoken[0], request.get("tools"), spoken[1]]
    return hashlib.sha256(json.dumps(start)).hexdigest()


def beginning(text: str) -> str:
    """What of a text counts where texts are only compared: to write and hash all of a long one would
    take longer than all else that is done with it."""
    return text if len(text) <= _BEGINNING else f"{text[:_BEGINNING]}{len(text)}"


def cache_key(key: str) -> str:
    """A key of at most 64 characters: the backend refuses longer ones."""
    if len(key) <= MAX_CACHE_KEY:
        return key
    return hashlib.sha256(key.encode(errors="replace")).hexdigest()
