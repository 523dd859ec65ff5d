"""The Responses dialect, into which all others are translated.

`request.py`, the schema of client requests, is not imported here: it needs pydantic, which only
the HTTP server loads.
"""

from __future__ import annotations

from .backend import cache_key, json_form, to_backend, user
from .public import (
    conversation_of,
    failed,
    for_client,
    from_response,
    items_for_client,
    replay,
)
from .reply import TERMINAL, Assembler, ResponseStream
from .stream_text import (
    ANSWER_ENDS,
    DoneItems,
    Part,
    ReasoningText,
    StreamedParts,
    Text,
    delta_of,
    index_of,
    part_of,
    text_of,
)

__all__ = [
    "ANSWER_ENDS",
    "TERMINAL",
    "Assembler",
    "DoneItems",
    "Part",
    "ReasoningText",
    "ResponseStream",
    "StreamedParts",
    "Text",
    "cache_key",
    "conversation_of",
    "delta_of",
    "failed",
    "for_client",
    "from_response",
    "index_of",
    "items_for_client",
    "json_form",
    "part_of",
    "replay",
    "text_of",
    "to_backend",
    "user",
]  # fmt: skip
