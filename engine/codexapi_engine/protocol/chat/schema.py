"""The fields of a chat request, and how each is handled."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ...bounds import MAX_CHOICES, MAX_STOPS, MAX_TOOLS
from ..rules import FieldRule
from ..validation import Metadata

RULES: dict[str, FieldRule] = {
    "model": FieldRule.TRANSLATED,
    "messages": FieldRule.TRANSLATED,
    "tools": FieldRule.TRANSLATED,
    "tool_choice": FieldRule.TRANSLATED,
    "parallel_tool_calls": FieldRule.TRANSLATED,
    "functions": FieldRule.TRANSLATED,
    "function_call": FieldRule.TRANSLATED,
    "response_format": FieldRule.TRANSLATED,
    "verbosity": FieldRule.TRANSLATED,
    "reasoning_effort": FieldRule.TRANSLATED,
    "reasoning": FieldRule.TRANSLATED,  # beyond the official API: {effort, summary}
    "reasoning_summary": FieldRule.TRANSLATED,  # likewise
    "web_search_options": FieldRule.TRANSLATED,
    "service_tier": FieldRule.TRANSLATED,
    "prompt_cache_key": FieldRule.TRANSLATED,
    "stream": FieldRule.HONOURED,
    "stream_options": FieldRule.HONOURED,
    "n": FieldRule.HONOURED,
    "stop": FieldRule.HONOURED,
    "store": FieldRule.HONOURED,  # kept on this machine, if true
    "metadata": FieldRule.HONOURED,  # of what is kept
    "temperature": FieldRule.IGNORED,
    "top_p": FieldRule.IGNORED,
    "presence_penalty": FieldRule.IGNORED,
    "frequency_penalty": FieldRule.IGNORED,
    "seed": FieldRule.IGNORED,
    "max_tokens": FieldRule.IGNORED,
    "max_completion_tokens": FieldRule.IGNORED,
    "prediction": FieldRule.IGNORED,
    "user": FieldRule.IGNORED,
    "safety_identifier": FieldRule.IGNORED,
    "prompt_cache_options": FieldRule.IGNORED,
    "prompt_cache_retention": FieldRule.IGNORED,
    "logit_bias": FieldRule.REFUSED,
    "logprobs": FieldRule.REFUSED,
    "top_logprobs": FieldRule.REFUSED,
    "audio": FieldRule.REFUSED,
    "modalities": FieldRule.REFUSED,
    "moderation": FieldRule.REFUSED,
}
"""What becomes of each field of `POST /v1/chat/completions`. What is not here is ignored."""


ASKS_NOTHING: dict[str, object] = {
    "n": 1,
    "presence_penalty": 0,
    "frequency_penalty": 0,
    "logit_bias": {},
    "logprobs": False,
    "top_logprobs": 0,
    "modalities": ["text"],
    "stop": [],
}


class Message(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True, defer_build=True)

    role: str
    content: list[dict[str, Any]] | str | None = None
    name: str | None = None
    refusal: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    tool_call_id: str | None = None
    function_call: dict[str, Any] | None = None
    phase: str | None = None


class Options(BaseModel):
    """All that a client may leave out: the shapes of what we look at."""

    model_config = ConfigDict(extra="allow", strict=True, defer_build=True)

    stream: bool | None = None
    stream_options: dict[str, Any] | None = None
    tools: list[dict[str, Any]] | None = Field(None, max_length=MAX_TOOLS)
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    functions: list[dict[str, Any]] | None = Field(None, max_length=MAX_TOOLS)
    function_call: str | dict[str, Any] | None = None
    response_format: dict[str, Any] | None = None
    verbosity: Literal["low", "medium", "high"] | None = None
    reasoning_effort: str | None = None
    reasoning: dict[str, Any] | None = None
    reasoning_summary: str | None = None
    web_search_options: dict[str, Any] | None = None
    service_tier: str | None = None
    prompt_cache_key: str | None = None
    store: bool | None = None
    metadata: Metadata | None = None
    n: int | None = Field(None, ge=1, le=MAX_CHOICES)
    # The list first: of a union's errors, the first branch's is reported.
    stop: Annotated[list[str], Field(max_length=MAX_STOPS)] | str | None = None
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, ge=0, le=1)
    presence_penalty: float | None = Field(None, ge=-2, le=2)
    frequency_penalty: float | None = Field(None, ge=-2, le=2)
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)


class ChatRequest(Options):
    """What a client may send."""

    model: str = Field(min_length=1)
    messages: list[Message] = Field(min_length=1)
