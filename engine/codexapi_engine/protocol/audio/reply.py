"""A transcript as clients get it: as JSON, as text, and as a stream of events."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ...bounds import MAX_TRANSCRIPT_SECONDS
from ...errors import CodexError, JsonObject
from .. import sse
from ..sse import Event
from .duration import seconds
from .wav import can_split

_PIECE = "codexapi.transcript.piece"


class Transcript(NamedTuple):
    text: str
    warning: str | None = None

    def as_json(self) -> JsonObject:
        return {"text": self.text}


def warning(data: bytes, *, split: bool) -> str | None:
    """What a client has to know of the transcript of this audio file; None if nothing is known to
    be wrong."""
    length = seconds(data)
    if length is None or length <= MAX_TRANSCRIPT_SECONDS or (split and can_split(data)):
        return None
    return (
        f"the audio file has {length:.0f} s, and the backend is known to leave out what comes after "
        f"about {MAX_TRANSCRIPT_SECONDS:.0f} s"
    )


def join_texts(texts: Iterable[str]) -> str:
    return " ".join(text for text in map(str.strip, texts) if text)


def piece_event(text: str) -> Event:
    """The text of one piece, for a `TranscriptStream`."""
    return Event(sse.encode({"type": _PIECE, "text": text}, _PIECE).removesuffix(b"\n\n"))


class TranscriptStream:
    """The events `transcript.text.delta`, one for each piece, and `transcript.text.done`. A
    Translator."""

    def __init__(self) -> None:
        self.finished = False
        self._texts: list[str] = []

    def feed(self, event: Event) -> Iterable[bytes]:
        text = (event.json or {}).get("text")
        if not isinstance(text, str) or not text.strip():
            return ()
        delta = f" {text.strip()}" if self._texts else text.strip()
        self._texts.append(text)
        return (_encode_event("transcript.text.delta", delta=delta),)

    def close(self) -> Iterable[bytes]:
        self.finished = True
        return (_encode_event("transcript.text.done", text=join_texts(self._texts)), sse.DONE)

    def fail(self, error: CodexError) -> Iterable[bytes]:
        self.finished = True
        return (sse.encode({"type": "error", "error": error.body()}, "error"),)


def _encode_event(kind: str, **fields: str) -> bytes:
    return sse.encode({"type": kind, **fields}, kind)
