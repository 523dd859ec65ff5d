"""Audio files for tests: each second of a WAV file is a word of the simulated backend's table."""

from __future__ import annotations

import io
import struct
import wave
from array import array
from collections.abc import Sequence

RATE = 200
"""Frames of a second: enough for windows of some frames, and small."""


def wav(levels: Sequence[int], *, pause: int = 0, channels: int = 1, rate: int = RATE) -> bytes:
    """A second for each level, which is the word's place in the table; 0 is silence. The first
    `pause` frames of each second are silent."""
    samples = array("h")
    for level in levels:
        frames = [0] * pause + [level] * (rate - pause)
        samples.extend(sample for frame in frames for sample in [frame] * channels)
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())
    return out.getvalue()


def scripted(script: str) -> bytes:
    """An audio file that plays a script of the simulated backend."""
    return b"OggS" + script.encode()


def flac(seconds: float, rate: int = 44_100) -> bytes:
    packed = rate << 44 | 1 << 41 | 15 << 36 | int(seconds * rate)
    return b"fLaC\x00\x00\x00\x22" + bytes(10) + struct.pack(">Q", packed) + bytes(16)


def mp4(seconds: int, *, version: int = 0) -> bytes:
    if version:
        inside = bytes([1, 0, 0, 0]) + bytes(16) + struct.pack(">IQ", 1_000, seconds * 1_000)
    else:
        inside = bytes(4) + bytes(8) + struct.pack(">II", 1_000, seconds * 1_000)
    mvhd = struct.pack(">I4s", 8 + len(inside), b"mvhd") + inside
    moov = struct.pack(">I4s", 8 + len(mvhd), b"moov") + mvhd
    return struct.pack(">I4s4sI", 16, b"ftyp", b"M4A ", 0) + moov


def mp3(seconds: int, *, tag: int = 0) -> bytes:
    """Of 128 kbit/s, behind a tag of so many bytes."""
    size = bytes([tag >> 21 & 127, tag >> 14 & 127, tag >> 7 & 127, tag & 127])
    head = b"ID3\x04\x00\x00" + size + bytes(tag) if tag else b""
    return head + b"\xff\xfb\x90\x00" + bytes(seconds * 16_000 - 4)
