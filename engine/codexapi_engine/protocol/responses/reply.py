"""Turns a Responses stream into a finished response, or into the client's stream.

In the client's stream, bytes pass unchanged. Only the `response` object of the lifecycle events is
rebuilt, which the backend leaves empty or fills with its own settings.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import chain

from ...errors import CodexError, JsonObject, StreamInterrupted, from_event
from .. import sse
from ..shapes import get_dict, get_int, get_str
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
from .stream_text import ANSWER_ENDS, output_of

LIFECYCLE = ANSWER_ENDS | {
    "response.created", "response.queued", "response.in_progress", "response.failed",
}  # fmt: skip
TERMINAL = ANSWER_ENDS | {"response.failed", "error"}
"""The events after which nothing follows."""

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
        if kind not in ANSWER_ENDS:
            self._begun = response
            return
        status = "incomplete" if kind == "response.incomplete" else "completed"
        # The backend sends `output: []` at the end: the items came one by one before
        # (`tests/wires/text.sse`).
        self._ended = {**self._begun, **response, "output": output_of(response) or self.output}
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
        whole = self._public.of(response, output_of(response) or self._assembler.output)
        if kind in ANSWER_ENDS:
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


def _response(data: JsonObject) -> JsonObject:
    response = data.get("response")
    if not isinstance(response, dict):
        raise StreamInterrupted(
            "the backend sent a lifecycle event without a response",
            code="upstream_protocol_error",
        )
    return response
