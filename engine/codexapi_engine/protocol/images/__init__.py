"""The Images dialect.

What clients send (`request.py`) is not loaded here: it needs pydantic, and only the HTTP door.
"""

from __future__ import annotations

from .backend import (
    FORMATS,
    Asked,
    Image,
    Images,
    data_url,
    from_backend,
    from_response,
    pixels,
    to_backend,
    to_responses,
)
from .reply import Picture, Stream, completed, to_reply

__all__ = [
    "FORMATS", "Asked", "Image", "Images", "Picture", "Stream", "completed", "data_url",
    "from_backend", "from_response", "pixels", "to_backend", "to_reply", "to_responses",
]  # fmt: skip
