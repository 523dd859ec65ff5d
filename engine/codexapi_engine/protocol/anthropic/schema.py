"""The fields of a Messages request, and what becomes of each."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from ...bounds import MAX_STOP_SEQUENCES
from ..rules import FieldRule

RULES: dict[str, FieldRule] = {
    "model": FieldRule.TRANSLATED,
    "messages": FieldRule.TRANSLATED,
    "system": FieldRule.TRANSLATED,
    "tools": FieldRule.TRANSLATED,
    "tool_choice": FieldRule.TRANSLATED,
    "thinking": FieldRule.TRANSLATED,
    "output_config": FieldRule.TRANSLATED,
    "output_format": FieldRule.TRANSLATED,
    "speed": FieldRule.TRANSLATED,
    "stream": FieldRule.HONOURED,
    "stop_sequences": FieldRule.HONOURED,
    "metadata": FieldRule.HONOURED,  # `user_id` names the session, and is not sent on
    "cache_control": FieldRule.HONOURED,  # the backend's cache needs no marks
    "context_management": FieldRule.HONOURED,
    "max_tokens": FieldRule.IGNORED,  # required, and yet nothing can be capped
    "temperature": FieldRule.IGNORED,
    "top_p": FieldRule.IGNORED,
    "top_k": FieldRule.IGNORED,
    "service_tier": FieldRule.IGNORED,
    "safeguards": FieldRule.IGNORED,  # a verdict of safety is never made up
    "diagnostics": FieldRule.IGNORED,
    "fallbacks": FieldRule.IGNORED,
    "fallback_credit_token": FieldRule.IGNORED,
    "user_profile_id": FieldRule.IGNORED,
    "container": FieldRule.REFUSED,
    "mcp_servers": FieldRule.REFUSED,
    "inference_geo": FieldRule.REFUSED,
    "thread": FieldRule.REFUSED,
    "compaction": FieldRule.REFUSED,
    "billing_policy": FieldRule.REFUSED,
}
"""What becomes of each field of `POST /v1/messages`. What is not here is ignored."""

COUNT_RULES: dict[str, FieldRule] = dict.fromkeys(
    ("messages", "system", "tools", "output_config", "output_format"), FieldRule.HONOURED
)
"""What is counted by `POST /v1/messages/count_tokens`: texts, and the schemas of tools and output."""

ASKS_NOTHING: dict[str, object] = {"mcp_servers": [], "service_tier": "auto"}


class CountRequest(BaseModel):
    """What a client may send to have it counted: the shapes of what we look at."""

    model_config = ConfigDict(extra="allow", strict=True, defer_build=True)

    model: str = Field(min_length=1)
    messages: list[dict[str, Any]] = Field(min_length=1)
    system: list[dict[str, Any]] | str | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: dict[str, Any] | None = None
    thinking: dict[str, Any] | None = None
    output_config: dict[str, Any] | None = None
    output_format: dict[str, Any] | None = None
    context_management: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None
    speed: str | None = None
    stream: bool | None = None
    stop_sequences: list[str] | None = Field(None, max_length=MAX_STOP_SEQUENCES)
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, ge=0, le=1)


class MessagesRequest(CountRequest):
    """What a client may send to have it answered."""

    max_tokens: int = Field(ge=1)
