"""Reads the media type of a file from its bytes: the one that a client gives is often wrong."""

from __future__ import annotations

from .. import files
from ..images.header import format_of


def media_type(data: bytes) -> str:
    if kind := format_of(data):
        return f"image/{kind}"
    if files.is_pdf(data):
        return files.PDF
    return files.OCTETS if files.text(data) is None else "text/plain"
