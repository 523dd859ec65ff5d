"""The fields of Ollama's requests, and how each is handled."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from ...bounds import MAX_STOP_SEQUENCES
from ..rules import FieldRule

_COMMON: dict[str, FieldRule] = {
    "model": FieldRule.TRANSLATED,
    "format": FieldRule.TRANSLATED,
    "think": FieldRule.TRANSLATED,
    "stream": FieldRule.HONOURED,
    "options": FieldRule.HONOURED,  # each by its own rule, below
    "keep_alive": FieldRule.HONOURED,  # 0 without a message unloads; there is nothing to keep
    "truncate": FieldRule.IGNORED,
    "shift": FieldRule.IGNORED,
    "logprobs": FieldRule.REFUSED,
    "top_logprobs": FieldRule.REFUSED,
}
RULES: dict[str, FieldRule] = {
    **_COMMON,
    "messages": FieldRule.TRANSLATED,
    "tools": FieldRule.TRANSLATED,
}
"""What becomes of each field of `POST /api/chat`. What is not here is ignored."""

GENERATE_RULES: dict[str, FieldRule] = {
    **_COMMON,
    "prompt": FieldRule.TRANSLATED,
    "system": FieldRule.TRANSLATED,
    "images": FieldRule.TRANSLATED,
    "suffix": FieldRule.TRANSLATED,
    "raw": FieldRule.REFUSED,
    "template": FieldRule.REFUSED,
    "context": FieldRule.REFUSED,
}
"""Likewise, of `POST /api/generate`."""

ASKS_NOTHING: dict[str, object] = {
    "truncate": True, "shift": True, "logprobs": False, "top_logprobs": 0,
    "raw": False, "template": "", "context": [],
}  # fmt: skip

OPTION_RULES: dict[str, FieldRule] = {
    "options.stop": FieldRule.HONOURED,
    **dict.fromkeys(
        (
            "options.num_predict", "options.temperature", "options.seed", "options.top_k",
            "options.top_p", "options.min_p", "options.typical_p", "options.tfs_z",
            "options.presence_penalty", "options.frequency_penalty", "options.repeat_penalty",
            "options.repeat_last_n", "options.penalize_newline", "options.mirostat",
            "options.mirostat_tau", "options.mirostat_eta", "options.num_ctx", "options.num_keep",
            "options.num_batch", "options.num_gpu", "options.main_gpu", "options.num_thread",
            "options.numa", "options.low_vram", "options.use_mmap", "options.use_mlock",
            "options.f16_kv", "options.vocab_only", "options.logits_all", "options.embedding_only",
        ),
        FieldRule.IGNORED,
    ),
}  # fmt: skip
"""What becomes of each member of `options`. What is not here is ignored, and named `options`: its
name may be any text, and goes into the log."""

OPTIONS_ASK_NOTHING: dict[str, object] = {"options.num_predict": -1}


class SamplingOptions(BaseModel):
    """The members of `options` whose values are looked at."""

    model_config = ConfigDict(extra="allow", strict=True, defer_build=True)

    # The list first: of a union's errors, the first branch's is told.
    stop: Annotated[list[str], Field(max_length=MAX_STOP_SEQUENCES)] | str | None = None
    num_predict: int | None = None
    num_ctx: int | None = None
    seed: int | None = None
    temperature: float | None = None
    top_p: float | None = None


class OllamaMessage(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True, defer_build=True)

    role: str
    content: str | None = None
    images: list[str] | None = None
    tool_calls: list[dict[str, Any]] | None = None
    tool_name: str | None = None
    tool_call_id: str | None = None


class OllamaRequest(BaseModel):
    """What both endpoints take: the shapes of what is looked at."""

    model_config = ConfigDict(extra="allow", strict=True, defer_build=True)

    model: str = Field(min_length=1)
    stream: bool | None = None
    format: str | dict[str, Any] | None = None
    think: bool | str | None = None
    options: SamplingOptions | None = None
    keep_alive: int | float | str | None = None


class OllamaChat(OllamaRequest):
    messages: list[OllamaMessage] | None = None
    tools: list[dict[str, Any]] | None = None


class OllamaGenerate(OllamaRequest):
    prompt: str | None = None
    system: str | None = None
    suffix: str | None = None
    images: list[str] | None = None
