"""Sends audio files to the backend's transcription endpoint."""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import TYPE_CHECKING

from .aside import aside
from .bounds import MAX_AUDIO_BYTES, MIB, PIECE_SECONDS
from .errors import AuthError, CodexError, InvalidRequest, TokenRejected, UnexpectedAnswer
from .protocol.audio import (
    AudioFile,
    Form,
    Transcript,
    form,
    from_backend,
    join_texts,
    pieces,
    warning,
)

if TYPE_CHECKING:
    from .http.client import Reply

BLOCKED = "upstream_blocked"
CHALLENGE = "upstream_challenge"

Post = Callable[[Form], Awaitable["Reply"]]


async def transcribe(
    post: Post, audio_file: AudioFile, language: str | None, *, split: bool
) -> Transcript:
    """The text of an audio file. Raises CodexError."""
    found = [text async for text in texts(post, audio_file, language, split=split)]
    return Transcript(join_texts(found), warning(audio_file.data, split=split))


async def texts(
    post: Post, audio_file: AudioFile, language: str | None, *, split: bool
) -> AsyncGenerator[str, None]:
    """The texts of an audio file's pieces, one after another; of one piece, unless `split` cuts a
    long WAV file at its silences. Raises CodexError."""
    if len(audio_file.data) > MAX_AUDIO_BYTES:
        raise InvalidRequest(
            f"The audio file exceeds the limit of {MAX_AUDIO_BYTES // MIB} MiB.",
            status=413,
            code="request_too_large",
            param="file",
        )
    cut = await aside(True, pieces, audio_file.data, PIECE_SECONDS) if split else [audio_file.data]
    for piece in cut:
        sent = form(
            AudioFile(piece, audio_file.name), language, f"codexapi-{secrets.token_hex(16)}"
        )
        try:
            reply = await post(sent)
        except CodexError as error:
            raise _explain(error) from None
        yield from_backend(reply.json or {})


def _explain(error: CodexError) -> CodexError:
    """What the refusals of this endpoint mean, which says nothing of the login."""
    if isinstance(error, UnexpectedAnswer) and error.code == BLOCKED:
        return UnexpectedAnswer(
            "Cloudflare challenges this request as no browser's, which codexapi does not pretend to "
            "be: transcription does not work from here for now; your login is as it was",
            code=CHALLENGE,
        )
    if isinstance(error, TokenRejected):
        return AuthError(
            f"the transcription endpoint refuses this login ({error.message}): it takes the login "
            "of `codex login`, and no personal access token; the login is as it was",
            code=error.code,
        )
    return error
