"""Sends audio files in a request to a model that takes them, or as text to one that does not."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from codexapi_engine import InvalidRequest
from codexapi_engine.aside import aside
from codexapi_engine.errors import JsonObject
from codexapi_engine.protocol import models
from codexapi_engine.protocol.audio import parts
from codexapi_engine.protocol.shapes import get_str
from codexapi_engine.transcription import transcribe

from .requests import codex_of, settings_of

WARNING = "x-codexapi-warning"
_HEADERS = "codexapi.audio_headers"

_Endpoint = Callable[[Request, JsonObject], Coroutine[Any, Any, Response]]


async def with_audio(
    request: Request, body: JsonObject, sent: JsonObject, *, heavy: bool
) -> JsonObject:
    """The translated request, with audio files as its model takes them: as they are where the list
    of models says that it hears, else as text under `--transcribe-audio`. `body` is the client's
    request; `heavy`: to walk through `sent` is for a thread. Raises CodexError, naming the client's
    field."""
    if not await aside(heavy, parts.has_audio, sent):
        return sent
    found = await aside(True, parts.addresses, sent)
    codex, settings, param = codex_of(request), settings_of(request), _param(body)
    known, name = await codex.available_models(), get_str(sent, "model")
    slug, _ = models.resolve(known, settings.model_aliases, name)
    model = models.find(known, slug)
    if model is not None and "audio" in model.modalities:
        return sent
    if not settings.transcribe_audio:
        raise InvalidRequest(
            f"The model '{name[:60]}' takes no audio; `codexapi serve --transcribe-audio` sends it "
            "the text of an audio file.",
            code="unsupported_value",
            param=param,
        )
    texts = {}
    headers = request.scope[_HEADERS] = [(b"x-codexapi-transcribed", str(len(found)).encode())]
    for url in found:
        audio_file = await aside(True, parts.audio_file, url, param)
        try:
            transcript = await transcribe(codex.upload, audio_file, None, split=True)
        except InvalidRequest as error:
            error.param = param
            raise
        texts[url] = transcript.text
        if transcript.warning:
            headers[1:] = [(WARNING.encode(), transcript.warning.encode())]
    return await aside(True, parts.with_texts, sent, texts)


def with_audio_header(work: _Endpoint) -> _Endpoint:
    """Gives the answer to a request with transcribed audio files the headers that say so."""

    @wraps(work)
    async def answer(request: Request, body: JsonObject) -> Response:
        response = await work(request, body)
        response.raw_headers.extend(request.scope.get(_HEADERS, ()))
        return response

    return answer


def _param(body: JsonObject) -> str:
    """Where the client's request has its first audio file; an earlier turn may have it."""
    earlier = "conversation" if body.get("conversation") else "previous_response_id"
    return next(parts.paths(body), earlier)
