"""Records the events that a translator wrote, so that a stored response can be replayed."""

from __future__ import annotations

from collections.abc import Iterable

from ..bounds import MAX_LOG_BYTES
from ..errors import CodexError, StreamInterrupted
from . import Event, Translator, sse
from .responses.public import error_event
from .shapes import get_int


class EventLog:
    """The pieces of one stream, or of several that are one reply. Nothing is parsed here.

    Past its bound it is `overflow`, and empty: half a stream is of no use.
    """

    def __init__(self, *, limit: int = MAX_LOG_BYTES) -> None:
        self._left = limit
        self.pieces: list[bytes] = []
        self.overflow = False

    def add(self, pieces: list[bytes]) -> None:
        self._left -= sum(map(len, pieces))
        if self._left < 0:
            self.overflow = True
            self.pieces = []
        else:
            self.pieces += pieces

    @property
    def events(self) -> list[Event]:
        return events_of(b"".join(self.pieces))


class RecordingTranslator:
    """A Translator whose output goes into an event log too."""

    def __init__(self, translator: Translator, event_log: EventLog) -> None:
        self._translator = translator
        self._event_log = event_log

    @property
    def finished(self) -> bool:
        return self._translator.finished

    def feed(self, event: Event) -> Iterable[bytes]:
        return self._record(self._translator.feed(event))

    def close(self) -> Iterable[bytes]:
        return self._record(self._translator.close())

    def fail(self, error: CodexError) -> Iterable[bytes]:
        return list(self._record(self._translator.fail(error)))

    def _record(self, chunks: Iterable[bytes]) -> Iterable[bytes]:
        for piece in chunks:  # one by one: the next may never come, for what it raises
            self._event_log.add([piece])
            yield piece


class Replay:
    """A Translator of the events of a log: they pass as they are, those up to a number left out."""

    def __init__(self, *, after: int = -1) -> None:
        # set once
        self._after = after
        # moves as the stream moves
        self._count = 0  # for events that carry no number
        self._next = after + 1
        self.finished = False

    def feed(self, event: Event) -> Iterable[bytes]:
        if self.finished:
            return ()
        if not event.type:  # [DONE]
            self.finished = True
            return (sse.DONE,)
        number_field = get_int(event.json, "sequence_number")
        place = self._count if number_field is None else number_field
        self._count += 1
        self._next = max(self._next, place + 1)
        return (event.encode(),) if place > self._after else ()

    def close(self) -> Iterable[bytes]:
        self.finished = True
        return ()

    def fail(self, error: CodexError) -> Iterable[bytes]:
        self.finished = True
        return (error_event(error, self._next),)


def events_of(data: bytes) -> list[Event]:
    """The events of a log, `[DONE]` among them."""
    decoder = sse.Decoder()
    try:
        return decoder.feed(data)
    except StreamInterrupted:  # one event beyond every bound: it cannot be in a log
        return []
