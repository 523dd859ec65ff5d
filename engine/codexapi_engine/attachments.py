"""The files and pictures that accompany a question, with their types detected from their bytes.

Nothing here reads a file: which files may be read is for a front end to decide.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from .protocol.files import PDF, is_pdf, text
from .protocol.images.header import header

__all__ = ["PDF", "is_on_the_web", "media_type", "text"]


def media_type(data: bytes) -> str | None:
    """Of a picture that a model can look at, or of a PDF; None of all else."""
    if picture := header(data):
        return f"image/{picture.format}"
    return PDF if is_pdf(data) else None


def is_on_the_web(address: str) -> bool:
    """Whether it is an address that the backend can fetch from: what is there stays there."""
    try:
        parts = urlsplit(address)
    except ValueError:  # half an IPv6 address
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)
