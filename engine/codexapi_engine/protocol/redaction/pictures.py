"""Blanks pictures and sounds: format, size and length stay, everything else is zero."""

from __future__ import annotations

import base64
import binascii
import re

from ..images.header import format_of

_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")
_LETTER = re.compile(r"[A-Za-z0-9]")
_MOST_OF_A_HEAD = 512 * 1024
_SOUNDS = {b"RIFF": 44, b"OggS": 4, b"fLaC": 26, b"ID3": 3}
"""What a sound begins with, and how many bytes say what it is."""


def blank_bytes(data: bytes) -> bytes:
    """The bytes of a picture or a sound, of the same length."""
    head = _head(data, len(data))
    return head + bytes(len(data) - len(head))


def blank_base64(text: str) -> str | None:
    """Likewise, as base64; None for what is none."""
    if not _BASE64.fullmatch(text) or len(text) % 4:
        return None
    size = len(text) // 4 * 3 - (len(text) - len(text.rstrip("=")))
    try:
        start = binascii.a2b_base64(text[: _MOST_OF_A_HEAD // 3 * 4])
    except ValueError:
        return _LETTER.sub("A", text)
    head = _head(start, size)
    whole = head + bytes(min(-len(head) % 3, max(0, size - len(head))))
    coded = base64.b64encode(whole).decode().rstrip("=")
    rest = text[len(coded) :]
    return coded + "A" * (len(rest.rstrip("="))) + rest[len(rest.rstrip("=")) :]


def _head(data: bytes, size: int) -> bytes:
    """What of the data says its format and size. `size` is that of the whole, of which `data` may be
    the start."""
    kind = format_of(data)
    if kind == "png" and len(data) > 45:
        # Pixels in one chunk, so that a reader that walks the chunks finds an end.
        return data[:33] + max(0, size - 57).to_bytes(4, "big") + b"IDAT"
    if kind == "jpeg":
        return _jpeg_head(data)
    if kind == "gif":
        return data[:10]
    if kind == "webp":
        return data[:30]
    return next((data[:end] for begin, end in _SOUNDS.items() if data.startswith(begin)), b"")


def _jpeg_head(data: bytes) -> bytes:
    """All segments up to that with the size, those before it empty: a camera writes where it was."""
    head, at = bytearray(data[:2]), 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return bytes(head) + data[at : at + 9]
        if length < 2:
            break
        head += data[at : at + 4] + bytes(min(length - 2, len(data) - at - 4))
        at += 2 + length
    return data[:3]
