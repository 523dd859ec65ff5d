"""Encodes a picture as sixel: bands of six rows, one pass per colour of a band."""

from __future__ import annotations

import re

from codexapi_engine.images.processing import CLEAR, PaletteImage

BAND = 6
_NOTHING = 63
_RUN = re.compile(rb"(.)\1{3,}", re.DOTALL)


def sixel(image: PaletteImage) -> bytes:
    """The sequence that draws it. What is clear is left as it is."""
    colours = b"".join(
        b"#%d;2;%d;%d;%d" % (number, *(round(value * 100 / 255) for value in colour))
        for number, colour in enumerate(image.palette)
    )
    bands = b"-".join(_band(image, top) for top in range(0, image.height, BAND))
    size = b'"1;1;%d;%d' % (image.width, image.height)
    return b"\x1bP0;1;0q" + size + colours + bands + b"\x1b\\"


def _band(image: PaletteImage, top: int) -> bytes:
    """Six rows: for each colour a letter a column, whose bits are the rows that have it."""
    lines: dict[int, bytearray] = {}
    width = image.width
    for row in range(top, min(top + BAND, image.height)):
        bit = 1 << (row - top)
        for column, colour in enumerate(image.pixels[row * width : (row + 1) * width]):
            if colour == CLEAR:
                continue
            line = lines.get(colour)
            if line is None:
                line = lines[colour] = bytearray([_NOTHING]) * width
            line[column] += bit
    return b"$".join(
        b"#%d%b" % (colour, _RUN.sub(_repetition, bytes(line).rstrip(bytes([_NOTHING]))))
        for colour, line in lines.items()
    )


def _repetition(found: re.Match[bytes]) -> bytes:
    return b"!%d%b" % (len(found[0]), found[1])
