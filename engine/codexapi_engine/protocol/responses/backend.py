"""Requests of our own, and what the backend insists on.

Imports no pydantic: the command line comes this way.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from ...errors import JsonObject

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
    return sent


def request(
    input: str | Sequence[JsonObject],  # noqa: A002  (the wire's word)
    *,
    model: str,
    instructions: str | None = None,
    effort: str | None = None,
) -> JsonObject:
    """A request of our own doors: a text, or items such as `user()` makes."""
    items = [user(input)] if isinstance(input, str) else list(input)
    made: JsonObject = {"model": model, "input": items}
    if instructions:
        made["instructions"] = instructions
    if effort:
        made["reasoning"] = {"effort": effort}
    return made


def user(text: str, images: Sequence[str] = ()) -> JsonObject:
    """A user's message: its text, then images as data or https URLs."""
    return {
        "type": "message",
        "role": "user",
        "content": [
            {"type": "input_text", "text": text},
            *({"type": "input_image", "image_url": url} for url in images),
        ],
    }


def cache_key(given: str) -> str:
    """A key of at most 64 characters: the backend refuses longer ones."""
    if len(given) <= MAX_CACHE_KEY:
        return given
    return hashlib.sha256(given.encode(errors="replace")).hexdigest()
