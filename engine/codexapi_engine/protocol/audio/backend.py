"""An audio file as the form that the backend takes, and the text of its answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ...errors import JsonObject, UnexpectedAnswer

MEDIA_TYPES = {
    "wav": "audio/wav",
    "mp3": "audio/mpeg",
    "mpga": "audio/mpeg",
    "mpeg": "audio/mpeg",
    "m4a": "audio/mp4",
    "mp4": "audio/mp4",
    "webm": "audio/webm",
    "ogg": "audio/ogg",
    "oga": "audio/ogg",
    "opus": "audio/ogg",
    "flac": "audio/flac",
}
_SIGNATURES = {
    b"RIFF": "wav",
    b"ID3": "mp3",
    b"\xff\xfb": "mp3",
    b"\xff\xf3": "mp3",
    b"fLaC": "flac",
    b"OggS": "ogg",
    b"\x1a\x45\xdf\xa3": "webm",
}
_UNKNOWN = "wav"


class AudioFile(NamedTuple):
    """An audio file. Its name is used for its ending alone."""

    data: bytes
    name: str = ""


class Form(NamedTuple):
    content: bytes
    media_type: str


def form(audio_file: AudioFile, language: str | None, boundary: str) -> Form:
    """The multipart form of one request. The name of the user's file is not in it."""
    kind = _media_type(audio_file)
    parts = [
        f'Content-Disposition: form-data; name="file"; filename="audio.{kind}"\r\n'
        f"Content-Type: {MEDIA_TYPES[kind]}\r\n\r\n".encode()
        + audio_file.data
    ]
    if language:
        parts.append(f'Content-Disposition: form-data; name="language"\r\n\r\n{language}'.encode())
    edge = f"--{boundary}".encode()
    content = b"".join(edge + b"\r\n" + part + b"\r\n" for part in parts) + edge + b"--\r\n"
    return Form(content, f"multipart/form-data; boundary={boundary}")


def from_backend(answer: Mapping[str, object] | JsonObject) -> str:
    """The text; empty for silence. Raises UnexpectedAnswer."""
    text = answer.get("text")
    if not isinstance(text, str):
        raise UnexpectedAnswer("the backend's answer has no text")
    return text


def _media_type(audio_file: AudioFile) -> str:
    """By the ending of the name, which most programs set; else by the first bytes."""
    ending = audio_file.name.rpartition(".")[2].lower()
    if ending in MEDIA_TYPES:
        return ending
    if audio_file.data[4:8] == b"ftyp":
        return "m4a"
    found = (kind for begins, kind in _SIGNATURES.items() if audio_file.data.startswith(begins))
    return next(found, _UNKNOWN)
