"""The names of all fields that a request may have."""

from __future__ import annotations

from codexapi_engine.protocol import anthropic, ollama
from codexapi_engine.protocol.anthropic import files as anthropic_files
from codexapi_engine.protocol.audio import request as audio_request
from codexapi_engine.protocol.chat import schema as chat_request
from codexapi_engine.protocol.completions import request as completions_request
from codexapi_engine.protocol.images import request as images_request
from codexapi_engine.protocol.responses import request as responses_request
from codexapi_engine.protocol.stored_files import request as stored_files_request

FIELDS = frozenset(
    {
        *chat_request.RULES, *completions_request.RULES, *responses_request.RULES,
        *images_request.EDIT_RULES, *anthropic.RULES, *stored_files_request.RULES, *anthropic_files.RULES, *audio_request.RULES,
        *ollama.RULES, *ollama.GENERATE_RULES,
    }
)  # fmt: skip
