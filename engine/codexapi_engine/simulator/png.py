"""Real picture files, drawn by arithmetic: stripes over a gradient, in the colour of the prompt."""

from __future__ import annotations

import io
import random
import struct
import zlib

_BANDS = 16
_STRIPE = 32


def png(
    width: int,
    height: int,
    prompt: str,
    *,
    transparent: bool = False,
    done: float = 1.0,
    ballast: int = 0,
) -> bytes:
    """A picture of that size. Below `done` of its height it is still grey, as a partial one is.
    `ballast` are bytes that no program shows, and none can press together."""
    channels = 4 if transparent else 3
    colour = zlib.crc32(prompt.encode(errors="replace"))
    red, green, blue = (64 + (colour >> shift & 127) for shift in (0, 8, 16))
    bands = [
        _band(width, channels, (red, green, blue), 1 - band / (2 * _BANDS))
        for band in range(_BANDS)
    ]
    grey = b"\0" + bytes([128] * channels) * width
    rows = []
    for y in range(height):
        if y >= height * done:
            rows.append(grey)
            continue
        start = y % (2 * _STRIPE) * channels
        rows.append(b"\0" + bands[y * _BANDS // height][start : start + width * channels])
    kind = 6 if transparent else 2
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0))
        + _chunk(b"IDAT", zlib.compress(b"".join(rows), 1))
        + (_chunk(b"siMu", random.Random(ballast).randbytes(ballast)) if ballast else b"")
        + _chunk(b"IEND", b"")
    )


def recoded(data: bytes, kind: str) -> bytes:
    """The same picture as `png`, `jpeg` or `webp`."""
    if kind == "png":
        return data
    from PIL import Image  # arithmetic alone writes no other format

    out = io.BytesIO()
    with Image.open(io.BytesIO(data)) as image:
        (image.convert("RGB") if kind == "jpeg" else image).save(out, kind, quality=80)
    return out.getvalue()


def _band(width: int, channels: int, colour: tuple[int, int, int], light: float) -> bytes:
    """One row, longer than the picture is wide: shifted from row to row it makes stripes."""
    strong = bytes(int(value * light) for value in colour)
    soft = bytes(min(255, int(value * light * 1.3)) for value in colour)
    if channels == 4:
        strong, soft = strong + b"\xff", soft + b"\x60"
    period = strong * _STRIPE + soft * _STRIPE
    return period * (width // (2 * _STRIPE) + 2)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
