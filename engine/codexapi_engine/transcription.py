"""Sends recordings to the backend's transcription endpoint."""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import TYPE_CHECKING

from .aside import aside
from .bounds import MAX_AUDIO_BYTES, MIB, PIECE_SECONDS
from .errors import AuthError, CodexError, InvalidRequest, TokenRejected, UnexpectedAnswer
from .protocol.audio import (
    Form,
    Recording,
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
    post: Post, recording: Recording, language: str | None, *, split: bool
) -> Transcript:
    """The text of a recording. Raises CodexError."""
    found = [text async for text in texts(post, recording, language, split=split)]
    return Transcript(join_texts(found), warning(recording.data, split=split))


async def texts(
    post: Post, recording: Recording, language: str | None, *, split: bool
) -> AsyncGenerator[str, None]:
    """The texts of a recording's pieces, one after another; of one piece, unless `split` cuts a
    long WAV file at its silences. Raises CodexError."""
    if len(recording.data) > MAX_AUDIO_BYTES:
        raise InvalidRequest(
            f"The recording exceeds the limit of {MAX_AUDIO_BYTES // MIB} MiB.",
            status=413,
            code="request_too_large",
            param="file",
        )
    cut = await aside(True, pieces, recording.data, PIECE_SECONDS) if split else [recording.data]
    for piece in cut:
        sent = form(Recording(piece, recording.name), language, f"codexapi-{secrets.token_hex(16)}")
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
