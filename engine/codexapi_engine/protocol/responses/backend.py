"""Requests of our own, and what the backend insists on.

Imports no pydantic: the command line comes this way.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from ...errors import JsonObject
from .. import json

INSTRUCTIONS = "You are a helpful assistant."
"""Sent where a client gave none: the classic shape is refused without."""

ENCRYPTED_REASONING = "reasoning.encrypted_content"
MAX_CACHE_KEY = 64
SERVICE_TIERS = {"priority": "priority", "fast": "priority", "flex": "flex"}
"""The public tiers that the backend takes, and its words for them. It refuses others."""


def to_backend(body: JsonObject) -> JsonObject:
    """What the backend insists on, laid over any request of ours (backend.md §0)."""
    sent = {**body, "stream": True, "store": False}
    if not sent.get("instructions"):
        sent["instructions"] = INSTRUCTIONS
    include = list(sent.get("include") or [])
    if ENCRYPTED_REASONING not in include:
        include.append(ENCRYPTED_REASONING)
    sent["include"] = include
    sent["prompt_cache_key"] = body.get("prompt_cache_key") or conversation_key(body)
    return sent


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
    """A request of our own doors: a text, or items such as `user()` makes.

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
    content += [_file(name, url) for name, url in files]
    if text or not content:
        content.insert(0, {"type": "input_text", "text": text})
    return {"type": "message", "role": "user", "content": content}


def json_form(schema: JsonObject, name: str = "answer") -> JsonObject:
    """The `text.format` that makes an answer fit a JSON Schema. Strict wherever the schema is one
    that the backend can be strict about."""
    return {"type": "json_schema", "name": name, "schema": schema, "strict": _is_strict(schema)}


def _file(name: str, url: str) -> JsonObject:
    if url.startswith("data:"):
        return {"type": "input_file", "filename": name, "file_data": url}
    return {"type": "input_file", "file_url": url}


def _is_strict(schema: object) -> bool:
    """Whether every object in a schema is closed, and needs all that it has."""
    if isinstance(schema, list):
        return all(map(_is_strict, schema))
    if not isinstance(schema, dict):
        return True
    properties = schema.get("properties")
    if schema.get("type") == "object" or isinstance(properties, dict):
        wanted = set(properties) if isinstance(properties, dict) else set()
        required = schema.get("required")
        needed = set(map(str, required)) if isinstance(required, list) else set()
        if schema.get("additionalProperties") is not False or wanted != needed:
            return False
    return all(map(_is_strict, schema.values()))


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
    start = [request.get("model"), request.get("instructions"), request.get("tools"), first]
    return hashlib.sha256(json.dumps(start)).hexdigest()


def cache_key(given: str) -> str:
    """A key of at most 64 characters: the backend refuses longer ones."""
    if len(given) <= MAX_CACHE_KEY:
        return given
    return hashlib.sha256(given.encode(errors="replace")).hexdigest()
