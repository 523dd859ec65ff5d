"""Reads format, size and alpha channel from the first bytes of a picture.

Names and media types are ignored. No pixels are decoded, so a truncated picture is not detected.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import NamedTuple


class Header(NamedTuple):
    format: str  # png, jpeg, webp or gif
    width: int
    height: int
    alpha: bool  # whether it can be transparent anywhere


def header(data: bytes) -> Header | None:
    """None for what is no PNG, JPEG, WebP or GIF."""
    kind = format_of(data)
    try:
        return _READERS[kind](data) if kind is not None else None
    except (struct.error, IndexError):
        return None


def format_of(data: bytes) -> str | None:
    """The format by the first twelve bytes alone, whether or not a picture follows."""
    if data.startswith(b"RIFF"):
        return "webp" if data[8:12] == b"WEBP" else None
    return next((kind for begins, kind in _SIGNATURES.items() if data.startswith(begins)), None)


def orientation(exif: bytes) -> int:
    """How a photo is to be turned, 1 to 8 as EXIF counts, by its EXIF block; 1 is upright. What
    cannot be read turns nothing."""
    tiff = exif.removeprefix(b"Exif\0\0")
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None:
        return 1
    try:
        (at,) = struct.unpack_from(f"{order}I", tiff, 4)
        (count,) = struct.unpack_from(f"{order}H", tiff, at)
        for entry in range(at + 2, at + 2 + 12 * count, 12):
            tag, kind, _, value = struct.unpack_from(f"{order}HHIH", tiff, entry)
            if tag == _ORIENTATION and kind == _SHORT:
                return int(value) if 1 <= value <= 8 else 1
    except struct.error:
        pass
    return 1


def _png(data: bytes) -> Header:
    width, height, _, kind = struct.unpack_from(">IIBB", data, 16)
    return Header("png", width, height, kind in (4, 6) or _has_chunk(data, b"tRNS"))


def _has_chunk(data: bytes, wanted: bytes) -> bool:
    """Whether a chunk stands before the pixels."""
    at = 8
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind in (wanted, b"IDAT"):
            return bool(kind == wanted)
        at += 12 + length
    return False


def _jpeg(data: bytes) -> Header | None:
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # fill
            at += 1
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", data, at + 5)
            return Header("jpeg", width, height, False)
        else:
            at += 2 + int(struct.unpack_from(">H", data, at + 2)[0])
    return None


def _webp(data: bytes) -> Header | None:
    kind = data[12:16]
    if kind == b"VP8X":
        width = 1 + int.from_bytes(data[24:27], "little")
        height = 1 + int.from_bytes(data[27:30], "little")
        return Header("webp", width, height, bool(data[20] & 0x10))
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
        return Header("webp", width, height, bool(bits >> 28 & 1))
    width, height = struct.unpack_from("<HH", data, 26)
    return Header("webp", width & 0x3FFF, height & 0x3FFF, False) if kind == b"VP8 " else None


def _gif(data: bytes) -> Header:
    width, height = struct.unpack_from("<HH", data, 6)
    control = data.find(b"\x21\xf9\x04")
    return Header("gif", width, height, control >= 0 and bool(data[control + 3] & 1))


_ORIENTATION, _SHORT = 0x0112, 3

_SIGNATURES = {
    b"\x89PNG\r\n\x1a\n": "png",
    b"\xff\xd8\xff": "jpeg",
    b"GIF87a": "gif",
    b"GIF89a": "gif",
}
_READERS: dict[str, Callable[[bytes], Header | None]] = {
    "png": _png,
    "jpeg": _jpeg,
    "webp": _webp,
    "gif": _gif,
}
