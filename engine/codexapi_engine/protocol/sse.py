"""Server-sent events: bytes to events and back.

Nothing here does I/O. Lines end with CRLF, CR or LF and nothing else: U+2028 and its like are text
(WHATWG HTML, "Server-sent events"). Line ends are normalised to LF; everything else of an event
stays as it came.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from ..bounds import MAX_EVENT_BYTES
from ..errors import JsonObject, StreamInterrupted
from . import json

DONE = b"data: [DONE]\n\n"
KEEP_ALIVE = b": keep-alive\n\n"
_BOM = b"\xef\xbb\xbf"

# One plain delta, and those of the same name behind it. Nothing is tried twice: `(?>…)`. (Of a group,
# `*+` takes half a match too in Python before 3.11.3, which Debian 12 has: python/cpython#100061.)
_DELTAS = re.compile(
    rb"event: ([a-z_.]+\.delta)\ndata: \{.*\}\n\n(?>(?:event: \1\ndata: \{.*\}\n\n)*)"
)

_HEAD = re.compile(rb"event: ([^\n]+)\ndata: ")


class Event:
    """One event. Its JSON is parsed on first access."""

    __slots__ = ("_at", "_json", "_type", "raw")

    count = 1

    def __init__(self, raw: bytes, kind: str | None = None, at: int = 0) -> None:
        self.raw = raw  # as it came, without the blank line
        self._type = kind
        self._at = at  # where its data begins, if that is one line and the last; else 0
        self._json: JsonObject | None = None

    @property
    def type(self) -> str:
        """The event's name: from its `event:` line, else from its JSON
        (`tests/wires/unnamed_events.sse`). Empty for `[DONE]`."""
        if self._type is None:
            self._type = self._event_name() or str(self.json.get("type") or "")
        return self._type

    @property
    def data(self) -> bytes:
        """The payload: its `data:` lines, joined with LF."""
        return self.raw[self._at :] if self._at else b"\n".join(self._field(b"data"))

    @property
    def json(self) -> JsonObject:
        """The payload's object, `{}` for `[DONE]`. Raises StreamInterrupted if it is not one."""
        if self._json is None:
            self._json = self._parse()
        return self._json

    @property
    def parsed_lazily(self) -> JsonObject:
        """`json`, but that the long string of a large event may be a `json.ChunkedString`."""
        return self.json

    def check(self) -> None:
        """Raises StreamInterrupted for an event that cannot be JSON: half of an object, or not
        UTF-8. To parse each would cost more than all else together."""
        if not self.raw.isascii():
            _check_text(self.raw)
        if not self.raw.endswith(b"}"):
            self.json  # noqa: B018  (it may still be one, with another field after its data)

    def encode(self) -> bytes:
        return self.raw + b"\n\n"

    def pieces(self, *, escape: bool = False) -> Iterable[bytes]:
        """What `encode` gives, a large event in pieces; `escape` as in `escape_line_ends`."""
        return (escape_line_ends(self.encode()) if escape else self.encode(),)

    @property
    def each(self) -> Sequence[Event]:
        """The events that came as this one: itself."""
        return (self,)

    def _event_name(self) -> str:
        # The common case first: backend events begin with their name.
        if self.raw.startswith(b"event: "):
            return self.raw[7 : self.raw.index(b"\n", 7)].decode(errors="replace")
        names = self._field(b"event")
        return names[-1].decode(errors="replace") if names else ""

    def _field(self, name: bytes) -> list[bytes]:
        prefix, found = name + b":", []
        for line in self.raw.split(b"\n"):
            if line.startswith(prefix):
                value = line[len(prefix) :]
                found.append(value[1:] if value.startswith(b" ") else value)
        return found

    def _parse(self) -> JsonObject:
        data = self.data
        if data == b"[DONE]":
            return {}
        try:
            value = json.loads(data)
        except ValueError as error:
            raise _unreadable("that is not JSON") from error
        if not isinstance(value, dict):
            raise _unreadable("that is not an object")
        return value


class DeltaBatch(Event):
    """One or many plain deltas of one name, in one network read, not parsed.

    They pass as one event does: `type`, `check` and `encode` are of all of them. JSON is `each`'s.
    """

    __slots__ = ("_count", "_whole")

    def __init__(self, whole: bytes, kind: str, count: int = 0) -> None:
        self._whole = whole  # each with its blank line: as it goes out
        self._type = kind
        self._count = count  # 0: not counted yet

    @property
    def raw(self) -> bytes:  # type: ignore[override]
        return self._whole[:-2]

    @property
    def data(self) -> bytes:
        raise TypeError("several events have no data: ask each")

    @property
    def json(self) -> JsonObject:
        raise TypeError("several events have no JSON: ask each")

    def check(self) -> None:
        if not self._whole.isascii():  # that they end like objects is what makes them plain
            _check_text(self._whole)

    def encode(self) -> bytes:
        return self._whole

    @property
    def each(self) -> Sequence[Event]:
        at = self._whole.index(b"{")
        return [Event(raw, self._type, at) for raw in self.raw.split(b"\n\n")]

    def parted(self) -> tuple[Event, DeltaBatch | None]:
        """The first, and the others if there are any."""
        first, _, others = self._whole.partition(b"\n\n")
        rest = DeltaBatch(others, self.type, self.count - 1) if others else None
        return Event(first, self._type, first.index(b"{")), rest

    @property
    def count(self) -> int:  # type: ignore[override]
        if not self._count:
            # With the name it is five times as fast as of two line ends: the longer, the faster.
            self._count = self._whole.count(b"\n\nevent: " + self.type.encode()) + 1
        return self._count


