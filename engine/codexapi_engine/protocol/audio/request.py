"""Validates the fields of a transcription."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from ...errors import InvalidRequest, JsonObject
from ..rules import FieldRule, apply
from ..validation import validated

RULES: dict[str, FieldRule] = {
    "file": FieldRule.TRANSLATED,
    "language": FieldRule.TRANSLATED,
    "model": FieldRule.HONOURED,  # checked: the backend has one, and its answer depends on none
    "response_format": FieldRule.HONOURED,
    "stream": FieldRule.HONOURED,
    "chunking_strategy": FieldRule.HONOURED,  # of a WAV file
    "prompt": FieldRule.IGNORED,
    "temperature": FieldRule.IGNORED,
    "timestamp_granularities": FieldRule.IGNORED,
    "include": FieldRule.IGNORED,
    "keywords": FieldRule.IGNORED,
    "languages": FieldRule.IGNORED,
    "known_speaker_names": FieldRule.IGNORED,
    "known_speaker_references": FieldRule.IGNORED,
}
"""What becomes of each field of `POST /v1/audio/transcriptions`. What is not here is ignored."""

FORMATS = ("json", "text")
_WITH_TIMES = ("srt", "vtt", "verbose_json")
_MODEL = re.compile(r"(?:gpt-4o-(?:mini-)?transcribe|gpt-transcribe|whisper-1)(?:-[\d-]+)?")


class TranscriptionParams(BaseModel):
    """The fields of a transcription beside the file."""

    model_config = ConfigDict(strict=True, defer_build=True)

    model: str = Field(min_length=1)
    language: str | None = Field(None, max_length=16, pattern="^[A-Za-z-]*$")
    response_format: str = "json"
    stream: Literal["true", "false", "1", "0", "True", "False", ""] = "false"
    chunking_strategy: str | None = None

    @property
    def streams(self) -> bool:
        return self.stream in ("true", "True", "1")

    @property
    def splits(self) -> bool:
        """Whether a long WAV file is to be cut at silences."""
        return self.chunking_strategy is not None


def from_client(
    fields: Mapping[str, str], *, aliases: Collection[str] = (), strict: bool = False
) -> tuple[TranscriptionParams, tuple[str, ...]]:
    """The fields of a form, checked, and the names of the ignored ones. `aliases` are further names
    of models. Raises InvalidRequest, naming the field."""
    body = _merge(fields)
    ignored = apply(RULES, body, strict=strict, no_effect={}, unknown=FieldRule.IGNORED)
    params = validated(TranscriptionParams, {name: body[name] for name in body.keys() - ignored})
    if not (_MODEL.fullmatch(params.model) or params.model in aliases):
        raise _invalid_field(
            "model",
            f"'{params.model[:60]}' transcribes nothing: name gpt-4o-transcribe, "
            "gpt-4o-mini-transcribe or whisper-1 (the backend has one, and the answer is the same)",
        )
    if params.response_format not in FORMATS:
        named = params.response_format[:60]
        times = named in _WITH_TIMES
        why = "the Codex backend tells no times" if times else "the Codex backend tells no speakers"
        raise _invalid_field(
            "response_format", f"'{named}': {why}; supported are 'json' and 'text'"
        )
    return params, ignored


def _merge(fields: Mapping[str, str]) -> JsonObject:
    """A form's `chunking_strategy[type]` as the one word that it stands for."""
    body: JsonObject = {}
    for name, value in fields.items():
        head, bracket, _ = name.partition("[")
        if bracket and head in RULES:
            body.setdefault(head, value)
        else:
            body[name] = value
    return body


def _invalid_field(param: str, why: str) -> InvalidRequest:
    return InvalidRequest(
        f"Invalid value for '{param}': {why}.", code="unsupported_value", param=param
    )
