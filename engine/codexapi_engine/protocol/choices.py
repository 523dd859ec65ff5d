"""Shared by the two dialects with `choices`: a chunk's envelope, usage, and the final chunks."""

from __future__ import annotations

from collections.abc import Iterable

from ..errors import BackendError, InvalidRequest, JsonObject
from . import sse
from .shapes import get_dict, get_int, get_str


def check_stream_options(options: JsonObject | None, stream: bool | None) -> None:
    """Raises InvalidRequest where there is no stream that they could be options of."""
    if options is not None and not stream:
        raise InvalidRequest(
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
            code="invalid_value",
            param="stream_options",
        )


class SharedEnvelope:
    """The choices of one reply. Each is a run of its own; they share the envelope and the end."""

    def __init__(
        self,
        *,
        prefix: str,
        object: str,  # noqa: A002  (the wire's word)
        model: str,
        created: int,
        choices: int = 1,
        include_usage: bool = False,
    ) -> None:
        # set once
        self._prefix = prefix
        self._include_usage = include_usage
        # set by the first stream
        self.envelope: JsonObject = {
            "id": prefix,
            "object": object,
            "created": created,
            "model": model,
        }
        if include_usage:
            self.envelope["usage"] = None  # the official client takes the last one it sees
        # moves as the choices end
        self._is_set = False
        self._left = choices
        self._usages: list[JsonObject | None] = []

    def adopt(self, response: JsonObject) -> None:
        """The backend's id, time and model, the same in all chunks."""
        if not self._is_set:
            self._is_set = True
            # A new one: who made something of the old one sees that it is another.
            self.envelope = {**self.envelope, **envelope_fields(response, self._prefix)}

    def end(self, usage: JsonObject | None) -> list[bytes]:
        """What follows the last chunk of a choice: nothing, but after the last choice's."""
        self._usages.append(usage)
        self._left -= 1
        if self._left > 0:
            return []
        out = []
        if self._include_usage and (total := sum_usages(self._usages)):
            out.append(sse.encode({**self.envelope, "choices": [], "usage": total}))
        return [*out, sse.DONE]


def envelope_fields(response: JsonObject, prefix: str) -> JsonObject:
    """What a response says of itself, in the words of an envelope."""
    name, created = get_str(response, "id").removeprefix("resp_"), get_int(response, "created_at")
    fields = {
        "id": prefix + name if name else None,
        "created": created,
        "model": get_str(response, "model") or None,
    }
    return {field: value for field, value in fields.items() if value is not None}


def limit_reason(response: JsonObject) -> str | None:
    """The `finish_reason` of an answer that a limit ended, else None
    (`tests/wires/incomplete_max_output_tokens.sse`, `tests/wires/incomplete_content_filter.sse`)."""
    reason = get_str(get_dict(response, "incomplete_details"), "reason")
    return {"max_output_tokens": "length", "content_filter": "content_filter"}.get(reason)


def usage(response: JsonObject) -> JsonObject | None:
    """The tokens in the older dialects' form; None if the backend sent none."""
    counts = response.get("usage")
    if not isinstance(counts, dict):
        return None
    read, written = (get_dict(counts, f"{side}_tokens_details") for side in ("input", "output"))
    prompt_details = {"cached_tokens": get_int(read, "cached_tokens") or 0, "audio_tokens": 0}
    if (cached := get_int(read, "cache_write_tokens")) is not None:
        prompt_details["cache_write_tokens"] = cached
    prompt, completion = get_int(counts, "input_tokens") or 0, get_int(counts, "output_tokens") or 0
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": get_int(counts, "total_tokens") or prompt + completion,
        "prompt_tokens_details": prompt_details,
        "completion_tokens_details": {
            "reasoning_tokens": get_int(written, "reasoning_tokens") or 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def sum_usages(usages: Iterable[JsonObject | None]) -> JsonObject | None:
    """The usage of all streams; None unless each of them reported it. Nothing is estimated."""
    total: JsonObject | None = None
    for usage in usages:
        if usage is None:
            return None
        total = usage if total is None else _added(total, usage)
    return total


def merged(replies: list[JsonObject]) -> JsonObject:
    """The replies of several runs as one: choices numbered from zero, usage summed."""
    choices = [
        {**choice, "index": index}
        for index, choice in enumerate(choice for reply in replies for choice in reply["choices"])
    ]
    whole = {**replies[0], "choices": choices}
    total = sum_usages(reply.get("usage") for reply in replies)
    if total is None:
        whole.pop("usage", None)
        return whole
    return {**whole, "usage": total}


def empty_response() -> BackendError:
    """The error for an empty answer, which the backend reports as a success
    (`tests/wires/empty_answer.sse`)."""
    return BackendError(
        "the backend finished the run without an answer: no text, no refusal, no call",
        code="upstream_empty_response",
    )


def _added(one: JsonObject, other: JsonObject) -> JsonObject:
    total = dict(other)  # a detail may stand in one of them alone
    for name, value in one.items():
        if isinstance(value, dict):
            total[name] = _added(value, get_dict(other, name))
        elif (count := get_int(one, name)) is not None:
            total[name] = count + (get_int(other, name) or 0)
    return total
