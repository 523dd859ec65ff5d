"""Translates a legacy Completions request into Responses requests, one per prompt and choice."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from ...bounds import MAX_CHOICES, MAX_STOPS
from ...errors import InvalidRequest, JsonObject
from ..choices import SharedEnvelope, check_stream_options
from ..responses.backend import request as asking
from ..rules import FieldRule, apply
from ..validation import validated
from .reply import PREFIX, CompletionOptions

RULES: dict[str, FieldRule] = {
    "model": FieldRule.TRANSLATED,
    "prompt": FieldRule.TRANSLATED,
    "suffix": FieldRule.TRANSLATED,
    "stream": FieldRule.HONOURED,
    "stream_options": FieldRule.HONOURED,
    "echo": FieldRule.HONOURED,
    "n": FieldRule.HONOURED,
    "stop": FieldRule.HONOURED,
    "max_tokens": FieldRule.IGNORED,
    "temperature": FieldRule.IGNORED,
    "top_p": FieldRule.IGNORED,
    "presence_penalty": FieldRule.IGNORED,
    "frequency_penalty": FieldRule.IGNORED,
    "seed": FieldRule.IGNORED,
    "user": FieldRule.IGNORED,
    "best_of": FieldRule.REFUSED,
    "logit_bias": FieldRule.REFUSED,
    "logprobs": FieldRule.REFUSED,
}
"""What becomes of each field of `POST /v1/completions`. What is not here is ignored."""

ASKS_NOTHING: dict[str, object] = {
    "best_of": 1,
    "logit_bias": {},
    "presence_penalty": 0,
    "frequency_penalty": 0,
}
_CONTINUE = (
    "You are a text completion engine. Continue the user's text from exactly where it ends. "
    "Output only the continuation: no introduction, no quotation marks, no code fence."
)
_FILL = (
    "You are a fill-in-the-middle engine. The user gives the text before and after a gap. "
    "Output only what belongs into the gap, so that the three parts join: no introduction, no "
    "quotation marks, no code fence, no repetition of the text around it."
)


class CompletionRequest(BaseModel):
    """What a client may send: the shapes of what we look at."""

    model_config = ConfigDict(extra="allow", strict=True, defer_build=True)

    model: str = Field(min_length=1)
    prompt: str | list[Any] | None = None
    suffix: str | None = None
    stream: bool | None = None
    stream_options: dict[str, Any] | None = None
    echo: bool | None = None
    n: int | None = Field(None, ge=1, le=MAX_CHOICES)
    # The list first: of a union's errors, the first branch's is reported.
    stop: Annotated[list[str], Field(max_length=MAX_STOPS)] | str | None = None
    max_tokens: int | None = Field(None, ge=0)
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, ge=0, le=1)
    presence_penalty: float | None = Field(None, ge=-2, le=2)
    frequency_penalty: float | None = Field(None, ge=-2, le=2)


def from_client(
    body: JsonObject, *, strict: bool = False
) -> tuple[CompletionRequest, tuple[str, ...]]:
    """A client's body, checked, and the names of the ignored fields.

    Raises InvalidRequest, naming the field.
    """
    request = validated(CompletionRequest, body)
    ignored = apply(RULES, body, strict=strict, no_effect=ASKS_NOTHING, unknown=FieldRule.IGNORED)
    check_stream_options(request.stream_options, request.stream)
    if len(prompts(request)) * (request.n or 1) > MAX_CHOICES:
        raise InvalidRequest(
            f"Invalid value for 'prompt': at most {MAX_CHOICES} choices, prompts times 'n'.",
            code="invalid_value",
            param="prompt",
        )
    return request, ignored


def prompts(request: CompletionRequest) -> list[str]:
    """The prompts, at least one. Raises InvalidRequest for tokens: they are of another model's
    vocabulary."""
    value = request.prompt
    if value is None or isinstance(value, str):
        return [value or ""]
    if not value or not all(isinstance(prompt, str) for prompt in value):
        raise InvalidRequest(
            "Invalid type for 'prompt': expected a string or a list of strings; token ids are not "
            "supported.",
            code="invalid_type",
            param="prompt",
        )
    return value


def form(request: CompletionRequest, prompt: str) -> CompletionOptions:
    """What of a request shapes its reply."""
    stop = request.stop
    return CompletionOptions(
        model=request.model,
        echo=prompt if request.echo else "",
        stop=(stop,) if isinstance(stop, str) else tuple(stop or ()),
    )


def shared_envelope(
    request: CompletionRequest, choices: int, *, created: int, include_usage: bool = False
) -> SharedEnvelope:
    """What the choices of one reply share. `created` is used where the backend sends no time.

    `include_usage` adds the usage even where the request does not have it.
    """
    wanted = (request.stream_options or {}).get("include_usage") is True
    return SharedEnvelope(
        prefix=PREFIX,
        object="text_completion",
        model=request.model,
        created=created,
        choices=choices,
        include_usage=wanted or include_usage,
    )


def to_responses(request: CompletionRequest, prompt: str) -> JsonObject:
    """The Responses request for one prompt."""
    if request.suffix is None:
        return asking(prompt, model=request.model, instructions=_CONTINUE)
    gap = f"<before>{prompt}</before>\n<after>{request.suffix}</after>"
    return asking(gap, model=request.model, instructions=_FILL)
