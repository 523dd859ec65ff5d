"""The Images dialect.

What clients send (`request.py`) is not loaded here: it needs pydantic, and only the HTTP door.
"""

from __future__ import annotations

from .backend import (
    FORMATS,
    MAX_PROMPT,
    MODEL,
    ONLY_THE_TOOL,
    Asked,
    Image,
    Images,
    data_url,
    decoded,
    from_backend,
    from_response,
    pixels,
    to_backend,
    to_responses,
    together,
)
from .header import Header, header, orientation
from .reply import PARTIAL, Picture, Stream, Whole, completed, to_reply

__all__ = [
    "FORMATS", "MAX_PROMPT", "MODEL", "ONLY_THE_TOOL", "PARTIAL", "Asked", "Header", "Image", "Images", "Picture", "Stream", "Whole", "completed",
    "data_url", "decoded", "from_backend", "from_response", "header", "orientation", "pixels", "to_backend",
    "to_reply", "to_responses", "together",
]  # fmt: skip
