"""The Images dialect.

What clients send (`request.py`) is not loaded here: it needs pydantic, and only the HTTP door.
"""

from __future__ import annotations

from .backend import (
    FORMATS,
    MODEL,
    ONLY_THE_TOOL,
    Image,
    ImageRequest,
    Images,
    data_url,
    decoded,
    from_backend,
    from_response,
    merge,
    pixels,
    to_backend,
    to_responses,
)
from .header import Header, header, orientation
from .reply import PARTIAL, ImageStream, Picture, Whole, completed, to_reply

__all__ = [
    "FORMATS",
    "MODEL",
    "ONLY_THE_TOOL",
    "PARTIAL",
    "Header",
    "Image",
    "ImageRequest",
    "ImageStream",
    "Images",
    "Picture",
    "Whole",
    "completed",
    "data_url",
    "decoded",
    "from_backend",
    "from_response",
    "header",
    "merge",
    "orientation",
    "pixels",
    "to_backend",
    "to_reply",
    "to_responses",
]  # fmt: skip
