"""Reads WAV files, and cuts them at silences."""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Iterator
from typing import NamedTuple

_PCM, _EXTENSIBLE = 1, 0xFFFE
_WINDOW = 0.3
"""Seconds over which loudness is measured: a pause between sentences, and none inside of a word."""

_STEPS = 6
"""Into which each window is moved on."""

_SEARCHED = 15.0
"""Seconds before the longest allowed end of a piece in which a silence is looked for."""

_SAMPLES = 64
"""Of one window: so many are enough to tell a word from a pause."""


class Wav(NamedTuple):
    """The sound of a WAV file."""

    format: bytes  # the `fmt ` chunk
    coding: int
    frame: int  # bytes of one moment, all channels together
    rate: int  # frames per second
    bits: int  # of one sample
    sound: memoryview

    @property
    def seconds(self) -> float:
        return len(self.sound) / (self.frame * self.rate)

    @property
    def is_plain(self) -> bool:
        """Whether it is 16-bit PCM."""
        return (self.coding, self.bits) == (_PCM, 16) and self.frame % 2 == 0


def read(data: bytes) -> Wav | None:
    """None for what is no WAV file."""
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        return None
    header = b""
    for name, chunk in _chunks(data):
        if name == b"fmt " and len(chunk) >= 16:
            header = bytes(chunk)
        elif name == b"data" and header:
            coding, _, rate, _, frame, bits = struct.unpack_from("<HHIIHH", header)
            if coding == _EXTENSIBLE and len(header) >= 26:
                (coding,) = struct.unpack_from("<H", header, 24)
            whole = len(chunk) - len(chunk) % frame if frame else 0
            return Wav(header, coding, frame, rate, bits, chunk[:whole]) if rate and whole else None
    return None


def pieces(data: bytes, longest: float) -> list[bytes]:
    """WAV files of at most `longest` seconds, which together are this one: each is cut where it is
    quietest. The same bytes where they are short enough, and where they are no 16-bit PCM."""
    wav = read(data)
    if wav is None or wav.seconds <= longest or not wav.is_plain:
        return [data]
    found, start, frames = [], 0, len(wav.sound) // wav.frame
    while (frames - start) / wav.rate > longest:
        end = _quietest(wav, start, longest)
        found.append(_to_wav(wav, start, end))
        start = end
    return [*found, _to_wav(wav, start, frames)]


def can_split(data: bytes) -> bool:
    wav = read(data)
    return wav is not None and wav.is_plain


def _chunks(data: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """Names and contents. A recorder that was stopped leaves a size that is too large."""
    at, view = 12, memoryview(data)
    while at + 8 <= len(data):
        name, (size,) = data[at : at + 4], struct.unpack_from("<I", data, at + 4)
        yield name, view[at + 8 : at + 8 + size]
        at += 8 + size + size % 2


def _quietest(wav: Wav, start: int, longest: float) -> int:
    """The frame in the middle of the quietest window before the piece is too long."""
    window = max(_STEPS, int(_WINDOW * wav.rate))
    last = start + int(longest * wav.rate) - window
    first = max(start + window, last - int(min(_SEARCHED, longest / 2) * wav.rate))
    # The latest of equals: fewer pieces.
    best = min(range(last, first, -(window // _STEPS)), key=lambda at: _loudness(wav, at, window))
    return best + window // 2


def _loudness(wav: Wav, at: int, frames: int) -> int:
    samples = array("h", bytes(wav.sound[at * wav.frame : (at + frames) * wav.frame]))
    if sys.byteorder == "big":
        samples.byteswap()
    return sum(map(abs, samples[:: max(1, len(samples) // _SAMPLES)]))


def _to_wav(wav: Wav, start: int, end: int) -> bytes:
    sound = wav.sound[start * wav.frame : end * wav.frame]
    size = 4 + 8 + len(wav.format) + 8 + len(sound)
    return b"".join(
        (
            struct.pack("<4sI4s4sI", b"RIFF", size, b"WAVE", b"fmt ", len(wav.format)),
            wav.format,
            struct.pack("<4sI", b"data", len(sound)),
            sound,
        )
    )
