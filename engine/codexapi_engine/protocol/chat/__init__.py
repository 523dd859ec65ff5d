"""The Chat Completions dialect."""

from __future__ import annotations

from . import mixed
from .collect import collected
from .params import chat_param, completions_param
from .reply import Form, Stream, from_response, together
from .request import RULES, Request, form, from_client, to_responses

__all__ = [
    "RULES", "Form", "Request", "Stream", "chat_param", "collected", "completions_param", "form", "from_client", "from_response", "mixed",
    "to_responses", "together",
]  # fmt: skip
