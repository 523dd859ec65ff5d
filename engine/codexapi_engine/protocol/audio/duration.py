"""Tells how long an audio file is, as far as its header says so without a decoder."""

from __future__ import annotations

import struct

from . import wav

_BITRATES = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
"""Of MPEG 1, layer 3, in kbit/s."""

_BITRATES_2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
"""Of MPEG 2 and 2.5."""

_SCANNED = 4096
"""Bytes in which the first frame of an MP3 is looked for, behind its tags."""


def seconds(data: bytes) -> float | None:
    """None where that is unknown. Of an MP3 an estimate, by the bitrate of its first frame."""
    try:
        if (found := wav.read(data)) is not None:
            return found.seconds
        if data.startswith(b"fLaC"):
            return _flac(data)
        if data[4:8] == b"ftyp":
            return _mp4(data)
        if data.startswith((b"ID3", b"\xff")):
            return _mp3(data)
    except (struct.error, IndexError, ValueError, ZeroDivisionError):
        pass  # a header that is cut off, or none
    return None


def _flac(data: bytes) -> float:
    """By STREAMINFO, which is the first block."""
    (packed,) = struct.unpack_from(">Q", data, 18)
    rate, samples = packed >> 44, packed & ((1 << 36) - 1)
    return float(samples / rate)


def _mp4(data: bytes) -> float | None:
    """By `mvhd`, inside of `moov`."""
    at = data.find(b"mvhd")
    if at < 0 or b"moov" not in data[:at]:
        return None
    if data[at + 4] == 1:
        scale, length = struct.unpack_from(">IQ", data, at + 24)
    else:
        scale, length = struct.unpack_from(">II", data, at + 16)
    return float(length / scale)


def _mp3(data: bytes) -> float | None:
    start = 0
    if data.startswith(b"ID3"):
        a, b, c, d = data[6:10]
        start = 10 + (a << 21 | b << 14 | c << 7 | d)
    for at in range(start, min(start + _SCANNED, len(data) - 4)):
        first, second, third = data[at : at + 3]
        # A frame of layer 3, whose bitrate is one of the table.
        if first == 0xFF and second & 0xE6 == 0xE2 and 0 < third >> 4 < 15:
            table = _BITRATES if second & 0x18 == 0x18 else _BITRATES_2
            return (len(data) - start) * 8 / (table[third >> 4] * 1000)
    return None
