"""Translates a Responses stream, or a finished response, into a legacy Completions reply."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ...errors import CodexError, JsonObject, from_event
from .. import sse
from ..choices import SharedEnvelope, empty_response, envelope_fields, limit_reason, usage
from ..responses import ANSWER_ENDS, Text, text_of
from ..shapes import get_dict, get_list
from ..sse import Event
from ..stop import Stop
from ..translator import EventTranslator

PREFIX = "cmpl-"


@dataclass(frozen=True, slots=True)
class CompletionOptions:
    """What of a request shapes its reply."""

    model: str
    echo: str = ""  # the prompt, where it stands before the text
    stop: tuple[str, ...] = ()


class CompletionStream(EventTranslator):
    """Completions chunks, from Responses events. A Translator; `index` is its choice."""

    def __init__(self, form: CompletionOptions, shared: SharedEnvelope, *, index: int = 0) -> None:
        # set once
        self._echo = form.echo
        self._index = index
        self._shared = shared
        # moves as the stream moves
        self._text = Text()
        self._stop = Stop(form.stop)
        self._begun = False

    def feed(self, event: Event) -> Iterable[bytes]:
        if self.finished:
            return ()
        if isinstance(event, sse.DeltaBatch):
            return (piece for one in event.each for piece in self.feed(one))
        kind = event.type
        if kind == "response.created":
            self._shared.adopt(get_dict(event.json, "response"))
        if kind in ("response.failed", "error"):
            raise from_event(event.json)
        event.check()
        out = self._text_chunks(self._stop.feed(self._text.feed(event)))
        if self._stop.hit:
            # The stream is closed here, mostly before its usage.
            return out + self._last_chunks("stop", None)
        if kind in ANSWER_ENDS:
            return out + self._finish(get_dict(event.json, "response"))
        return out

    def fail(self, error: CodexError) -> Iterable[bytes]:
        """One chunk with `error`. No `[DONE]`: nothing ended well."""
        self.finished = True
        return (sse.encode({**self._chunk(""), "error": error.body()}),)

    def _finish(self, response: JsonObject) -> list[bytes]:
        out = self._text_chunks(self._stop.rest())
        reason = finish_reason(response)
        if not self._begun and reason == "stop":
            raise empty_response()
        return out + self._last_chunks(reason, usage(response))

    def _text_chunks(self, text: str) -> list[bytes]:
        if not text:
            return []
        echo, self._begun = "" if self._begun else self._echo, True
        return [sse.encode(self._chunk(echo + text))]

    def _last_chunks(self, reason: str, usage: JsonObject | None) -> list[bytes]:
        self.finished = True
        echo = "" if self._begun else self._echo  # the prompt stands before an empty text too
        return [sse.encode(self._chunk(echo, reason)), *self._shared.end(usage)]

    def _chunk(self, text: str, reason: str | None = None) -> JsonObject:
        return {**self._shared.envelope, "choices": [_choice(self._index, text, reason)]}


def from_response(response: JsonObject, form: CompletionOptions, *, created: int) -> JsonObject:
    """The complete reply, a `text_completion`. Raises BackendError if the response is empty.

    Knows no stop sequences: they end a run, so such a reply is `collected` from its chunks.
    """
    text, reason = text_of(response), finish_reason(response)
    if not text and reason == "stop":
        raise empty_response()
    reply: JsonObject = {
        "id": PREFIX,
        "object": "text_completion",
        "created": created,
        "model": form.model,
        **envelope_fields(response, PREFIX),
        "choices": [_choice(0, form.echo + text, reason)],
    }
    if counts := usage(response):
        reply["usage"] = counts
    return reply


def collected(chunks: Iterable[JsonObject]) -> JsonObject:
    """The `text_completion` that the chunks of one reply add up to."""
    reply: JsonObject = {}
    choices: dict[int, JsonObject] = {}
    for chunk in chunks:
        reply = chunk
        for choice in get_list(chunk, "choices"):
            whole = choices.setdefault(choice["index"], _choice(choice["index"], "", None))
            whole["text"] += choice["text"]
            whole["finish_reason"] = choice["finish_reason"]
    reply = {**reply, "choices": [choices[index] for index in sorted(choices)]}
    if reply.get("usage") is None:
        reply.pop("usage", None)
    return reply


def finish_reason(response: JsonObject) -> str:
    return limit_reason(response) or "stop"


def _choice(index: int, text: str, reason: str | None) -> JsonObject:
    return {"text": text, "index": index, "logprobs": None, "finish_reason": reason}
