"""The legacy Completions dialect: a prompt, a text."""

from __future__ import annotations

from .reply import Form, Stream, collected, from_response
from .request import RULES, Request, form, from_client, prompts, to_responses, together

__all__ = [
    "RULES", "Form", "Request", "Stream", "collected", "form", "from_client", "from_response",
    "prompts", "to_responses", "together",
]  # fmt: skip
