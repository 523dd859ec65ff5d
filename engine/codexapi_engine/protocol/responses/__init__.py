"""The Responses dialect: the language spoken inside, and the door that mostly passes bytes on.

What clients send (`request.py`) is not loaded here: it needs pydantic, and only the HTTP door.
"""

from __future__ import annotations

from .backend import cache_key, json_form, to_backend, user
from .reply import (
    TERMINAL,
    Assembler,
    Pieces,
    Stream,
    Text,
    Thoughts,
    conversation_of,
    delta_of,
    failed,
    from_response,
    replay,
    text_of,
)

__all__ = [
    "TERMINAL", "Assembler", "Pieces", "Stream", "Text", "Thoughts", "cache_key",
    "conversation_of", "delta_of", "failed", "from_response", "json_form", "replay", "text_of",
    "to_backend", "user",
]  # fmt: skip
