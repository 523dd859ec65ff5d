"""The simulated transcription endpoint: what is said in an audio file is read from its bytes.

A script in the bytes (`[[say …]]`, `[[status …]]`) is played. Else each second of a WAV file is one
word of a table, chosen by the first sample that is not zero, and a silent second is none. As at the
real one, what comes after 86 s is left out, and nobody is told.
"""

from __future__ import annotations

import re
import wave
from array import array
from email import message_from_bytes
from email.policy import HTTP
from io import BytesIO

from .refusals import detail
from .scripts import Directions, read

CUT = 86
"""Seconds of an audio file."""

WORDS = (
    "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve",
)  # fmt: skip
OTHER = "What was said in a simulated audio file."
_SCRIPT = re.compile(rb"\[\[[a-z_]+[ -~]{0,200}?\]\]")


def audio_file(content_type: str, body: bytes) -> tuple[bytes, str]:
    """The file of a form, and its language. Raises Refused for what is none."""
    if not content_type.startswith("multipart/form-data"):
        raise detail("Unsupported Media Type", 415)  # ours
    head = f"Content-Type: {content_type}\r\n\r\n".encode("latin-1")
    fields = {
        part.get_param("name", header="content-disposition"): part.get_payload(decode=True)
        for part in message_from_bytes(head + body, policy=HTTP).walk()
        if not part.is_multipart()
    }
    file, language = fields.get("file"), fields.get("language") or b""
    if not isinstance(file, bytes) or not file or not isinstance(language, bytes):
        raise detail("Field required: file", 422)  # ours
    return file, language.decode("latin-1")


def directions(file: bytes) -> Directions:
    return read(b" ".join(_SCRIPT.findall(file)).decode("ascii"))


def text(file: bytes, script: Directions) -> str:
    """What is said; empty for silence."""
    if "say" in script:
        return script.text("say")
    try:
        with wave.open(BytesIO(file)) as sound:
            rate = sound.getframerate() * sound.getnchannels()
            samples = array("h", sound.readframes(CUT * sound.getframerate()))
    except (wave.Error, EOFError, ValueError):
        return OTHER
    spoken = (samples[at : at + rate] for at in range(0, len(samples), rate))
    levels = (next((abs(sample) for sample in second if sample), 0) for second in spoken)
    return " ".join(WORDS[level % len(WORDS)] for level in levels if level)
