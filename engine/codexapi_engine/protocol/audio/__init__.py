"""Transcription of audio files.

`request.py`, the schema of client requests, is not imported here: it needs pydantic, which only
the HTTP server loads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..first_use import on_first_use

if TYPE_CHECKING:
    from .backend import AudioFile, Form, form, from_backend
    from .reply import Transcript, TranscriptStream, join_texts, piece_event, warning
    from .wav import can_split, pieces

__all__ = [
    "AudioFile",
    "Form",
    "Transcript",
    "TranscriptStream",
    "can_split",
    "form",
    "from_backend",
    "join_texts",
    "piece_event",
    "pieces",
    "warning",
]  # fmt: skip

__getattr__ = on_first_use(__name__, __all__, ("backend", "reply", "wav"))
