"""The transcription endpoint."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from codexapi_engine import transcription
from codexapi_engine.http.event_stream import OnEvents
from codexapi_engine.protocol import audio
from codexapi_engine.protocol.audio.request import from_client
from codexapi_engine.protocol.rules import unsupported

from ..audio_input import WARNING
from ..forms import Fields, FormFile
from ..pump import EventStreamResponse, Run
from ..requests import codex_of, settings_of
from .answer import ignored_header, json_response

_CHUNKING = "chunking_strategy"


async def transcriptions_create(request: Request, fields: Fields, file: FormFile) -> Response:
    """POST /v1/audio/transcriptions"""
    settings, codex = settings_of(request), codex_of(request)
    params, ignored = from_client(fields, aliases=settings.model_aliases, strict=settings.strict)
    audio_file = audio.AudioFile(file.data, file.name)
    if params.splits and not audio.can_split(file.data):
        if settings.strict:
            raise unsupported(_CHUNKING, "only a WAV file, of 16 bits, can be cut")
        ignored = (*ignored, _CHUNKING)
    headers = ignored_header(ignored)
    if words := audio.warning(file.data, split=params.splits):
        headers[WARNING] = words
    if params.streams:
        texts = transcription.texts(codex.upload, audio_file, params.language, split=params.splits)
        return EventStreamResponse(Run(_Pieces(texts), audio.TranscriptStream()), headers=headers)
    found = await transcription.transcribe(
        codex.upload, audio_file, params.language, split=params.splits
    )
    if params.response_format == "text":
        return PlainTextResponse(f"{found.text}\n", headers=headers)
    return json_response(found.as_json(), headers)


class _Pieces:
    """The texts of an audio file's pieces, as a stream of events."""

    def __init__(self, texts: AsyncGenerator[str, None]) -> None:
        self._texts = texts

    async def push(self, on_events: OnEvents) -> bool:
        async for text in self._texts:
            on_events([audio.piece_event(text)])
        return False

    async def aclose(self) -> None:
        await self._texts.aclose()
