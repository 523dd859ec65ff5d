"""Errors in Ollama's form: one string."""

from __future__ import annotations

from ...errors import CodexError, JsonObject, ModelNotFound
from .. import json


def error_body(error: CodexError, message: str | None = None) -> JsonObject:
    """`message` stands in for the error's own. Clients recognise an unknown model by the words."""
    text = error.message if message is None else message
    if isinstance(error, ModelNotFound) and error.model:
        text = f"model '{error.model}' not found: {text}"
    elif error.param and error.param not in text:
        text = f"{text.rstrip('.')} ({error.param})"
    return {"error": text}


def error_line(error: CodexError) -> bytes:
    return json.dumps(error_body(error)) + b"\n"
