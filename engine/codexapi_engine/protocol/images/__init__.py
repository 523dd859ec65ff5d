"""The Images dialect.

`request.py`, the schema of client requests, is not imported here: it needs pydantic, which only
the HTTP server loads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..first_use import on_first_use
from .header import Header, header, orientation

if TYPE_CHECKING:
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
    from .reply import PARTIAL, CompletedImage, ImageStream, Picture, completed, to_reply

__all__ = [
    "FORMATS",
    "MODEL",
    "ONLY_THE_TOOL",
    "PARTIAL",
    "CompletedImage",
    "Header",
    "Image",
    "ImageRequest",
    "ImageStream",
    "Images",
    "Picture",
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

__getattr__ = on_first_use(__name__, __all__, ("backend", "reply"))
