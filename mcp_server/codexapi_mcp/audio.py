"""The tool that transcribes an audio file."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from mcp.server.mcpserver import Context
from mcp.types import CallToolResult, TextContent

from codexapi_engine import InvalidRequest
from codexapi_engine.protocol.audio import AudioFile
from codexapi_engine.transcription import transcribe as transcript_of

from .attachments import Disk
from .runtime import Runtime, with_progress
from .schema import TranscriptResult

SILENCE = "Nothing is said in this audio file."


async def transcribe(ctx: Context[Runtime, Any], path: str, language: str | None) -> CallToolResult:
    """Raises CodexError."""
    codex = ctx.request_context.lifespan_context.codex

    async def run() -> TranscriptResult:
        data = await asyncio.to_thread(Disk.of(codex.settings).read, path, "path")
        if not data:
            raise InvalidRequest(f"path: {path} is empty", code="invalid_value", param="path")
        audio_file = AudioFile(data, Path(path).name)
        found = await transcript_of(codex.upload, audio_file, language, split=True)
        note = f"Warning: {found.warning}." if found.warning else None
        return TranscriptResult(text=found.text, note=note if found.text else SILENCE)

    result = await with_progress(ctx, lambda seconds: f"transcribing, {seconds:.0f} s", run)
    content = [TextContent(text=text) for text in (result.text, result.note) if text]
    return CallToolResult(content=list(content), structured_content=result.model_dump(mode="json"))