class ChunkedEvent(Event):
    """An event of a name and one long line of data, in the pieces that it came in: a picture that
    only passes is never copied."""

    __slots__ = ("_head", "_parsed_lazily", "_pieces")

    def __init__(self, head: re.Match[bytes], pieces: list[bytes]) -> None:
        self._head = head[0]
        self._pieces = pieces
        self._type = head[1].decode(errors="replace")
        self._json = None
        self._parsed_lazily: JsonObject | None = None

    @property
    def raw(self) -> bytes:  # type: ignore[override]
        return self._head + self.data

    @property
    def data(self) -> bytes:
        if len(self._pieces) > 1:
            self._pieces = [b"".join(self._pieces)]
        return self._pieces[0]

    @property
    def parsed_lazily(self) -> JsonObject:
        if self._parsed_lazily is None:
            value = json.parse_around_string(self._pieces)
            self._parsed_lazily = value if isinstance(value, dict) else self.json
        return self._parsed_lazily

    def check(self) -> None:
        plain = all(piece.isascii() for piece in self._pieces)
        if not (plain and self._pieces[-1].endswith(b"}")):
            self.json  # noqa: B018  (to decode it would cost no less)

    def pieces(self, *, escape: bool = False) -> Iterator[bytes]:
        yield self._head
        if escape and not all(piece.isascii() for piece in self._pieces):
            self._pieces = [escape_line_ends(self.data)]  # joined: a character may be cut in two
        for piece in self._pieces:
            for start in range(0, len(piece), json.PIECE):  # once joined, it is a single one
                yield piece[start : start + json.PIECE]
        yield b"\n\n"


def _check_text(data: bytes) -> None:
    """Raises StreamInterrupted if that is not UTF-8."""
    try:
        data.decode()
    except UnicodeDecodeError as error:
        raise _unreadable("that is not UTF-8") from error


def _unreadable(what: str) -> StreamInterrupted:
    return StreamInterrupted(f"the backend sent an event {what}", code="upstream_protocol_error")


