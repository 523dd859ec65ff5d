"""Turns a Responses stream into a finished response, the client's stream, or plain text.

In the client's stream, bytes pass unchanged. Only the `response` object of the lifecycle events is
rebuilt, which the backend leaves empty or fills with its own settings.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import chain

from ...errors import CodexError, JsonObject, StreamInterrupted, from_event
from .. import sse
from ..shapes import get_dict, get_int, get_list, get_str
from ..sse import Event
from ..translator import EventTranslator
from .announce import ADDED, DONE, Announcer
from .backend import ENCRYPTED_REASONING
from .public import (
    Public,
    complete_item,
    error_event,
    for_client,
    public_error,
    shows_encrypted,
    without_encrypted,
)

LIFECYCLE = frozenset(
    {
        "response.created", "response.queued", "response.in_progress",
        "response.completed", "response.done", "response.incomplete", "response.failed",
    }
)  # fmt: skip
TERMINAL = frozenset(
    {"response.completed", "response.done", "response.incomplete", "response.failed", "error"}
)
"""The events after which nothing follows. `response.done` is an old name of `response.completed`
(`tests/wires/response_done_alias.sse`)."""

_TEXT_DELTAS = frozenset({"response.output_text.delta", "response.refusal.delta"})
_TEXT_ENDS = {"response.output_text.done": "text", "response.refusal.done": "refusal"}
_ENDED_WELL = frozenset({"response.completed", "response.done", "response.incomplete"})

# How a lifecycle event begins, the backend's and ours alike.
_BEGINNING = re.compile(
    rb"event: (response\.[a-z_]+)\n"
    rb'data: \{"type":"\1","sequence_number":(?:0|[1-9][0-9]{0,11}),"response":'
)


class Assembler:
    """Folds a stream into its response.

    Feed it the events in order, then call `finish` once. Raises CodexError: for a run that the
    backend says has failed, and for a stream without its last event.
    """

    def __init__(self) -> None:
        self._items: dict[int, JsonObject] = {}
        self._begun: JsonObject = {}
        self._ended: JsonObject | None = None

    def feed(self, event: Event) -> None:
        kind = event.type
        if kind == DONE:
            self.item(event.json)
        elif kind in LIFECYCLE:
            self._lifecycle(kind, event.json)
        elif kind == "error":
            raise from_event(event.json)
        else:
            event.check()

    def finish(self) -> JsonObject:
        """The finished response, `output` included."""
        if self._ended is None:
            raise sse.interruption()
        return self._ended

    @property
    def output(self) -> list[JsonObject]:
        """The items that are done, in order."""
        return [self._items[index] for index in sorted(self._items)]

    def item(self, data: JsonObject) -> None:
        """Adds the item of a done event."""
        item, index = data.get("item"), get_int(data, "output_index")
        if not isinstance(item, dict):
            raise StreamInterrupted(
                "the backend sent an output item without an item", code="upstream_protocol_error"
            )
        self._items[len(self._items) if index is None else index] = item

    def _lifecycle(self, kind: str, data: JsonObject) -> None:
        if kind == "response.failed":
            raise from_event(data)
        response = _response(data)
        if kind not in _ENDED_WELL:
            self._begun = response
            return
        status = "incomplete" if kind == "response.incomplete" else "completed"
        # The backend sends `output: []` at the end: the items came one by one before
        # (`tests/wires/text.sse`).
        self._ended = {**self._begun, **response, "output": _output_of(response) or self.output}
        self._ended["status"] = get_str(response, "status") or status


class ResponseStream(EventTranslator):
    """Passes a stream on: every event unchanged, the lifecycle events completed, and the events that
    the backend omits. A Translator.

    `request` is the client's own body, for the echoes; `created` is used where the backend sends no
    time, and `name` is the response's id where we choose it. A Codex client (`verbatim`) gets
    `codex.*` and `keepalive` events too (`tests/wires/codex_rate_limits_and_keepalive.sse`), and no
    added ones.
    """

    def __init__(
        self,
        request: JsonObject,
        *,
        created: int,
        verbatim: bool = False,
        name: str | None = None,
    ) -> None:
        # set once
        self._public = Public(request, created, name)
        self._verbatim = verbatim
        self._include = [ENCRYPTED_REASONING] if verbatim else request.get("include")
        self._encrypted = shows_encrypted(self._include)
        options = request.get("stream_options") or {}
        self._plain = options.get("include_obfuscation") is False
        # moves as the stream moves
        self._announcer = None if verbatim else Announcer()
        self._assembler = Assembler()
        self._last: Event | None = None
        self._shift = 0  # from the backend's sequence numbers to ours
        # An event was, or what every lifecycle event repeats is: and so may be the last one.
        self._large = self._public.is_heavy
        self._begun: tuple[bytes, bytes] | None = (
            None  # the backend's first lifecycle event behind its type, and ours
        )
        self.stored_response: JsonObject | None = None  # from the newest lifecycle event

    @property
    def response(self) -> JsonObject | None:
        """The newest response as the client has it."""
        return self.stored_response and for_client(self.stored_response, self._include)

    def feed(self, event: Event) -> Iterable[bytes]:
        kind = event.type
        if self.finished or not kind:
            return ()
        if isinstance(event, sse.DeltaBatch):
            return self._deltas(kind, event)
        if not self._verbatim and (kind == "keepalive" or kind.startswith("codex.")):
            self._shift -= "sequence_number" in event.json
            return ()
        if kind in TERMINAL:
            return self._last_event(kind, event)
        self._large = self._large or isinstance(event, sse.ChunkedEvent)
        out = self._through(kind, event)
        self._last = event
        return out

    def fail(self, error: CodexError) -> Iterable[bytes]:
        self.finished = True
        return (error_event(error, self._next_number()),)

    def _deltas(self, kind: str, deltas: sse.DeltaBatch) -> Iterable[bytes]:
        """Deltas of one network read pass in one chunk, unless each has to be changed."""
        whole = self._pass_whole(kind, deltas)
        return self._split(kind, deltas) if whole is None else (whole,)

    def _pass_whole(self, kind: str, deltas: sse.DeltaBatch) -> bytes | None:
        if self._shift or self._plain or kind.startswith("codex."):
            return None
        try:  # in place of `suppress`, of which each read would make one
            deltas.check()
        except StreamInterrupted:
            return None  # the good ones among them pass all the same
        data = deltas.encode()
        if self._announcer is None:
            self._last = deltas
            return data
        if not self._announcer.continues(kind, data, deltas.count):
            return None
        self._last = deltas
        return sse.escape_line_ends(data)

    def _split(self, kind: str, deltas: sse.DeltaBatch) -> Iterator[bytes]:
        first, rest = deltas.parted()  # mostly the others are of the part that the first begins
        yield from self.feed(first)
        if rest is None:
            return
        if (whole := self._pass_whole(kind, rest)) is not None:
            yield whole
            return
        for event in rest.each:
            yield from self.feed(event)

    def _through(self, kind: str, event: Event) -> Iterable[bytes]:
        if kind in LIFECYCLE:
            return self._first_event(kind, event)
        self._begun = None
        payloads, passes = self._missing(kind, event)
        item = self._item_for_client(kind, event) if kind in (ADDED, DONE) else None
        out = self._insert(payloads, event.parsed_lazily) if payloads else []
        if not passes:
            self._shift -= "sequence_number" in event.parsed_lazily
            return out
        if self._shift or self._plain or item is not None:
            data = event.parsed_lazily if item is None else {**event.parsed_lazily, "item": item}
            return chain(out, self._renumbered(kind, data))
        event.check()
        return chain(out, event.pieces(escape=not self._verbatim))

    def _missing(self, kind: str, event: Event) -> tuple[list[JsonObject], bool]:
        """What the official API would have sent before this event, and whether that passes."""
        announcer = self._announcer
        if announcer is None or not announcer.reads(kind):
            return [], True
        if kind.endswith(".delta") and announcer.continues(kind, event.encode(), 1):
            return [], True
        return announcer.feed(kind, event)

    def _item_for_client(self, kind: str, event: Event) -> JsonObject | None:
        """The item of an event as the client gets it; None where it is as it came."""
        if kind == DONE:
            self._assembler.item(event.parsed_lazily)
        elif self._announcer is None:
            return None
        item = get_dict(event.parsed_lazily, "item")
        shown = self._client_item(item)
        return None if shown is item else shown

    def _client_item(self, item: JsonObject) -> JsonObject:
        item = complete_item(item)
        return item if self._encrypted else without_encrypted(item)

    def _first_event(self, kind: str, event: Event) -> Iterable[bytes]:
        """The second of these mostly repeats the first (`tests/wires/text.sse`): then our bytes are
        repeated, unparsed."""
        head = None if self._large or self._shift else _BEGINNING.match(event.raw)
        rest = event.raw[head.end() :] if head else b""
        if head and self._begun and self._begun[0] == rest:
            return (head[0] + self._begun[1],)
        self._assembler.feed(event)
        if self._large:
            return self._lifecycle(kind, event)
        out = list(self._lifecycle(kind, event))
        # Where we begin as the backend does, we do so again, whatever the number: unless it is
        # told once more, by its name or by one that is written in escapes.
        numbered = b'"sequence_number"' in rest or b"\\u00" in rest
        alike = head and out[0].startswith(head[0]) and not numbered
        self._begun = (rest, out[0][head.end() :]) if head and alike else None
        return out

    def _last_event(self, kind: str, event: Event) -> Iterable[bytes]:
        if kind == "error" or (kind == "response.failed" and self._last is None):
            raise from_event(event.json)
        self.finished = True
        if kind == "response.failed":
            return self._lifecycle(kind, event)
        self._assembler.feed(event)
        out: list[bytes] = []
        if self._announcer is not None:
            missing = self._announcer.finish(self._assembler.finish()["output"])
            out = self._insert(missing, event.json)
        if kind == "response.done" and not self._verbatim:
            kind = "response.completed"  # what public clients wait for
        return chain(out, self._lifecycle(kind, event), (sse.DONE,))

    def _lifecycle(self, kind: str, event: Event) -> Iterable[bytes]:
        response = _response(event.json)
        whole = self._public.of(response, _output_of(response) or self._assembler.output)
        if kind in _ENDED_WELL:
            whole["status"] = self._assembler.finish()["status"]
        if not self._verbatim and isinstance(whole["error"], dict):
            whole["error"] = public_error(whole["error"])
        self.stored_response = whole
        shown = for_client(whole, self._include)
        return self._renumbered(kind, {**event.json, "type": kind, "response": shown})

    def _insert(self, payloads: list[JsonObject], following: JsonObject) -> list[bytes]:
        """Events of our own, numbered as the one that follows them."""
        out: list[bytes] = []
        first = following.get("sequence_number")
        for payload in payloads:
            kind = payload["type"]
            if "item" in payload:
                payload = {**payload, "item": self._client_item(payload["item"])}
            if isinstance(first, int):
                payload = {"type": kind, "sequence_number": first + self._shift, **payload}
                self._shift += 1
            out += self._encode(payload, kind)
        return out

    def _renumbered(self, kind: str, data: JsonObject) -> Iterable[bytes]:
        if self._shift and isinstance(data.get("sequence_number"), int):
            data = {**data, "sequence_number": data["sequence_number"] + self._shift}
        if self._plain:
            data = {name: value for name, value in data.items() if name != "obfuscation"}
        return self._encode(data, kind)

    def _encode(self, data: JsonObject, kind: str) -> Iterable[bytes]:
        return sse.pieces(data, kind) if self._large else (sse.encode(data, kind),)

    def _next_number(self) -> int:
        try:
            last = (
                get_int(self._last.each[-1].parsed_lazily, "sequence_number")
                if self._last
                else None
            )
        except StreamInterrupted:  # it passed unread, and is what broke the stream
            return 0
        return 0 if last is None else last + 1 + self._shift


class StreamedParts:
    """What has been streamed of each part, so that its final form adds only what is missing.

    Some models send no deltas for a part (`tests/wires/no_text_deltas.sse`), and some not all of
    them (`tests/wires/some_deltas_missing.sse`).
    """

    def __init__(self) -> None:
        self._streamed: dict[object, list[str]] = {}

    def delta(self, part: object, piece: str) -> str:
        self._streamed.setdefault(part, []).append(piece)
        return piece

    def rest(self, part: object, whole: str) -> str:
        """What of `whole` was not streamed. Nothing where the two disagree: what is written
        cannot be taken back."""
        so_far = "".join(self._streamed.get(part, ()))
        self._streamed[part] = [whole]
        return whole[len(so_far) :] if whole.startswith(so_far) else ""


class Text:
    """The text of a stream, piece by piece: what a terminal prints."""

    def __init__(self) -> None:
        self._pieces = StreamedParts()
        self._spoke = False
        self._message: object = None  # the item that is being printed

    def feed(self, event: Event) -> str:
        """The next piece, often empty. A second message begins with a blank line
        (`tests/wires/two_messages.sse`)."""
        kind = event.type
        if kind in _TEXT_DELTAS:
            piece = self._pieces.delta(_part(event.json), delta_of(event.json))
            return self._with_gap(get_int(event.json, "output_index"), piece)
        if kind in _TEXT_ENDS:
            whole = get_str(event.json, _TEXT_ENDS[kind])
            piece = self._pieces.rest(_part(event.json), whole)
            return self._with_gap(get_int(event.json, "output_index"), piece)
        if kind == "response.output_item.done":
            return self._rest_of_item(
                get_int(event.json, "output_index"), get_dict(event.json, "item")
            )
        if (
            kind in _ENDED_WELL and not self._spoke
        ):  # some send their items only at the end (`tests/wires/output_only_at_the_end.sse`)
            items = _output_of(get_dict(event.json, "response"))
            return "".join(self._rest_of_item(index, item) for index, item in enumerate(items))
        return ""

    def _rest_of_item(self, index: int | None, item: JsonObject) -> str:
        """The rest of a message that was not streamed. Some models stream nothing of it
        (`tests/wires/no_text_deltas.sse`)."""
        if item.get("type") != "message":
            return ""
        return "".join(
            self._with_gap(index, self._pieces.rest((index, n), _part_text(part)))
            for n, part in enumerate(get_list(item, "content"))
        )

    def _with_gap(self, index: int | None, piece: str) -> str:
        if not piece:
            return ""
        gap = "\n\n" if self._spoke and self._message != index else ""
        self._spoke, self._message = True, index
        return gap + piece


class ReasoningText:
    """The reasoning summaries of a stream, piece by piece, a blank line between their parts."""

    def __init__(self) -> None:
        self._pieces = StreamedParts()
        self._part_of: object = None  # the current one

    def feed(self, event: Event) -> str:
        """The next piece, often empty."""
        kind = event.type
        if (
            kind == DONE
        ):  # some models stream nothing of it (`tests/wires/items_only_when_done.sse`)
            return self._rest_of_item(
                get_int(event.json, "output_index"), get_dict(event.json, "item")
            )
        if not kind.startswith("response.reasoning_summary_text."):
            return ""
        part = (get_int(event.json, "output_index"), get_int(event.json, "summary_index"))
        if kind.endswith(".delta"):
            return self._with_gap(part, self._pieces.delta(part, delta_of(event.json)))
        return self._with_gap(part, self._pieces.rest(part, get_str(event.json, "text")))

    def _rest_of_item(self, index: int | None, item: JsonObject) -> str:
        if item.get("type") != "reasoning":
            return ""
        return "".join(
            self._with_gap((index, n), self._pieces.rest((index, n), get_str(part, "text")))
            for n, part in enumerate(get_list(item, "summary"))
        )

    def _with_gap(self, part: object, piece: str) -> str:
        if not piece:
            return ""
        gap = "\n\n" if self._part_of not in (None, part) else ""
        self._part_of = part
        return gap + piece


def delta_of(data: JsonObject) -> str:
    """The text of a delta. Raises StreamInterrupted if there is none: the gap would be unnoticed."""
    delta = data.get("delta")
    if not isinstance(delta, str):
        raise StreamInterrupted(
            "the backend sent a delta that is no text", code="upstream_protocol_error"
        )
    return delta


Part = tuple[int | None, int | None, int | None]
"""Which part of which item: the indices of the item, of the summary, of the content."""


def index_of(data: JsonObject) -> int:
    """The index of the item of an event."""
    return get_int(data, "output_index") or 0


def part_of(data: JsonObject) -> Part:
    """Which part of which item an event is about."""
    return (
        get_int(data, "output_index"),
        get_int(data, "summary_index"),
        get_int(data, "content_index"),
    )


def _part(data: JsonObject) -> tuple[int | None, int | None]:
    """Which part of which item an event is about."""
    return get_int(data, "output_index"), get_int(data, "content_index")


def text_of(response: JsonObject) -> str:
    """The text of a finished response: its messages, with a blank line between them."""
    return "\n\n".join(
        text for item in get_list(response, "output") if (text := _message_text(item))
    )


def _response(data: JsonObject) -> JsonObject:
    response = data.get("response")
    if not isinstance(response, dict):
        raise StreamInterrupted(
            "the backend sent a lifecycle event without a response",
            code="upstream_protocol_error",
        )
    return response


def _output_of(response: JsonObject) -> list[JsonObject]:
    """The output in a lifecycle event; often empty (`tests/wires/text.sse`)."""
    return get_list(response, "output")


def _message_text(item: JsonObject) -> str:
    if item.get("type") != "message":
        return ""
    return "".join(_part_text(part) for part in get_list(item, "content"))


def _part_text(part: JsonObject) -> str:
    return get_str(part, "text") or get_str(part, "refusal")
