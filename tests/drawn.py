"""Pictures for tests, good and bad, made by Pillow."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator

from PIL import Image


def picture(
    kind: str = "png", size: tuple[int, int] = (6, 4), mode: str = "RGB", **options: object
) -> bytes:
    out = io.BytesIO()
    Image.new(mode, size).save(out, kind, **options)
    return out.getvalue()


def opened(data: bytes) -> Image.Image:
    """The picture, decoded."""
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def photo(
    kind: str = "jpeg", size: tuple[int, int] = (60, 40), orientation: int = 6, **options: object
) -> bytes:
    """Red on the left and blue on the right as it is stored; people see it as its EXIF data says:
    turned to the right, with the red above."""
    image = Image.new("RGB", size, "blue")
    image.paste("red", (0, 0, size[0] // 2, size[1]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    out = io.BytesIO()
    image.save(out, kind, exif=exif, **options)
    return out.getvalue()


def animation(size: tuple[int, int] = (6, 4)) -> bytes:
    """A GIF that is red, then blue."""
    frames = [Image.new("RGB", size, colour) for colour in ("red", "blue")]
    out = io.BytesIO()
    frames[0].save(out, "gif", save_all=True, append_images=frames[1:])
    return out.getvalue()


def mask(size: tuple[int, int] = (6, 4)) -> bytes:
    return picture(size=size, mode="RGBA")


def bomb(width: int = 20_000, height: int = 20_000) -> bytes:
    """A small PNG of very many pixels."""
    row = b"\0" * (1 + width // 8)
    pack = zlib.compressobj(9)
    packed = b"".join(pack.compress(row * 500) for _ in range(height // 500)) + pack.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        _chunks((b"IHDR", header), (b"IDAT", packed), (b"IEND", b""))
    )


def _chunks(*chunks: tuple[bytes, bytes]) -> Iterator[bytes]:
    for kind, data in chunks:
        yield (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )
