"""A Responses stream as the chunks of a Chat Completions stream.

What the chunks add up to is what `complete.from_response` gives; a law compares them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import ClassVar

from ...errors import CodexError, JsonObject
from .. import json, sse
from ..choices import SharedEnvelope, empty_response, usage
from ..responses import ANSWER_ENDS, DoneItems, Part, StreamedParts, delta_of, index_of, part_of
from ..responses.texts import by_event, by_part, complete_text
from ..shapes import get_dict, get_list, get_str
from ..stop import Stop
from ..translator import EventTranslator, Handler
from .reply_parts import (
    CALLS,
    PREFIX,
    ReplyOptions,
    annotations_of,
    finish_reason,
    indexed_parts,
    is_aside,
    normal_finish_reason,
    picture_of,
    tool_call,
)


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


class ChatStream(EventTranslator):
    """Chat Completions chunks, from Responses events. A Translator.

    `created` stands in where the backend tells no time. Where there are several choices, each has
    a ChatStream, with its `index`, and they have one `shared`.
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
        self._begun = False  # the role has been sent
        self._pieces = StreamedParts()  # of texts
        self._inputs = StreamedParts()  # of calls
        self._calls: dict[int, int] = {}  # output_index -> index among tool_calls
        self._writing: set[int] = set()  # the calls that are not done
        self._done = DoneItems()
        self._asides: set[int] = set()  # the messages that are reasoning_content
        self._message_of: int | None = None  # the message being written
        self._thought: object = None  # the summary being written
        self._length = 0  # characters of content so far
        self._starts: dict[object, int] = {}  # part -> where in the content it begins
        self._annotations: list[JsonObject] = []
        self._pictures = 0  # drawn so far
        self.thread: list[JsonObject] = []  # reasoning and calls, for a client's next turn

    def fail(self, error: CodexError) -> Iterable[bytes]:
        """One chunk with the five standard fields, on which the official client raises. No
        `[DONE]`: nothing ended well."""
        self.finished = True
        error_field = b',"error":' + json.dumps(error.body())
        return (self._chunk({}, behind=_behind(self._tier + error_field)),)

    # Handlers, in the order of a stream.

    def _created(self, data: JsonObject) -> Iterable[bytes]:
        self._shared.adopt(get_dict(data, "response"))
        return ()

    def _item_added(self, data: JsonObject) -> Iterable[bytes]:
        item, index = get_dict(data, "item"), index_of(data)
        if get_str(item, "type") in CALLS:
            return self._call_chunks(item, index)
        if is_aside(item, as_json=self._form.json):
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
        """Whatever of the item was not streamed. Some models stream nothing of it
        (`tests/wires/items_only_when_done.sse`)."""
        item, index = get_dict(data, "item"), index_of(data)
        if not self._done.add(item, index):
            return ()
        kind = get_str(item, "type")
        if kind in CALLS or kind == "reasoning":
            self.thread.append(item)
        if kind in CALLS:
            return self._call_done(item, index)
        if picture := picture_of(item, self._pictures):
            self._pictures += 1
            return [*self._role(None), self._chunk({"images": [picture]})]
        if is_aside(item, as_json=self._form.json):
            self._asides.add(index)
        out: list[bytes] = []
        for part, content in indexed_parts(item, index):
            if rest := _PARTS.get(get_str(content, "type")):
                out += rest(self, part, content)
            if (start := self._starts.get(part)) is not None:
                self._annotations += annotations_of(content, start)
        return out

    def _on_end(self, data: JsonObject) -> Iterable[bytes]:
        response = get_dict(data, "response")
        out: list[bytes] = []
        for index, item in enumerate(get_list(response, "output")):
            # Some items come only at the end (`tests/wires/output_only_at_the_end.sse`).
            if not self._done.has(item, index):
                out += self._item_done({"output_index": index, "item": item})
        if self.finished:
            return out
        out += self._text_chunks(self._stop.rest())
        reason = finish_reason(response, bool(self._calls), self._form)
        if not self._begun and reason == "stop":
            raise empty_response()
        return out + self._last_chunks(reason, usage(response))

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
        return self._content(part, self._pieces.rest(part, complete_text(data)))

    def _rest_of_refusal(self, part: Part, data: JsonObject) -> list[bytes]:
        return self._refusal_chunks(self._pieces.rest(part, complete_text(data)))

    def _rest_of_reasoning(self, part: Part, data: JsonObject) -> list[bytes]:
        return self._think(part, self._pieces.rest(part, complete_text(data)))

    def _content(self, part: Part, piece: str) -> list[bytes]:
        index = part[0] or 0
        if index in self._asides:
            return self._think(part, piece)
        if not piece or self.finished:
            return []
        # An answer may have two messages (`tests/wires/two_messages.sse`).
        gap = "\n\n" if self._message_of not in (None, index) else ""
        self._message_of = index
        self._starts.setdefault(part, self._length + len(gap))
        self._length += len(gap) + len(piece)
        return self._text_chunks(self._stop.feed(gap + piece)) + self._stopped()

    def _stopped(self) -> list[bytes]:
        """The end, once a stop sequence has come. A call that has begun is not cut."""
        if not self._stop.hit or self._writing or self.finished:
            return []
        # The run is left where it is, so its usage is never known.
        return self._last_chunks(normal_finish_reason(bool(self._calls), self._form), None)

    def _text_chunks(self, content: str) -> list[bytes]:
        return [*self._role(""), self._chunk({"content": content})] if content else []

    def _think(self, place: object, piece: str) -> list[bytes]:
        if not piece or not self._form.reasoning or self._stop.hit:
            return []
        # A summary has several parts (`tests/wires/reasoning_summary.sse`).
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
        call = {"index": order, **tool_call(item, empty=True)}
        return [*out, self._chunk({"tool_calls": [call]})]

    def _call_done(self, item: JsonObject, index: int) -> list[bytes]:
        out = [] if index in self._calls else self._call_chunks(item, index)
        kind, field = CALLS[item["type"]]
        part = (index, None, None)
        out += self._input_chunks(part, kind, self._inputs.rest(part, get_str(item, field)))
        self._writing.discard(index)
        return out + self._stopped()

    def _input_delta(self, kind: str, data: JsonObject) -> list[bytes]:
        part, piece = part_of(data), delta_of(data)
        if index_of(data) not in self._calls:
            # The name of a call is not known before its item (`tests/wires/deltas_without_their_item.sse`),
            # and the item that is done has the complete input.
            return []
        return self._input_chunks(part, kind, self._inputs.delta(part, piece))

    def _input_done(self, kind: str, whole: str, data: JsonObject) -> list[bytes]:
        part = part_of(data)
        if index_of(data) not in self._calls:
            return []
        return self._input_chunks(part, kind, self._inputs.rest(part, whole))

    def _input_chunks(self, part: Part, kind: str, piece: str) -> list[bytes]:
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

    HANDLERS: ClassVar[dict[str, Handler]] = {
        "response.created": _created,
        "response.output_item.added": _item_added,
        **by_event("answer", _on_text, _text_done),
        **by_event("refusal", _refusal, _refusal_done),
        **by_event("reasoning", _on_reasoning, _reasoning_done),
        "response.function_call_arguments.delta": _arguments,
        "response.function_call_arguments.done": _arguments_done,
        "response.custom_tool_call_input.delta": _custom_input,
        "response.custom_tool_call_input.done": _custom_input_done,
        "response.output_item.done": _item_done,
        **dict.fromkeys(ANSWER_ENDS, _on_end),
        "response.failed": EventTranslator._failed,
        "error": EventTranslator._failed,
    }


_PARTS: dict[str, Callable[[ChatStream, Part, JsonObject], Iterable[bytes]]] = {
    **by_part("answer", ChatStream._rest_of_text),
    **by_part("refusal", ChatStream._rest_of_refusal),
    **by_part("reasoning", ChatStream._rest_of_reasoning),
}


def _behind(more: bytes, finish_reason: str | None = None) -> bytes:
    """What stands behind the delta of a chunk; `more` are the last members."""
    reason = json.dumps(finish_reason) if finish_reason else b"null"
    return b',"logprobs":null,"finish_reason":%b}]%b}\n\n' % (reason, sse.escape_line_ends(more))
