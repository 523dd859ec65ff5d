"""The Chat Completions dialect."""

from __future__ import annotations

from .reply import Form, Stream, from_response
from .request import RULES, Request, form, from_client, to_responses

__all__ = [
    "RULES", "Form", "Request", "Stream", "form", "from_client", "from_response", "to_responses",
]  # fmt: skip
