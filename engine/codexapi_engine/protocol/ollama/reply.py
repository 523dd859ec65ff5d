"""Translates a Responses stream into the lines of an Ollama reply.

A complete reply is what these lines add up to: `fold`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import ClassVar

from ...errors import CodexError, JsonObject
from .. import json, sse
from ..chat.reply_parts import indexed_parts, is_aside
from ..choices import empty_response, limit_reason
from ..responses import ANSWER_ENDS, DoneItems, Part, StreamedParts, delta_of, index_of, part_of
from ..responses.arguments import CALLS, arguments_of
from ..responses.texts import by_event, by_part, complete_text
from ..shapes import get_dict, get_int, get_list, get_str
from ..stop import Stop
from ..translator import EventTranslator, Handler
from .errors import error_line

Elapsed = Callable[[], int]
"""Nanoseconds since the request came."""

_GAP = "\n\n"  # between messages, and between summaries


@dataclass(frozen=True, slots=True)
class OllamaOptions:
    """What of a request shapes its reply."""

    model: str  # as the client named it
    created_at: str = ""
    generate: bool = False  # `response` in place of `message`
    thinking: bool = True  # summaries of the reasoning as `thinking`
    json: bool = False  # content is JSON: commentary must not be part of it
    stop: tuple[str, ...] = ()  # the content ends before the first of these

    def line(self, content: str = "", *, done: bool = False, **more: object) -> bytes:
        """One line of the reply; `more` are members beside the content."""
        message: JsonObject = {"role": "assistant", "content": content, **more}
        body: JsonObject = {"response": content, **more} if self.generate else {"message": message}
        return encode({**self._line_head, **body, "done": done})

    def last_line(self, members: JsonObject) -> bytes:
        """The line that ends a reply."""
        message = {"role": "assistant", "content": ""}
        body: JsonObject = {"response": ""} if self.generate else {"message": message}
        return encode({**self._line_head, **body, "done": True, **members})

    @property
    def around(self) -> tuple[bytes, bytes]:
        """What a line of text has before and behind it."""
        before, behind = self.line("\0").split(b'"\\u0000"')
        return before, behind

    @property
    def _line_head(self) -> JsonObject:
        return {"model": self.model, "created_at": self.created_at}


def encode(line: JsonObject) -> bytes:
    # Several clients' line readers split at U+2028 too.
    return sse.escape_line_ends(json.dumps(line)) + b"\n"


class OllamaStream(EventTranslator):
    """The lines of a reply, from Responses events. A Translator.

    Tool calls stand in one line before the last: some clients run a call when they read it, and
    keep only the newest list of calls.
    """

    def __init__(self, options: OllamaOptions, elapsed: Elapsed) -> None:
        # set once
        self._options = options
        self._elapsed = elapsed
        # moves as the stream moves
        self._stop = Stop(options.stop)
        self._pieces = StreamedParts()
        self._begun = False  # something of the answer is written
        self._began_at: int | None = None  # when the first item began
        self._asides: set[int] = set()  # the messages that are thinking
        self._message_of: int | None = None  # the message being written
        self._thought: Part | None = None  # the summary being written
        self._writing: set[int] = set()  # the calls that are not done
        self._calls: dict[int, JsonObject] = {}  # those that are
        self._done = DoneItems()
        self.thread: list[JsonObject] = []  # reasoning and calls, for a client's next turn

    def fail(self, error: CodexError) -> Iterable[bytes]:
        """One line with the error, and no line that is `done`."""
        self.finished = True
        return (error_line(error),)

    def note_beginning(self) -> None:
        """Something of the answer is here."""
        if self._began_at is None:
            self._began_at = self._elapsed()

    def whole(self, response: JsonObject) -> JsonObject:
        """The complete reply, from the finished response alone. Raises BackendError for an empty one."""
        return fold(map(json.loads, self._on_end({"response": response})))

    # Handlers, in the order of a stream.

    def _item_added(self, data: JsonObject) -> Iterable[bytes]:
        item, index = get_dict(data, "item"), index_of(data)
        self.note_beginning()
        if get_str(item, "type") in CALLS and not self._stop.hit:
            self._writing.add(index)
        if is_aside(item, as_json=self._options.json):
            self._asides.add(index)
        return ()

    def _on_text(self, data: JsonObject) -> Iterable[bytes]:
        part = part_of(data)
        return self._content(part, self._pieces.delta(part, delta_of(data)))

    def _text_done(self, data: JsonObject) -> Iterable[bytes]:
        return self._rest_of_text(part_of(data), data)

    def _on_reasoning(self, data: JsonObject) -> Iterable[bytes]:
        part = part_of(data)
        return self._think(part, self._pieces.delta(part, delta_of(data)))

    def _reasoning_done(self, data: JsonObject) -> Iterable[bytes]:
        return self._rest_of_reasoning(part_of(data), data)

    def _item_done(self, data: JsonObject) -> list[bytes]:
        """Whatever of the item was not streamed. Some models stream nothing of it."""
        item, index = get_dict(data, "item"), index_of(data)
        self.note_beginning()
        if not self._done.add(item, index):
            return []
        kind = get_str(item, "type")
        if kind == "reasoning":
            self.thread.append(item)
        if kind in CALLS:
            return self._call_done(item, index)
        if is_aside(item, as_json=self._options.json):
            self._asides.add(index)
        out: list[bytes] = []
        for place, part in indexed_parts(item, index):
            rest = _PARTS.get(get_str(part, "type"))
            out += rest(self, place, part) if rest else []
        return out

    def _on_end(self, data: JsonObject) -> list[bytes]:
        response = get_dict(data, "response")
        out: list[bytes] = []
        for index, item in enumerate(get_list(response, "output")):
            if not self._done.has(item, index):  # some come only at the end
                out += self._item_done({"output_index": index, "item": item})
        if self.finished:
            return out
        out += self._content_lines(self._stop.rest())
        reason = limit_reason(response) or "stop"
        if reason == "stop" and not (self._begun or self._calls):
            raise empty_response()
        return out + self._last_lines(reason, get_dict(response, "usage"))

    # What goes out.

    def _rest_of_text(self, part: Part, data: JsonObject) -> list[bytes]:
        return self._content(part, self._pieces.rest(part, complete_text(data)))

    def _rest_of_reasoning(self, part: Part, data: JsonObject) -> list[bytes]:
        return self._think(part, self._pieces.rest(part, complete_text(data)))

    def _content(self, part: Part, piece: str) -> list[bytes]:
        index = part[0] or 0
        if index in self._asides:
            return self._think(part, piece)
        if not piece or self.finished:
            return []
        gap = _GAP if self._message_of not in (None, index) else ""
        self._message_of = index
        return self._content_lines(self._stop.feed(gap + piece)) + self._stopped()

    def _think(self, part: Part, piece: str) -> list[bytes]:
        if not piece or not self._options.thinking or self._stop.hit:
            return []
        gap = _GAP if self._thought not in (None, part) else ""
        self._thought = part
        self._begun = True
        return [self._options.line(thinking=gap + piece)]

    def _content_lines(self, content: str) -> list[bytes]:
        if not content:
            return []
        self._begun = True
        return [self._options.line(content)]

    def _call_done(self, item: JsonObject, index: int) -> list[bytes]:
        if index in self._writing or not self._stop.hit:
            self._calls[index] = item
            self.thread.append(item)
        self._writing.discard(index)
        return self._stopped()

    def _stopped(self) -> list[bytes]:
        """The end, once a stop sequence was found. A call that has begun is not cut."""
        if not self._stop.hit or self._writing or self.finished:
            return []
        return self._last_lines("stop", {})  # the run is left where it is: its usage is not known

    def _last_lines(self, reason: str, usage: JsonObject) -> list[bytes]:
        self.finished = True
        out = []
        if self._calls:
            calls = [self._calls[index] for index in sorted(self._calls)]
            out.append(
                self._options.line(tool_calls=[_call_object(*call) for call in enumerate(calls)])
            )
        return [*out, self._options.last_line({"done_reason": reason, **self._counts(usage)})]

    def _counts(self, usage: JsonObject) -> JsonObject:
        """The tokens that the backend counted, and durations as they were measured."""
        total = max(2, self._elapsed())
        first = min(max(1, self._began_at or total), total - 1)  # clients divide by either part
        counts: JsonObject = {"total_duration": total, "load_duration": 0}
        if (tokens := get_int(usage, "input_tokens")) is not None:
            counts["prompt_eval_count"] = tokens
        counts["prompt_eval_duration"] = first
        if (tokens := get_int(usage, "output_tokens")) is not None:
            counts["eval_count"] = tokens
        counts["eval_duration"] = total - first
        return counts

    HANDLERS: ClassVar[dict[str, Handler]] = {
        "response.output_item.added": _item_added,
        **by_event("answer", _on_text, _text_done),
        **by_event("refusal", _on_text, _text_done),
        **by_event("reasoning", _on_reasoning, _reasoning_done),
        "response.output_item.done": _item_done,
        **dict.fromkeys(ANSWER_ENDS, _on_end),
        "response.failed": EventTranslator._failed,
        "error": EventTranslator._failed,
    }


_PARTS: dict[str, Callable[[OllamaStream, Part, JsonObject], list[bytes]]] = {
    **by_part("answer", OllamaStream._rest_of_text),
    **by_part("refusal", OllamaStream._rest_of_text),
    **by_part("reasoning", OllamaStream._rest_of_reasoning),
}


def _call_object(index: int, item: JsonObject) -> JsonObject:
    function = {"index": index, "name": get_str(item, "name"), "arguments": arguments_of(item)}
    return {"id": get_str(item, "call_id"), "function": function}


def fold(lines: Iterable[JsonObject]) -> JsonObject:
    """The complete reply that the lines of one stream add up to."""
    texts: list[str] = []
    thoughts: list[str] = []
    calls: list[JsonObject] = []
    last: JsonObject = {}
    for last in lines:
        part = last.get("message", last)
        texts.append(get_str(part, "content") or get_str(part, "response"))
        thoughts.append(get_str(part, "thinking"))
        calls += get_list(part, "tool_calls")
    more: JsonObject = {"thinking": "".join(thoughts), "tool_calls": calls}
    more = {name: value for name, value in more.items() if value}
    if "message" not in last:
        return {**last, "response": "".join(texts), **more}
    return {**last, "message": {"role": "assistant", "content": "".join(texts), **more}}