class Decoder:
    """Decodes bytes in chunks of any size into complete events.

    Call `flush` once when the bytes have ended. Comments and events without data are dropped.
    Raises StreamInterrupted when one event exceeds MAX_EVENT_BYTES. With `coalesce`, plain deltas
    of one network read are one `DeltaBatch`.
    """

    def __init__(self, *, limit: int = MAX_EVENT_BYTES, coalesce: bool = False) -> None:
        # set once
        self._limit = limit
        self._coalesce = coalesce
        # moves as the stream moves
        self._tail: list[bytes] = []  # the incomplete event, in chunks: joined once
        self._size = 0
        self._after_cr = False  # a CRLF may be cut in two
        self._at_start: bytes | None = b""  # a BOM may be cut in three
        self._delta = b""  # how the newest plain delta began
        self._kind = ""  # and its name

    def feed(self, data: bytes) -> list[Event]:
        # The commonest read there is: a delta like the one before, and nothing else.
        if (head := self._delta) and data.startswith(head) and self._is_alone(data, len(head)):
            return [DeltaBatch(data, self._kind, 1)]
        if self._at_start is not None:
            data = self._without_bom(data)
        if self._after_cr or b"\r" in data:
            data = self._unix(data)
        seam = data.startswith(b"\n") and bool(self._tail) and self._tail[-1].endswith(b"\n")
        ended = seam or data.endswith(b"\n\n")
        # One byte is found at ten times the speed of two: most of an image has no line end.
        if not ended and (b"\n" not in data or b"\n\n" not in data):
            self._append(data)
            return []
        large: list[Event] = []
        if self._size > json.PIECE:
            large, data = self._large(data, -1 if seam else data.index(b"\n\n"))
        whole = b"".join([*self._tail, data])
        events, end = self._events(whole)
        self._tail, self._size = [], 0
        self._append(whole[end:])
        return large + events

    def flush(self) -> list[Event]:
        """The last event, if only its blank line is missing. A half one is dropped."""
        event = _event(b"".join([self._at_start or b"", *self._tail]))
        self._tail, self._size = [], 0
        if event is None:
            return []
        try:
            event.json  # noqa: B018  (a cut event is not JSON)
        except StreamInterrupted:
            return []
        return [event]

    def _large(self, data: bytes, stop: int) -> tuple[list[Event], bytes]:
        """The event that ends at `stop` (at -1, with the line end before it), and what follows."""
        pieces, self._tail, self._size = self._tail, [], 0
        if stop > 0:
            pieces.append(data[:stop])
        if (head := _HEAD.match(pieces[0])) is not None:
            line = [pieces[0][head.end() :], *pieces[1:]]
            if not any(b"\n" in piece for piece in line):
                return [ChunkedEvent(head, line)], data[stop + 2 :]
        event = _event(b"".join(pieces))
        return ([event] if event else []), data[stop + 2 :]

    def _events(self, whole: bytes) -> tuple[list[Event], int]:
        """The complete events, and where they end."""
        events: list[Event] = []
        start = 0
        while True:
            # The common case first, a name and one line of data: one byte is found faster than two.
            head = _HEAD.match(whole, start)
            stop = whole.find(b"\n", at := head.end()) if head else -1
            if head and whole.startswith(b"\n\n", stop):
                name = head[1]
                if self._coalesce and name.endswith(b".delta") and (deltas := self._deltas(head)):
                    events.append(deltas)
                    start += len(deltas.encode())
                    continue
                events.append(Event(whole[start:stop], name.decode("utf-8", "replace"), at - start))
            elif (stop := whole.find(b"\n\n", start)) < 0:
                return events, start
            elif event := _event(whole[start:stop]):
                events.append(event)
            start = stop + 2

    def _deltas(self, head: re.Match[bytes]) -> DeltaBatch | None:
        """The plain deltas that begin with this one; None if it is not plain."""
        if (found := _DELTAS.match(head.string, head.start())) is None:
            return None
        self._delta, self._kind = b"event: %b\ndata: {" % found[1], found[1].decode()
        return DeltaBatch(found[0], self._kind)

    def _is_alone(self, data: bytes, at: int) -> bool:
        """Whether the delta that begins here is complete and plain. `at`: behind its beginning."""
        return (
            data.endswith(b"}\n\n")
            and data.find(b"\n", at) == len(data) - 2
            and b"\r" not in data
            and not self._tail  # a CR before it is no matter: a line end here means nothing
        )

    def _append(self, piece: bytes) -> None:
        if piece:
            self._tail.append(piece)
            self._size += len(piece)
        if self._size > self._limit:
            raise StreamInterrupted(
                f"the backend sent an event of over {self._limit >> 20} MiB",
                code="upstream_protocol_error",
            )

    def _unix(self, data: bytes) -> bytes:
        if self._after_cr and data.startswith(b"\n"):
            data = data[1:]
        elif not data:
            return data
        self._after_cr = data.endswith(b"\r")
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _without_bom(self, data: bytes) -> bytes:
        data = (self._at_start or b"") + data
        if len(data) < len(_BOM) and _BOM.startswith(data):
            self._at_start = data
            return b""
        self._at_start = None
        return data.removeprefix(_BOM)


def _event(frame: bytes) -> Event | None:
    frame = frame.strip(b"\n")
    return Event(frame) if frame.startswith(b"data:") or b"\ndata:" in frame else None


def pieces(payload: JsonObject, event: str) -> Iterator[bytes]:
    """What `encode` gives, in pieces: for a payload with large strings."""
    yield b"event: " + event.encode() + b"\ndata: "
    yield from map(escape_line_ends, json.pieces(payload))
    yield b"\n\n"


def encode(payload: JsonObject, event: str | None = None) -> bytes:
    """One event for a client: `event:` line if named, one `data:` line, a blank line."""
    name = b"event: " + event.encode() + b"\n" if event else b""
    return name + b"data: " + escape_line_ends(json.dumps(payload)) + b"\n\n"


def escape_line_ends(data: bytes) -> bytes:
    """JSON whose U+2028, U+2029 and U+0085 are written as escapes
    (`tests/wires/line_separators.sse`).

    They end no line of an event stream, but several clients' line readers (httpx's `iter_lines`)
    split there. In JSON they stand in strings alone, so to replace the bytes is enough.
    """
    if data.isascii():
        return data
    # First bytes first: one is found at ten times the speed of two.
    if b"\xe2" in data:
        data = data.replace(b"\xe2\x80\xa8", b"\\u2028").replace(b"\xe2\x80\xa9", b"\\u2029")
    if b"\xc2" in data:
        data = data.replace(b"\xc2\x85", b"\\u0085")
    return data


def interruption() -> StreamInterrupted:
    """The error of a stream that lacks its last event."""
    return StreamInterrupted("the backend's stream ended before its last event")
