"""The legacy Completions dialect: a text prompt in, a text out."""

from __future__ import annotations

from .reply import CompletionOptions, CompletionStream, collected, from_response
from .request import (
    RULES,
    CompletionRequest,
    form,
    from_client,
    prompts,
    shared_envelope,
    to_responses,
)

__all__ = [
    "RULES",
    "CompletionOptions",
    "CompletionRequest",
    "CompletionStream",
    "collected",
    "form",
    "from_client",
    "from_response",
    "prompts",
    "shared_envelope",
    "to_responses",
]  # fmt: skip
