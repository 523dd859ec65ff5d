"""`EventTranslator`, the base of the translators: finds an event's handler, and checks the end."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

from ..errors import CodexError, JsonObject, from_event
from . import sse
from .sse import DeltaBatch, Event

Handler = Callable[[Any, JsonObject], Iterable[bytes]]
"""A method of a translator, which takes the payload of an event."""


class EventTranslator(ABC):
    """A Translator that has a handler for each type of event."""

    HANDLERS: ClassVar[Mapping[str, Handler]] = {}
    finished = False

    def feed(self, event: Event) -> Iterable[bytes]:
        if self.finished:
            return ()
        handler = self.HANDLERS.get(event.type)
        if handler is None:
            event.check()  # an unknown event is skipped, an unreadable one is not
            return ()
        if isinstance(event, DeltaBatch):
            return self._each(event, handler)
        return handler(self, event.json)

    def close(self) -> Iterable[bytes]:
        if self.finished:
            return ()
        raise sse.interruption()

    @abstractmethod
    def fail(self, error: CodexError) -> Iterable[bytes]:
        """The error in the dialect's form, as the end of the stream."""

    def _each(self, deltas: DeltaBatch, handler: Handler) -> Iterable[bytes]:
        for event in deltas.each:
            if not self.finished:
                yield from handler(self, event.json)

    def _failed(self, data: JsonObject) -> Iterable[bytes]:
        raise from_event(data)
