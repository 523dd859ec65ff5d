"""A Responses stream as the events of a Messages stream.

What these events add up to is what `complete.from_response` gives; a law compares them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import ClassVar

from ...errors import BackendError, CodexError, JsonObject, from_event
from .. import json, sse
from ..choices import empty_response
from ..responses import ANSWER_ENDS, DoneItems, Part, StreamedParts, delta_of, index_of, part_of
from ..responses.arguments import CALLS
from ..responses.texts import by_event, complete_text, role_of
from ..shapes import get_dict, get_list, get_str
from ..stop import Stop
from ..translator import EventTranslator
from .content import (
    GAP,
    MessageOptions,
    arguments,
    blocks_of,
    call_block,
    citations,
    citations_of,
    ending,
    message_id,
    own_sources,
    refusal_of,
    rewrites,
    says_something,
    text_tokens,
    thinking_block,
    usage_of,
)
from .errors import error_event, with_sizes
from .order import ItemOrder

PING = sse.encode({"type": "ping"}, "ping")

TEXT_BLOCK_DELTA = ("text_delta", "text")
INPUT_DELTA = ("input_json_delta", "partial_json")
_THINKING_DELTA = ("thinking_delta", "thinking")
_SIGNATURE_DELTA = ("signature_delta", "signature")


Handler = Callable[["MessageStream", JsonObject], list[bytes]]


def _by_turn(handler: Handler) -> Handler:
    return lambda stream, data: stream._in_turn(handler, data)


class MessageStream(EventTranslator):
    """Messages events, from Responses events. A Translator."""

    def __init__(self, options: MessageOptions) -> None:
        # set once
        self._options = options
        # moves as the stream moves
        self._response: JsonObject = {}  # as the backend began it
        self._order: ItemOrder[Handler] = ItemOrder()
        self._pieces = StreamedParts()  # of texts
        self._inputs = StreamedParts()  # of calls
        self._stop = Stop(options.stop)
        self._call: JsonObject = {}  # the current one, once its name is known
        self._thought: Part | None = None  # the summary being written
        self._search: JsonObject | None = None  # the present item, which waits for its sources
        self._cited: dict[int, list[JsonObject]] = {}  # by each message that is done
        self._arrived = DoneItems()
        self._kinds: list[str] = []  # of the blocks that have begun
        self._open = ""  # the type of the block that has not ended
        self._text_bytes = 0  # bytes of text
        self.thread: list[JsonObject] = []  # the items of the answer, for a client's next turn

    def fail(self, error: CodexError) -> Iterable[bytes]:
        """One `error` event: a stream that only ends is an answer to some clients."""
        self.finished = True
        return (error_event(self._sized(error)),)

    def _sized(self, error: CodexError) -> CodexError:
        return with_sizes(error, self._options.input_tokens, self._options.window)

    # Handlers, in the order of a stream.

    def _created(self, data: JsonObject) -> list[bytes]:
        self._response = get_dict(data, "response")
        return []

    def _item_added(self, data: JsonObject) -> list[bytes]:
        item = get_dict(data, "item")
        return self._begin_call(item) if get_str(item, "type") in CALLS else []

    def _part_added(self, data: JsonObject) -> list[bytes]:
        return []  # but the item has its turn from here on

    def _on_text(self, data: JsonObject) -> list[bytes]:
        return self._text_until_stop(self._pieces.delta(part_of(data), delta_of(data)))

    def _text_done(self, data: JsonObject) -> list[bytes]:
        return self._text_until_stop(self._pieces.rest(part_of(data), complete_text(data)))

    def _on_reasoning(self, data: JsonObject) -> list[bytes]:
        part = part_of(data)
        return self._think(part, self._pieces.delta(part, delta_of(data)))

    def _reasoning_done(self, data: JsonObject) -> list[bytes]:
        part = part_of(data)
        return self._think(part, self._pieces.rest(part, complete_text(data)))

    def _on_arguments(self, data: JsonObject) -> list[bytes]:
        if not self._call or rewrites(self._call):
            return []  # its input is sent when the item is done
        return self._input_delta(self._inputs.delta(part_of(data), delta_of(data)))

    def _item_done(self, data: JsonObject) -> list[bytes]:
        item, index = get_dict(data, "item"), index_of(data)
        kind = get_str(item, "type")
        if kind == "web_search_call" and (sources := self._sources(item, index)) is None:
            self._search = item
            return []
        self.thread.append(item)
        out: list[bytes] = []
        if kind == "message":
            out = self._rest_of_message(item, index)
        elif kind == "reasoning":
            out = self._rest_of_thought(item, index)
        elif kind in CALLS:
            out = self._rest_of_call(item, index)
        elif kind == "web_search_call":
            out = self._search_blocks(item, sources or [])
        return out + self._next_item()

    # Around them: which item's turn it is.

    def _in_turn(self, handler: Handler, data: JsonObject) -> list[bytes]:
        """Does what an event asks for once its item's turn has come: blocks may not overlap, and
        the backend's items do (`tests/wires/interleaved_tool_calls.sse`)."""
        return handler(self, data) if self._order.takes(index_of(data), handler, data) else []

    def _next_item(self) -> list[bytes]:
        # The end of a call waits for what follows it: clients run it at once, and run it again when
        # the stream then breaks.
        out = self._text_events(self._stop.rest())
        if self._open != "tool_use":
            out += self._end_block()
        self._call, self._thought, self._search = {}, None, None
        for handler, data in self._order.next():
            if not self.finished:
                out += handler(self, data)
        return out

    def _arrive(self, data: JsonObject) -> list[bytes]:
        """An item is done at the backend, whether it is its turn or not."""
        item, index = get_dict(data, "item"), index_of(data)
        if not self._arrived.add(item, index):
            return []
        if get_str(item, "type") == "message":
            self._cited.setdefault(index, citations(item))
        out = self._in_turn(MessageStream._item_done, data)
        if self._search is not None and self._order.present is not None:
            place: JsonObject = {"output_index": self._order.present}
            if self._sources(self._search, self._order.present) is not None:
                out += self._item_done({**place, "item": self._search})
        return out

    def _sources(self, item: JsonObject, index: int) -> list[JsonObject] | None:
        """What a search found: as it tells itself, else what the message cites that follows it
        (`tests/wires/web_search.sse`). None while that is not known."""
        if own := own_sources(item):
            return own
        later = [place for place in self._cited if place > index]
        return self._cited[min(later)] if later else None

    def _on_end(self, data: JsonObject) -> list[bytes]:
        response = get_dict(data, "response")
        out: list[bytes] = []
        for index, item in enumerate(get_list(response, "output")):
            # Some items come only at the end (`tests/wires/output_only_at_the_end.sse`).
            if not self._arrived.has(item, index):
                place = self._order.free if self._order.is_over(index) else index
                out += self._arrive({"output_index": place, "item": item})
        while self._order.present is not None and not self.finished:  # some are never done
            if self._call:
                raise BackendError("the backend ended its answer in the middle of a tool call")
            if self._search is not None:
                self.thread.append(self._search)
                out += self._search_blocks(self._search, [])
            out += self._next_item()
        if self.finished:
            return out
        end = ending(response, "tool_use" in self._kinds, refusal_of(self.thread))
        if end["stop_reason"] == "end_turn" and not says_something(self._kinds):
            raise empty_response()
        searches = self._kinds.count("server_tool_use")
        return out + self._last_events(end, usage_of(response, self._options, searches))

    def _failed(self, data: JsonObject) -> list[bytes]:
        raise self._sized(from_event(data))

    # What of an item was not streamed. Some models stream nothing of it
    # (`tests/wires/items_only_when_done.sse`).

    def _rest_of_message(self, item: JsonObject, index: int) -> list[bytes]:
        out: list[bytes] = []
        for position, part in enumerate(get_list(item, "content")):
            role, place = role_of(part), (index, None, position)
            rest = self._pieces.rest(place, complete_text(part)) if role else ""
            if role == "reasoning":
                out += self._think(place, rest)
            elif role:
                out += self._text_until_stop(rest)
        return out + self._citations(item)

    def _citations(self, item: JsonObject) -> list[bytes]:
        """Behind the text that they are of: the backend tells them only then."""
        locations = [] if self.finished else citations_of(item)
        if not locations:
            return []
        out = self._text_events(self._stop.rest())
        if self._open == "text":
            deltas = ({"type": "citations_delta", "citation": one} for one in locations)
            out += [self._event("content_block_delta", delta=delta) for delta in deltas]
        return out

    def _rest_of_thought(self, item: JsonObject, index: int) -> list[bytes]:
        out: list[bytes] = []
        for position, part in enumerate(get_list(item, "summary")):
            place: Part = (index, position, None)
            out += self._think(place, self._pieces.rest(place, complete_text(part)))
        for position, part in enumerate(get_list(item, "content")):
            place = (index, None, position)
            out += self._think(place, self._pieces.rest(place, complete_text(part)))
        for block in thinking_block(item, self._options):
            out += self._begin_block({**block, "thinking": "", "signature": ""})
            if block["signature"]:
                out.append(self._block_delta(*_SIGNATURE_DELTA, block["signature"]))
        return out

    def _rest_of_call(self, item: JsonObject, index: int) -> list[bytes]:
        out = [] if self._call else self._begin_call(item)
        rest = self._inputs.rest((index, None, None), arguments(item))
        return out + self._input_delta("" if rest == "{}" else rest)

    def _search_blocks(self, item: JsonObject, sources: list[JsonObject]) -> list[bytes]:
        use, result = blocks_of(item, self._options, sources)
        query = json.dumps(use["input"]).decode()
        out = self._begin_block({**use, "input": {}})
        out += [self._block_delta(*INPUT_DELTA, query), *self._end_block()]
        return out + self._begin_block(result) + self._end_block()

    # What goes out.

    def _text_until_stop(self, piece: str) -> list[bytes]:
        piece = self._stop.feed(piece)
        out = self._text_events(piece)
        if self._stop.hit and not self.finished:
            out += self._stopped()
        return out

    def _text_events(self, piece: str) -> list[bytes]:
        if not piece:
            return []
        self._text_bytes += len(piece.encode(errors="replace"))
        begun = self._begin_block({"type": "text", "text": ""})
        return [*begun, self._block_delta(*TEXT_BLOCK_DELTA, piece)]

    def _stopped(self) -> list[bytes]:
        """The end, once a stop sequence was said. The run is left where it is, so its usage
        is never known, only estimated."""
        end = ending({}, "tool_use" in self._kinds, None)
        if end["stop_reason"] == "end_turn":
            end |= {"stop_reason": "stop_sequence", "stop_sequence": self._stop.sequence}
        usage = usage_of({}, self._options, self._kinds.count("server_tool_use"))
        return self._last_events(end, {**usage, "output_tokens": text_tokens(self._text_bytes)})

    def _think(self, part: Part, piece: str) -> list[bytes]:
        if self.finished or not (piece and self._options.shows_thoughts):
            return []
        # A message may have reasoning between its texts (`tests/wires/reasoning_in_a_message.sse`).
        text = self._text_events(self._stop.rest())
        # A summary has several parts (`tests/wires/reasoning_summary.sse`).
        gap = GAP if self._thought not in (None, part) else ""
        self._thought = part
        begun = self._begin_block({"type": "thinking", "thinking": "", "signature": ""})
        return [*text, *begun, self._block_delta(*_THINKING_DELTA, gap + piece)]

    def _begin_call(self, item: JsonObject) -> list[bytes]:
        self._call = item
        begun = self._begin_block(call_block(item, self._options))
        return [*begun, self._block_delta(*INPUT_DELTA, "")]

    def _input_delta(self, piece: str) -> list[bytes]:
        return [self._block_delta(*INPUT_DELTA, piece)] if piece else []

    def _begin_block(self, block: JsonObject) -> list[bytes]:
        """The start of a block, unless one of its type is open: a call is one for each item."""
        if block["type"] == self._open != "tool_use":
            return []
        out = [*self._begin_message(), *self._end_block()]
        self._open = block["type"]
        self._kinds.append(self._open)
        return [*out, self._event("content_block_start", content_block=block)]

    def _end_block(self) -> list[bytes]:
        if not self._open:
            return []
        self._open = ""
        return [self._event("content_block_stop")]

    def _begin_message(self) -> list[bytes]:
        if self._kinds:
            return []
        usage = usage_of({}, self._options, 0)
        message: JsonObject = {
            "id": message_id(self._response),
            "type": "message",
            "role": "assistant",
            "model": self._options.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "stop_details": None,
            "usage": {**usage, "output_tokens": 1},
        }
        event = {"type": "message_start", "message": message}
        return [sse.encode(event, "message_start"), PING]

    def _last_events(self, end: JsonObject, usage: JsonObject) -> list[bytes]:
        out = [*self._begin_message(), *self._end_block()]
        self.finished = True
        delta: JsonObject = {"type": "message_delta", "delta": end, "usage": usage}
        if self._options.edits:
            delta["context_management"] = {"applied_edits": []}
        stop = sse.encode({"type": "message_stop"}, "message_stop")
        return [*out, sse.encode(delta, "message_delta"), stop]

    def _event(self, kind: str, **more: object) -> bytes:
        return sse.encode({"type": kind, "index": len(self._kinds) - 1, **more}, kind)

    def _block_delta(self, kind: str, field: str, piece: str) -> bytes:
        before, behind = self._around(kind, field)
        return before + sse.escape_line_ends(json.dumps(piece)) + behind

    def _around(self, kind: str, field: str) -> tuple[bytes, bytes]:
        """The event of a delta before and behind its words."""
        before = (
            'event: content_block_delta\ndata: {"type":"content_block_delta",'
            f'"index":{len(self._kinds) - 1},"delta":{{"type":"{kind}","{field}":'
        )
        return before.encode(), b"}}\n\n"

    HANDLERS: ClassVar[dict[str, Handler]] = {
        "response.created": _created,
        "response.output_item.added": _by_turn(_item_added),
        "response.content_part.added": _by_turn(_part_added),
        "response.reasoning_summary_part.added": _by_turn(_part_added),
        **by_event("answer", _by_turn(_on_text), _by_turn(_text_done)),
        **by_event("refusal", _by_turn(_on_text), _by_turn(_text_done)),
        **by_event("reasoning", _by_turn(_on_reasoning), _by_turn(_reasoning_done)),
        "response.function_call_arguments.delta": _by_turn(_on_arguments),
        "response.output_item.done": _arrive,
        **dict.fromkeys(ANSWER_ENDS, _on_end),
        "response.failed": _failed,
        "error": _failed,
    }
