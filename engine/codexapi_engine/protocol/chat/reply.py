"""A Responses stream, or a finished response, as a Chat Completions reply.

Two roads, one reply: what the chunks of `Stream` add up to is what `from_response` gives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ...errors import CodexError, JsonObject, from_event
from .. import json, sse
from ..choices import SharedEnvelope, empty_response, envelope_fields, usage
from ..responses import Part, StreamedParts, delta_of, index_of, part_of
from ..responses.backend import SERVICE_TIERS
from ..shapes import get_dict, get_int, get_list, get_str
from ..sse import Event
from ..stop import Stop

PREFIX = "chatcmpl-"

# item type -> (the word for it in chat, the field of its input)
_CALLS = {"function_call": ("function", "arguments"), "custom_tool_call": ("custom", "input")}


@dataclass(frozen=True, slots=True)
class ReplyOptions:
    """What of a request shapes its reply."""

    model: str
    include_usage: bool = False
    service_tier: str | None = None
    reasoning: bool = False  # summaries as `reasoning_content`
    json: bool = False  # content is JSON: commentary must not be part of it
    legacy: bool = False  # `functions`: one `function_call` in place of `tool_calls`
    stop: tuple[str, ...] = ()  # the content ends before the first of these
    n: int = 1  # choices, each a run of its own


def tier_of(tier: object) -> str | None:
    """The tier that a reply tells. One that the backend does not take is ignored, and has no echo."""
    known = isinstance(tier, str) and tier in ("auto", "default", *SERVICE_TIERS)
    return str(tier) if known else None


def shared_envelope(form: ReplyOptions, *, created: int) -> SharedEnvelope:
    """What the choices of one reply share. `created` stands in where the backend tells no time."""
    return SharedEnvelope(
        prefix=PREFIX,
        object="chat.completion.chunk",
        model=form.model,
        created=created,
        choices=form.n,
        include_usage=form.include_usage,
    )


class ChatStream:
    """Chat Completions chunks, from Responses events. A Translator.

    `created` stands in where the backend tells no time. Where there are several choices, each has
    a Stream, with its `index`, and they have one `shared`.
    """

    def __init__(
        self,
        form: ReplyOptions,
        *,
        created: int = 0,
        shared: SharedEnvelope | None = None,
        index: int = 0,
    ) -> None:
        # set once
        self._form = form
        self._choice = index
        self._shared = shared or shared_envelope(form, created=created)
        tier = form.service_tier
        self._tier = b',"service_tier":' + json.dumps(tier) if tier else b""
        self._behind = _behind(self._tier)  # the delta of a chunk
        # moves as the stream moves
        self._stop = Stop(form.stop)
        self._envelope: JsonObject = {}  # that `_before` has
        self._before = b""  # the delta of a chunk
        self._begun = False  # the role has been said
        self._pieces = StreamedParts()
        self._calls: dict[int, int] = {}  # output_index -> index among tool_calls
        self._writing: set[int] = set()  # the calls that are not done
        self._done: set[object] = set()  # the items that are, by id or else by index
        self._asides: set[int] = set()  # the messages that are reasoning_content
        self._message_of: int | None = None  # the message being written
        self._thought: object = None  # the summary being written
        self._length = 0  # characters of content so far
        self._starts: dict[object, int] = {}  # part -> where in the content it begins
        self._annotations: list[JsonObject] = []
        self._pictures = 0  # drawn so far
        self.thread: list[JsonObject] = []  # reasoning and calls, for a client's next turn
        self.finished = False

    def feed(self, event: Event) -> Iterable[bytes]:
        if self.finished:
            return ()
        handler = _HANDLERS.get(event.type)
        if handler is None:
            event.check()  # of a kind that we do not know, and yet not of one that nobody could read
            return ()
        if isinstance(event, sse.DeltaBatch):
            return self._each(event, handler)
        return handler(self, event.json)

    def close(self) -> Iterable[bytes]:
        if self.finished:
            return ()
        raise sse.interruption()

    def fail(self, error: CodexError) -> Iterable[bytes]:
        """One chunk with the five standard fields, on which the official client raises. No
        `[DONE]`: nothing ended well."""
        self.finished = True
        error_field = b',"error":' + json.dumps(error.body())
        return (self._chunk({}, behind=_behind(self._tier + error_field)),)

    def _each(self, deltas: sse.DeltaBatch, handler: Handler) -> Iterable[bytes]:
        for event in deltas.each:
            if not self.finished:
                yield from handler(self, event.json)

    # Handlers, in the order of a stream.

    def _created(self, data: JsonObject) -> Iterable[bytes]:
        self._shared.adopt(get_dict(data, "response"))
        return ()

    def _item_added(self, data: JsonObject) -> Iterable[bytes]:
        item, index = get_dict(data, "item"), index_of(data)
        if get_str(item, "type") in _CALLS:
            return self._call_chunks(item, index)
        if _is_aside(item, self._form):
            self._asides.add(index)
        return ()

    def _on_text(self, data: JsonObject) -> Iterable[bytes]:
        part = part_of(data)
        return self._content(part, self._pieces.delta(part, delta_of(data)))

    def _text_done(self, data: JsonObject) -> Iterable[bytes]:
        return self._rest_of_text(part_of(data), data)

    def _refusal(self, data: JsonObject) -> Iterable[bytes]:
        return self._refusal_chunks(self._pieces.delta(part_of(data), delta_of(data)))

    def _refusal_done(self, data: JsonObject) -> Iterable[bytes]:
        return self._rest_of_refusal(part_of(data), data)

    def _on_reasoning(self, data: JsonObject) -> Iterable[bytes]:
        part = part_of(data)
        return self._think(part, self._pieces.delta(part, delta_of(data)))

    def _reasoning_done(self, data: JsonObject) -> Iterable[bytes]:
        return self._rest_of_reasoning(part_of(data), data)

    def _arguments(self, data: JsonObject) -> Iterable[bytes]:
        return self._input_delta("function", data)

    def _arguments_done(self, data: JsonObject) -> Iterable[bytes]:
        return self._input_done("function", get_str(data, "arguments"), data)

    def _custom_input(self, data: JsonObject) -> Iterable[bytes]:
        return self._input_delta("custom", data)

    def _custom_input_done(self, data: JsonObject) -> Iterable[bytes]:
        return self._input_done("custom", get_str(data, "input"), data)

    def _item_done(self, data: JsonObject) -> Iterable[bytes]:
        """Whatever of the item was not streamed. Some models stream nothing of it."""
        item, index = get_dict(data, "item"), index_of(data)
        self._done.add(get_str(item, "id") or index)
        kind = get_str(item, "type")
        if kind in _CALLS or kind == "reasoning":
            self.thread.append(item)
        if kind in _CALLS:
            return self._call_done(item, index)
        if picture := _picture(item, self._pictures):
            self._pictures += 1
            return [*self._role(None), self._chunk({"images": [picture]})]
        if _is_aside(item, self._form):
            self._asides.add(index)
        out: list[bytes] = []
        for part, content in _indexed_parts(item, index):
            if rest := _PARTS.get(get_str(content, "type")):
                out += rest(self, part, content)
            if (start := self._starts.get(part)) is not None:
                self._annotations += _annotations(content, start)
        return out

    def _finish(self, data: JsonObject) -> Iterable[bytes]:
        response = get_dict(data, "response")
        out: list[bytes] = []
        for index, item in enumerate(get_list(response, "output")):
            if (get_str(item, "id") or index) not in self._done:  # some come only at the end
                out += self._item_done({"output_index": index, "item": item})
        if self.finished:
            return out
        out += self._text_chunks(self._stop.rest())
        reason = finish_reason(response, bool(self._calls), self._form)
        if not self._begun and reason == "stop":
            raise empty_response()
        return out + self._last_chunks(reason, usage(response))

    def _failed(self, data: JsonObject) -> Iterable[bytes]:
        raise from_event(data)

    # What goes out.

    def _last_chunks(self, reason: str, usage: JsonObject | None) -> list[bytes]:
        self.finished = True
        out = self._role("")
        if self._annotations:
            out.append(self._chunk({"annotations": self._annotations}))
        out.append(self._chunk({}, behind=_behind(self._tier, reason)))
        return out + self._shared.end(usage)

    def _role(self, content: str | None) -> list[bytes]:
        """The first chunk, once. Its content is null where anything but text comes first."""
        if self._begun:
            return []
        self._begun = True
        return [self._chunk({"role": "assistant", "content": content, "refusal": None})]

    def _rest_of_text(self, part: Part, data: JsonObject) -> list[bytes]:
        return self._content(part, self._pieces.rest(part, get_str(data, "text")))

    def _rest_of_refusal(self, part: Part, data: JsonObject) -> list[bytes]:
        return self._refusal_chunks(self._pieces.rest(part, get_str(data, "refusal")))

    def _rest_of_reasoning(self, part: Part, data: JsonObject) -> list[bytes]:
        return self._think(part, self._pieces.rest(part, get_str(data, "text")))

    def _content(self, part: Part, piece: str) -> list[bytes]:
        index = part[0] or 0
        if index in self._asides:
            return self._think(part, piece)
        if not piece or self.finished:
            return []
        gap = "\n\n" if self._message_of not in (None, index) else ""
        self._message_of = index
        self._starts.setdefault(part, self._length + len(gap))
        self._length += len(gap) + len(piece)
        return self._text_chunks(self._stop.feed(gap + piece)) + self._stopped()

    def _stopped(self) -> list[bytes]:
        """The end, once a stop sequence was said. A call that has begun is not cut."""
        if not self._stop.hit or self._writing or self.finished:
            return []
        # The run is left where it is, so its usage is never told.
        return self._last_chunks(_called(bool(self._calls), self._form), None)

    def _text_chunks(self, content: str) -> list[bytes]:
        return [*self._role(""), self._chunk({"content": content})] if content else []

    def _think(self, place: object, piece: str) -> list[bytes]:
        if not piece or not self._form.reasoning or self._stop.hit:
            return []
        gap = "\n\n" if self._thought not in (None, place) else ""
        self._thought = place
        return [*self._role(None), self._chunk({"reasoning_content": gap + piece})]

    def _refusal_chunks(self, piece: str) -> list[bytes]:
        if not piece or self._stop.hit:
            return []
        return [*self._role(None), self._chunk({"refusal": piece})]

    def _call_chunks(self, item: JsonObject, index: int) -> list[bytes]:
        if self._stop.hit:
            return []  # it comes behind the end
        out, order = self._role(None), len(self._calls)
        self._calls[index] = order
        self._writing.add(index)
        if self._form.legacy:
            named = {"function_call": {"name": get_str(item, "name"), "arguments": ""}}
            return [*out, self._chunk(named)] if order == 0 else out
        call = {"index": order, **_tool_call(item, empty=True)}
        return [*out, self._chunk({"tool_calls": [call]})]

    def _call_done(self, item: JsonObject, index: int) -> list[bytes]:
        out = [] if index in self._calls else self._call_chunks(item, index)
        kind, field = _CALLS[item["type"]]
        part = (index, None, None)
        out += self._input(part, kind, self._pieces.rest(part, get_str(item, field)))
        self._writing.discard(index)
        return out + self._stopped()

    def _input_delta(self, kind: str, data: JsonObject) -> list[bytes]:
        part, piece = part_of(data), delta_of(data)
        if index_of(data) not in self._calls:
            return []  # its name is not known before the item is done, and has it whole
        return self._input(part, kind, self._pieces.delta(part, piece))

    def _input_done(self, kind: str, whole: str, data: JsonObject) -> list[bytes]:
        part = part_of(data)
        if index_of(data) not in self._calls:
            return []
        return self._input(part, kind, self._pieces.rest(part, whole))

    def _input(self, part: Part, kind: str, piece: str) -> list[bytes]:
        order = self._calls.get(part[0] or 0)
        if not piece or order is None:
            return []
        if self._form.legacy:
            named = {"function_call": {"arguments": piece}}
            return [self._chunk(named)] if order == 0 else []
        body = {"input" if kind == "custom" else "arguments": piece}
        return [self._chunk({"tool_calls": [{"index": order, kind: body}]})]

    def _chunk(self, delta: JsonObject, *, behind: bytes | None = None) -> bytes:
        body = sse.escape_line_ends(json.dumps(delta))
        return self._head() + body + (behind or self._behind)

    def _head(self) -> bytes:
        """What stands before the delta of a chunk. Written once for many: it is the most of it."""
        envelope = self._shared.envelope
        if self._envelope is not envelope:
            self._envelope, head = envelope, sse.escape_line_ends(json.dumps(envelope)[:-1])
            self._before = b'data: %b,"choices":[{"index":%d,"delta":' % (head, self._choice)
        return self._before


Handler = Callable[[ChatStream, JsonObject], Iterable[bytes]]
_HANDLERS: dict[str, Handler] = {
    "response.created": ChatStream._created,
    "response.output_item.added": ChatStream._item_added,
    "response.output_text.delta": ChatStream._on_text,
    "response.output_text.done": ChatStream._text_done,
    "response.refusal.delta": ChatStream._refusal,
    "response.refusal.done": ChatStream._refusal_done,
    "response.reasoning_summary_text.delta": ChatStream._on_reasoning,
    "response.reasoning_summary_text.done": ChatStream._reasoning_done,
    "response.reasoning_text.delta": ChatStream._on_reasoning,
    "response.reasoning_text.done": ChatStream._reasoning_done,
    "response.function_call_arguments.delta": ChatStream._arguments,
    "response.function_call_arguments.done": ChatStream._arguments_done,
    "response.custom_tool_call_input.delta": ChatStream._custom_input,
    "response.custom_tool_call_input.done": ChatStream._custom_input_done,
    "response.output_item.done": ChatStream._item_done,
    "response.completed": ChatStream._finish,
    "response.done": ChatStream._finish,
    "response.incomplete": ChatStream._finish,
    "response.failed": ChatStream._failed,
    "error": ChatStream._failed,
}
_PARTS: dict[str, Callable[[ChatStream, Part, JsonObject], Iterable[bytes]]] = {
    "output_text": ChatStream._rest_of_text,
    "refusal": ChatStream._rest_of_refusal,
    "summary_text": ChatStream._rest_of_reasoning,
    "reasoning_text": ChatStream._rest_of_reasoning,
}


def from_response(response: JsonObject, form: ReplyOptions, *, created: int) -> JsonObject:
    """The whole reply, a `chat.completion`. Raises BackendError if the response says nothing.

    Knows no stop sequences: they end a run, so such a reply is `collected` from its chunks.
    """
    message = _message(get_list(response, "output"), form)
    called = "tool_calls" in message or "function_call" in message
    reason = finish_reason(response, called, form)
    if reason == "stop" and not called and not _says_something(message):
        raise empty_response()
    reply: JsonObject = {
        "id": PREFIX,
        "object": "chat.completion",
        "created": created,
        "model": form.model,
        **envelope_fields(response, PREFIX),
    }
    if form.service_tier:
        reply["service_tier"] = response.get("service_tier") or form.service_tier
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reason}
    reply["choices"] = [choice]
    if counts := usage(response):
        reply["usage"] = counts
    return reply


def finish_reason(response: JsonObject, called: bool, form: ReplyOptions) -> str:
    """Why the answer ended. A call is told even where the choice was forced: agents wait for it."""
    reasons = {"max_output_tokens": "length", "content_filter": "content_filter"}
    reason = get_str(get_dict(response, "incomplete_details"), "reason")
    return reasons.get(reason) or _called(called, form)


def _called(called: bool, form: ReplyOptions) -> str:
    if called:
        return "function_call" if form.legacy else "tool_calls"
    return "stop"


def _message(items: list[JsonObject], form: ReplyOptions) -> JsonObject:
    texts: list[str] = []
    thoughts: list[str] = []
    refusals: list[str] = []
    calls: list[JsonObject] = []
    annotations: list[JsonObject] = []
    images: list[JsonObject] = []
    length = 0
    for item in items:
        if picture := _picture(item, len(images)):
            images.append(picture)
        if get_str(item, "type") in _CALLS:
            calls.append(item)
            continue
        words, aside = "", _is_aside(item, form)
        for _, part in _indexed_parts(item):
            kind, text = get_str(part, "type"), get_str(part, "text")
            if kind == "refusal":
                refusals.append(get_str(part, "refusal"))
            elif kind in ("summary_text", "reasoning_text") or (kind == "output_text" and aside):
                thoughts.append(text)
            elif kind == "output_text" and text:
                start = length + (2 if texts else 0) + len(words)
                annotations += _annotations(part, start)
                words += text
        if words:
            length += len(words) + (2 if texts else 0)
            texts.append(words)
    message: JsonObject = {"role": "assistant", "content": None, "refusal": None, "annotations": []}
    if form.reasoning and any(thoughts):
        message["reasoning_content"] = "\n\n".join(filter(None, thoughts))
    message["refusal"] = "".join(refusals) or None
    if images:
        message["images"] = images
    other = calls or images or message["refusal"] or "reasoning_content" in message
    message["content"] = "\n\n".join(texts) or (None if other else "")
    message["annotations"] = annotations
    if calls and form.legacy:
        first = calls[0]
        arguments = get_str(first, _CALLS[first["type"]][1])
        message["function_call"] = {"name": get_str(first, "name"), "arguments": arguments}
    elif calls:
        message["tool_calls"] = [_tool_call(call) for call in calls]
    return message


def _tool_call(item: JsonObject, *, empty: bool = False) -> JsonObject:
    """A call as chat has it; `empty` before its input is known. The namespace is beyond the
    official API: two servers may both have a `search`."""
    kind, field = _CALLS[item["type"]]
    body = {"name": get_str(item, "name")}
    if namespace := get_str(item, "namespace"):
        body["namespace"] = namespace
    body[field] = "" if empty else get_str(item, field)
    return {"id": get_str(item, "call_id"), "type": kind, kind: body}


def _says_something(message: JsonObject) -> bool:
    fields = ("content", "refusal", "reasoning_content", "images")
    return any(message.get(field) for field in fields)


def _picture(item: JsonObject, order: int) -> JsonObject | None:
    """A drawn picture, in the field that OpenRouter made known: chat has none of its own."""
    data = get_str(item, "result") if item.get("type") == "image_generation_call" else ""
    if not data:
        return None
    url = f"data:image/{get_str(item, 'output_format') or 'png'};base64,{data}"
    return {"type": "image_url", "index": order, "image_url": {"url": url}}


def _indexed_parts(item: JsonObject, index: int = 0) -> list[tuple[Part, JsonObject]]:
    """The parts of an item, each with the indices by which its events name it."""
    if item.get("type") not in ("message", "reasoning"):
        return []
    summaries = enumerate(get_list(item, "summary"))
    found: list[tuple[Part, JsonObject]] = [((index, n, None), part) for n, part in summaries]
    return found + [((index, None, n), part) for n, part in enumerate(get_list(item, "content"))]


def _is_aside(item: JsonObject, form: ReplyOptions) -> bool:
    """Commentary before a JSON answer: as content it would break the JSON."""
    return form.json and item.get("type") == "message" and item.get("phase") == "commentary"


def _annotations(part: JsonObject, start: int) -> list[JsonObject]:
    """The citations of a part, as chat nests them, counted from the start of the content."""
    return [
        {
            "type": "url_citation",
            "url_citation": {
                "start_index": start + (get_int(citation, "start_index") or 0),
                "end_index": start + (get_int(citation, "end_index") or 0),
                "title": get_str(citation, "title"),
                "url": get_str(citation, "url"),
            },
        }
        for citation in get_list(part, "annotations")
        if citation.get("type") == "url_citation"
    ]


def _behind(more: bytes, finish_reason: str | None = None) -> bytes:
    """What stands behind the delta of a chunk; `more` are the last members."""
    reason = json.dumps(finish_reason) if finish_reason else b"null"
    return b',"logprobs":null,"finish_reason":%b}]%b}\n\n' % (reason, sse.escape_line_ends(more))
