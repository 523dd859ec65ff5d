"""The Chat Completions dialect."""

from __future__ import annotations

from . import mixed
from .collect import collected
from .complete import from_response
from .params import chat_param, completions_param
from .reply import shared_envelope
from .reply_parts import ReplyOptions
from .request import form, from_client, to_responses
from .schema import RULES, ChatRequest
from .splice import SplicingChatStream as ChatStream

__all__ = [
    "RULES",
    "ChatRequest",
    "ChatStream",
    "ReplyOptions",
    "chat_param",
    "collected",
    "completions_param",
    "form",
    "from_client",
    "from_response",
    "mixed",
    "shared_envelope",
    "to_responses",
]  # fmt: skip
